"""lrange.lua: the article's script, run by the article's own commands with a real redis-cli."""

import shutil
import subprocess

import pytest
from redis.exceptions import ResponseError

from pepi_stream.local.servers import RedisServer
from pepi_stream.resources import lua_dir
from tests.claiming import QUEUE, Bench, assert_empty

SCRIPT = lua_dir() / "lrange.lua"
PAYLOADS = [b"%d" % n for n in range(150)]


class Cli:
    """redis-cli against the test's server, run from the top of the repository."""

    def __init__(self, server: RedisServer) -> None:
        program = shutil.which("redis-cli")
        assert program is not None, "redis-cli is not installed"
        self._command = [program, "-s", str(server.socket_path)]

    def __call__(self, *words: str) -> list[bytes]:
        done = subprocess.run(
            [*self._command, *words], cwd=SCRIPT.parent.parent, capture_output=True, check=False
        )
        return done.stdout.splitlines() + done.stderr.splitlines()


@pytest.fixture
def cli(redis_server: RedisServer) -> Cli:
    return Cli(redis_server)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["--eval", "lua/lrange.lua", "pepi_queue", "100"], id="count as a key"),
        pytest.param(["--eval", "lua/lrange.lua", "pepi_queue", ",", "100"], id="as an argument"),
    ],
)
async def test_the_article_s_eval_pops_in_order(bench: Bench, cli: Cli, words: list[str]) -> None:
    await bench.push(*PAYLOADS)

    assert cli(*words) == PAYLOADS[:100]
    assert await bench.queued() == PAYLOADS[100:]
    assert cli(*words) == PAYLOADS[100:]
    await assert_empty(bench.redis)
    assert [line for line in cli(*words) if line] == []

    bench.expected.clear()


async def test_the_article_s_script_load_and_evalsha_pop_in_order(bench: Bench, cli: Cli) -> None:
    await bench.push(*PAYLOADS)

    sha = cli("SCRIPT", "LOAD", SCRIPT.read_text("utf-8"))[0].decode()

    assert cli("EVALSHA", sha, "2", "pepi_queue", "100") == PAYLOADS[:100]
    assert cli("EVALSHA", sha, "1", "pepi_queue", "30") == PAYLOADS[100:130]
    assert await bench.queued() == PAYLOADS[130:]
    bench.expected.subtract(PAYLOADS[:130])


@pytest.mark.parametrize("count", ["0", "-1", "many", "", "1.5", "nan", "inf", "-inf"])
@pytest.mark.parametrize("form", ["key", "argument"])
async def test_a_bad_count_is_an_error_that_loses_nothing(
    bench: Bench, count: str, form: str
) -> None:
    pushed = await bench.push(*PAYLOADS)
    keys, args = ([QUEUE, count], []) if form == "key" else ([QUEUE], [count])

    with pytest.raises(ResponseError):
        await bench.redis.eval(SCRIPT.read_text("utf-8"), len(keys), *keys, *args)

    assert await bench.queued() == pushed


async def test_a_missing_count_is_an_error_that_says_how_to_call_it(bench: Bench, cli: Cli) -> None:
    pushed = await bench.push(*PAYLOADS)

    said = b" ".join(cli("--eval", "lua/lrange.lua", "pepi_queue"))

    assert b"lrange.lua needs a count of 1 or more: lrange.lua pepi_queue , 100" in said
    assert await bench.queued() == pushed


async def test_a_queue_of_another_type_is_refused(bench: Bench, cli: Cli) -> None:
    await bench.redis.set(QUEUE, "not ours")

    assert b"WRONGTYPE" in b" ".join(cli("--eval", "lua/lrange.lua", "pepi_queue", "100"))

    assert await bench.redis.get(QUEUE) == b"not ours"
    await bench.redis.delete(QUEUE)


async def test_more_than_the_lua_stack_holds_and_odd_bytes_come_whole(bench: Bench) -> None:
    pushed = await bench.push(b"", b"\xff\x00", *(b"%d" % n for n in range(20_000)))

    assert await bench.redis.eval(SCRIPT.read_text("utf-8"), 1, QUEUE, 30_000) == pushed

    bench.expected.clear()
