"""Whatever is lost or late: nothing counts twice, and the next snapshot makes all of it equal."""

from __future__ import annotations

import uuid
from collections import Counter, deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pepi_stream import announcements
from pepi_stream.announcements import Announcement, Announcer, Commit
from pepi_stream.claims.claim import Claim, first_claim_key, new_claim_id
from pepi_stream.events import WindowKey
from pepi_stream.live import merge
from pepi_stream.live.listener import GARBLED
from pepi_stream.live.merge import AbandonedError, Ledger, Merger, Verdict
from pepi_stream.live.rows import WindowSeed
from pepi_stream.live.series import SeriesSeed
from pepi_stream.live.tables import Snapshot, Tables
from pepi_stream.outcome import Outcome
from pepi_stream.settings.models import WindowSettings
from pepi_stream.windows import Window

NOW_MS = 1_700_000_000_000
MINUTE = NOW_MS // 60_000 * 60
WINDOWS = [Window("minute", WindowSettings(seconds=60, by=("event_name",)))]
WORKERS = 3


def merger() -> Merger:
    return Merger(Tables(WINDOWS, 1000, {}, {}))


class World(RuleBasedStateMachine):
    """Redis, MySQL and some workers, as the protocol has them, and one reader."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = NOW_MS
        # MySQL
        self.ledger: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.dead = 0
        # Redis
        self.open: set[str] = set()
        self.channel: deque[Announcement] = deque()
        self.listening = True
        # Workers: claims held, outcomes that wait for their ack.
        self.announcers = [Announcer(NOW_MS + n) for n in range(WORKERS)]
        self.held: list[list[str]] = [[] for _ in range(WORKERS)]
        self.waiting: list[list[Outcome]] = [[] for _ in range(WORKERS)]
        # The reader
        self.merger = merger()
        self.nonces = 0
        self.question: tuple[frozenset[bytes], bytes] | None = None
        self.read: tuple[Snapshot, Ledger] | None = None

    worker = st.integers(0, WORKERS - 1)

    def publish(self, message: bytes) -> None:
        if self.listening and message:
            self.channel.append(announcements.decode(message))

    @initialize()
    def seeded(self) -> None:
        for worker in range(WORKERS):
            self.says_that_it_is_alive(worker)
        self.seed()

    @rule(worker=worker, age_ms=st.sampled_from([0, 1000, 59_000, 61_000, 600_000]))
    def claims(self, worker: int, age_ms: int) -> None:
        """Some worker's clock may be behind."""
        claim = new_claim_id(self.now_ms - age_ms)
        self.open.add(claim)
        self.held[worker].append(claim)

    @precondition(lambda self: any(self.held) or any(self.waiting))
    @rule(worker=worker, other=worker)
    def takes_over(self, worker: int, other: int) -> None:
        """A lease ran out; both may go on with the claims."""
        self.held[other] += [c for c in self.held[worker] if c in self.open]
        for outcome in self.waiting[worker]:
            self.held[other] += [c.id for c in outcome.committed if c.id in self.open]

    @rule(worker=worker, name=st.sampled_from("abc"), dead=st.integers(0, 1), ack=st.booleans())
    def commits(self, worker: int, name: str, dead: int, ack: bool) -> None:
        """All that it holds, in one transaction."""
        if not self.held[worker]:
            self.claims(worker, 0)
        claims, self.held[worker] = list(dict.fromkeys(self.held[worker])), []
        fresh = [c for c in claims if c not in self.ledger]
        repeated = [c for c in claims if c in self.ledger]
        n = len(fresh)
        self.ledger.update(fresh)
        self.counts[name] += n
        self.dead += dead if n else 0
        self.waiting[worker].append(
            Outcome(
                [_claim(c) for c in fresh],
                [_claim(c) for c in repeated],
                [],
                n,
                dead if n else 0,
                {"minute": Counter({WindowKey(MINUTE, (name,)): n})} if n else {},
            )
        )
        if ack:
            self.acks(worker)

    @precondition(lambda self: any(self.waiting))
    @rule(worker=worker)
    def acks(self, worker: int) -> None:
        if not self.waiting[worker]:
            worker = max(range(WORKERS), key=lambda w: len(self.waiting[w]))
        outcomes, self.waiting[worker] = self.waiting[worker], []
        message = self.announcers[worker].committed(outcomes, self.now_ms)
        done = {c.id for o in outcomes for c in (*o.committed, *o.repeated)}
        dropped = self.open & done
        self.open -= done
        if dropped:
            self.publish(message)

    @rule(worker=worker)
    def says_that_it_is_alive(self, worker: int) -> None:
        self.publish(self.announcers[worker].alive(self.now_ms, rows=0, dead=0, held=0))

    @rule(worker=worker)
    def dies(self, worker: int) -> None:
        """Its claims are recovered by the next one, some of them after their commit."""
        self.takes_over(worker, (worker + 1) % WORKERS)
        self.held[worker], self.waiting[worker] = [], []
        self.now_ms += 1
        self.announcers[worker] = Announcer(self.now_ms)

    @precondition(lambda self: self.open)
    @rule()
    def redis_is_emptied(self) -> None:
        self.open.clear()

    @rule(ms=st.sampled_from([100, 30_000, 70_000]))
    def time_passes(self, ms: int) -> None:
        self.now_ms += ms

    @precondition(lambda self: self.channel)
    @rule(most=st.sampled_from([1, 2, 100]))
    def hears(self, most: int = 1) -> None:
        for _ in range(min(most, len(self.channel))):
            self.merger.hear(self.channel.popleft(), self.now_ms)

    @precondition(lambda self: self.channel)
    @rule(at=st.integers(0, 5), garbled=st.booleans())
    def misses(self, at: int, garbled: bool) -> None:
        if at < len(self.channel) and not self.channel[at].marker:
            if garbled:
                self.channel[at] = GARBLED
            else:
                del self.channel[at]

    @precondition(lambda self: self.listening)
    @rule()
    def is_cut_off(self) -> None:
        self.listening = False
        self.channel.clear()
        self.question = self.read = None
        self.merger.abandon("cut off")

    @precondition(lambda self: not self.question)
    @rule(timer=st.integers(0, 3))
    def begins_to_read(self, timer: int) -> None:
        if self.merger.wanted or not timer:
            self.asks_for_the_open_claims()

    def asks_for_the_open_claims(self) -> None:
        self.listening = True
        self.nonces += 1
        self.merger.expect(str(self.nonces))
        since = first_claim_key(self.now_ms - 60_000 - self.merger.workers.behind_ms())
        self.question = merge.claim_keys(self.open), since
        self.read = None
        self.publish(announcements.marker(str(self.nonces), self.now_ms))

    @precondition(lambda self: self.question and self.merger.marked and not self.read)
    @rule()
    def reads(self) -> None:
        assert self.question is not None
        asked, since = self.question
        known = {k for k in merge.claim_keys(self.ledger) if k in asked or k >= since}
        rows = [(MINUTE, (name,), n) for name, n in self.counts.items()]
        self.read = (
            Snapshot(
                {"minute": WindowSeed(0, MINUTE + 86_400, rows)},
                SeriesSeed(MINUTE - 3600, MINUTE + 3600, [(s, v[0], n) for s, v, n in rows]),
                self.dead,
            ),
            Ledger(asked, since, frozenset(known)),
        )

    @precondition(lambda self: self.read)
    @rule()
    def shows_what_was_read(self) -> None:
        assert self.read is not None
        self.merger.complete(*self.read)
        self.question = self.read = None

    def seed(self) -> None:
        self.asks_for_the_open_claims()
        while self.channel:
            self.hears()
        self.reads()
        self.shows_what_was_read()

    def shown(self) -> Counter[str]:
        rows = self.merger.tables.windows["minute"].rows()
        return Counter({values[0]: n for _, values, n in rows})

    @invariant()
    def nothing_is_shown_that_was_not_committed(self) -> None:
        shown = self.shown()
        assert shown <= self.counts, f"{shown} of {self.counts}"
        assert (self.merger.tables.dead or 0) <= self.dead
        points = self.merger.tables.series.points(NOW_MS / 1000)
        assert Counter(points[0][1] if points else {}) == +shown

    def teardown(self) -> None:
        """Once everybody has spoken, a snapshot is read if one is wanted; then all is equal."""
        for worker in range(WORKERS):
            if self.held[worker]:
                self.commits(worker, "a", 0, False)
            if self.waiting[worker]:
                self.acks(worker)
            self.says_that_it_is_alive(worker)
        if not self.listening:
            self.seed()
        while self.channel:
            self.hears()
        if self.question is not None and self.read is None:
            self.reads()
        if self.read is not None:
            self.shows_what_was_read()
        if self.merger.wanted or self.nobody_would_notice:
            self.seed()
        assert not self.merger.wanted
        assert +self.shown() == +self.counts
        assert self.merger.tables.dead == self.dead

    @property
    def nobody_would_notice(self) -> bool:
        """The last words of a worker that died were lost: the timer's business."""
        return +self.shown() != +self.counts


