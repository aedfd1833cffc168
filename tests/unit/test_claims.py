"""Claims, their ids, and the bookkeeping of what one worker holds."""

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepi_stream import announcements
from pepi_stream.claims import (
    Claim,
    ClaimStore,
    HeldClaims,
    claim_age_seconds,
    connect_redis,
    new_claim_id,
)
from pepi_stream.claims.claim import first_claim_key
from pepi_stream.settings import load_settings
from pepi_stream.source import RedisSource

NOW = 1_700_000_000_000
PAYLOADS = st.lists(st.binary(max_size=4) | st.sampled_from([b",", b"1", b"1,0", b"0,0"]))
TIMES = st.integers(0, (1 << 48) - 1)


def claim(*payloads: bytes, delivery: int = 1, claim_id: str = "") -> Claim:
    return Claim(claim_id or new_claim_id(NOW), list(payloads), delivery=delivery, received_at=NOW)


# ids


@given(TIMES)
def test_a_claim_id_is_a_uuid_of_version_7(at: int) -> None:
    made = uuid.UUID(new_claim_id(at))

    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == at


@given(TIMES, TIMES)
def test_later_ids_sort_after_earlier_ones(one: int, other: int) -> None:
    if one != other:
        assert (new_claim_id(one) < new_claim_id(other)) == (one < other)


@given(TIMES)
def test_the_first_key_of_a_moment_is_not_after_any_id_of_that_moment(at: int) -> None:
    key = first_claim_key(at)

    assert len(key) == 16
    assert key <= uuid.UUID(new_claim_id(at)).bytes
    if at:
        assert uuid.UUID(new_claim_id(at - 1)).bytes < key


def test_ids_of_one_moment_are_unique() -> None:
    assert len({new_claim_id(NOW) for _ in range(10_000)}) == 10_000


def test_all_bits_that_should_be_random_are() -> None:
    ids = [uuid.UUID(new_claim_id(NOW)).int for _ in range(200)]
    ever_set, ever_clear = 0, 0
    for value in ids:
        ever_set |= value
        ever_clear |= ~value
    fixed = 0xF << 76 | 0x3 << 62
    random_bits = ((1 << 80) - 1) & ~fixed

    assert ever_set & ever_clear & ((1 << 80) - 1) == random_bits
    assert random_bits.bit_count() == 74


@pytest.mark.parametrize(
    ("later_ms", "seconds"), [(0, 0.0), (1, 0.001), (90_000, 90.0), (-500, -0.5)]
)
def test_the_age_is_in_the_id(later_ms: int, seconds: float) -> None:
    assert claim_age_seconds(new_claim_id(NOW), NOW + later_ms) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "claim_id", [str(uuid.UUID(int=0)), "7fcd2852-7098-43ae-a9cf-248433050ac8", "claim-1", ""]
)
def test_the_age_of_another_kind_of_id_is_an_error(claim_id: str) -> None:
    with pytest.raises(ValueError, match=r"UUID"):
        claim_age_seconds(claim_id, NOW)


def test_the_key_is_the_id_in_16_bytes() -> None:
    made = claim(b"a")

    assert str(uuid.UUID(bytes=made.key)) == made.id


# digests


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([b"ab"], [b"a", b"b"]),
        ([b"a,b"], [b"a", b"b"]),
        ([b"a", b"b"], [b"b", b"a"]),
        ([b"a", b""], [b"a"]),
        ([b"", b"a"], [b"a", b""]),
        ([b"a,1,1"], [b"a", b"1"]),
        ([b"a,"], [b"a", b""]),
        ([b"\x00"], [b""]),
        ([], [b""]),
    ],
)
def test_other_payloads_have_another_digest(one: list[bytes], other: list[bytes]) -> None:
    assert claim(*one).digest != claim(*other).digest


@given(PAYLOADS, PAYLOADS)
def test_the_digest_is_the_same_only_for_the_same_payloads(
    one: list[bytes], other: list[bytes]
) -> None:
    assert (claim(*one).digest == claim(*other).digest) == (one == other)