class Noticed(World):
    """The same, while no worker dies and no Redis is emptied: every loss is noticed."""

    dies = None  # type: ignore[assignment]
    redis_is_emptied = None  # type: ignore[assignment]
    nobody_would_notice = False


class Doubted(World):
    """The same, while no message is lost: workers die, and their heirs tell of it."""

    misses = None  # type: ignore[assignment]
    is_cut_off = None  # type: ignore[assignment]
    redis_is_emptied = None  # type: ignore[assignment]
    nobody_would_notice = False


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestNoticed = Noticed.TestCase
TestNoticed.settings = TestWorld.settings
TestDoubted = Doubted.TestCase
TestDoubted.settings = TestWorld.settings


def _claim(claim_id: str) -> Claim:
    return Claim(claim_id, [b"x"], delivery=1, received_at=NOW_MS)


def _commit(*claims: str) -> Commit:
    return Commit(list(claims), rows=1, dead=0, windows={"minute": [(MINUTE, ("sent",), 1)]})


def test_a_commit_is_judged_by_any_of_its_claims() -> None:
    old, new, open_ = new_claim_id(0), new_claim_id(NOW_MS), new_claim_id(1)
    since = first_claim_key(NOW_MS - 60_000)
    ledger = Ledger(merge.claim_keys([open_]), since, merge.claim_keys([new]))
    assert ledger.verdict(_commit(old, new)) is Verdict.KNOWN
    assert ledger.verdict(_commit(old, open_)) is Verdict.NEW
    assert ledger.verdict(_commit(new_claim_id(NOW_MS))) is Verdict.NEW
    assert ledger.verdict(_commit(old)) is Verdict.UNCLEAR
    with pytest.raises(ValueError, match="UUID"):
        ledger.verdict(_commit("no id"))


def test_what_is_heard_of_a_worker_for_the_first_time_is_no_gap() -> None:
    reader = merger()
    reader.wanted = ""
    for number in (7, 8):
        reader.hear(Announcement(announcements.VERSION, "w", number, NOW_MS), NOW_MS)
        assert not reader.wanted
    reader.hear(Announcement(announcements.VERSION, "w", 10, NOW_MS), NOW_MS)
    assert reader.wanted


@pytest.mark.parametrize(("commits", "rows"), [(5, 1), (2, 5), (9, 0)])
def test_a_reader_that_hears_more_than_it_keeps_reads_again(
    commits: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit may have many rows: they are what takes memory."""
    monkeypatch.setattr(merge, "MAX_KEPT", 8)
    reader = merger()
    [row] = _commit().windows["minute"]
    said = [
        Announcement(
            announcements.VERSION,
            "w",
            number,
            NOW_MS,
            commits=[Commit([str(uuid.uuid4())], rows, 0, {"minute": [row] * rows})],
        )
        for number in range(commits)
    ]
    empty = Snapshot({"minute": WindowSeed(0, 1 << 40, [])})

    def hear(some: list[Announcement]) -> None:
        reader.expect("n")
        reader.hear(announcements.decode(announcements.marker("n", NOW_MS)), NOW_MS)
        for one in some:
            reader.hear(one, NOW_MS)

    hear(said * 5)
    assert reader._kept is not None
    assert len(reader._kept) <= 9
    with pytest.raises(AbandonedError):
        reader.complete(empty, Ledger())
    hear(said[:-1])  # there is room again, and enough for this
    reader.complete(empty, Ledger())


def test_the_marker_of_another_reader_means_nothing() -> None:
    reader = merger()
    reader.expect("mine")
    reader.hear(announcements.decode(announcements.marker("other", NOW_MS)), NOW_MS)
    assert not reader.marked