def test_the_digest_is_16_bytes_of_the_payloads_and_of_nothing_else() -> None:
    made = claim(b"a", b"\xff\x00", b"", delivery=1)

    assert len(made.digest) == 16
    assert claim(b"a", b"\xff\x00", b"", delivery=7).digest == made.digest


def test_the_repr_names_the_claim_and_hides_the_payloads() -> None:
    made = claim(b"someone@example.com", delivery=3)

    assert repr(made) == f"<Claim {made.id} of 1 payloads, delivery 3>"


# held claims


def test_claims_fill_the_slots_until_they_are_dropped() -> None:
    held = HeldClaims(2, 1 << 20)
    first, second = claim(b"a"), claim(b"b")

    full = [held.full]
    for taken in (first, second):
        held.add(taken)
        full.append(held.full)
    assert (full, len(held)) == ([False, False, True], 2)

    held.drop([first.id, "unknown"])

    assert (held.full, len(held)) == (False, 1)
    assert first.id not in held
    assert second.id in held


def test_a_committed_claim_keeps_its_slot_and_its_lease_until_it_is_acked() -> None:
    held = HeldClaims(2, 1 << 20)
    first, second = claim(b"a"), claim(b"b", delivery=4)
    held.add(first)
    held.add(second)

    held.committed([first.id, "unknown"])

    assert held.full
    assert held.uncommitted == 1
    assert held.open_ids() == {second.id}
    assert held.leases() == [(first.id, 1), (second.id, 4)]
    assert held.releasable() == [(second.id, 4)]
    held.drop([first.id])
    assert (len(held), held.uncommitted) == (1, 1)


def test_a_claim_that_comes_back_takes_over_the_delivery_count_and_one_slot() -> None:
    held = HeldClaims(2, 1 << 20)
    first = claim(b"a")
    held.add(first)
    held.add(claim(b"a", delivery=2, claim_id=first.id))

    assert held.leases() == [(first.id, 2)]
    assert not held.full


def test_a_dropped_claim_that_comes_back_is_not_taken_for_committed() -> None:
    held = HeldClaims(1, 1 << 20)
    first = claim(b"a")
    held.add(first)
    held.committed([first.id])
    held.drop([first.id])

    held.add(first)

    assert held.releasable() == [(first.id, 1)]
    assert held.uncommitted == 1


def test_held_claims_are_full_at_so_many_bytes_too() -> None:
    held = HeldClaims(10, 1000)
    first, second = (
        Claim(new_claim_id(n), [b"x" * 300] * 2, delivery=1, received_at=n) for n in (1, 2)
    )
    full = []
    held.add(first)
    full.append(held.full)
    held.add(second)
    full.append(held.full)
    held.drop([first.id])
    full.append(held.full)
    assert full == [False, True, False]


# a queue's place


@pytest.mark.parametrize(
    ("url", "db"),
    [
        ("redis://localhost:6379", 0),
        ("redis://localhost:6379/3", 3),
        ("rediss://localhost:6379/4", 4),
        ("unix:///tmp/redis.sock", 0),
        ("unix:///tmp/redis.sock?db=5", 5),
    ],
)
async def test_a_worker_says_which_of_redis_databases_its_queue_is_in(url: str, db: int) -> None:
    async def deliver(_: Claim) -> None: ...

    settings = load_settings({"REDIS_URL": url})
    store = ClaimStore(connect_redis(settings.redis), queue="q", lease_seconds=30)
    announcer = RedisSource(store, settings, deliver=deliver).announcer
    assert announcements.decode(announcer.leaving(NOW)).db == store.db == db
    await store.close()


def test_a_password_is_in_no_repr_of_a_client() -> None:
    settings = load_settings({"REDIS_URL": "redis://u:PLANTED%2F@h:1/0"}).redis
    redis = connect_redis(settings)
    pool: Any = redis.connection_pool
    provider = pool.connection_kwargs["credential_provider"]
    assert provider.get_credentials() == ("u", "PLANTED/")
    for thing in (settings, redis, pool, pool.connection_kwargs, pool.make_connection()):
        assert "PLANTED" not in f"{thing!r} {thing}"
