"""The header of every script is true: what the code reads, and what the Python call sends."""

import re
from pathlib import Path

import pytest

from pepi_stream.claims.scripts import Script, Scripts
from pepi_stream.resources import lua_dir

FILES = sorted(lua_dir().glob("*.lua"))
NOT_OF_THE_PROTOCOL = {"lrange"}
SECTIONS = ["Purpose", "Guarantee", "KEYS", "ARGV", "Reply"]

every_script = pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
SCRIPTS = {s.name: s for s in vars(Scripts()).values() if isinstance(s, Script)}
every_protocol_script = pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)


def header(path: Path) -> list[str]:
    lines = path.read_text("utf-8").splitlines()
    return lines[: _body_starts(lines)]


def body(path: Path) -> str:
    """The code, without the header and without comments."""
    lines = path.read_text("utf-8").splitlines()
    return "\n".join(line.partition("--")[0] for line in lines[_body_starts(lines) :])


def _body_starts(lines: list[str]) -> int:
    return next(i for i, line in enumerate(lines) if not line.startswith("--"))


def section(path: Path, name: str) -> str:
    """The first line of a section."""
    found = [line for line in header(path) if line.startswith(f"-- {name}:")]
    assert len(found) == 1, f"{path.name} should have one line '-- {name}:'"
    return found[0].partition(":")[2].strip()


def fixed(declared: str) -> int:
    """How many names come before the part that repeats."""
    return len(re.sub(r"(\([^)]*\)|\S+)\.\.\.$", "", declared).split())


def test_there_are_scripts() -> None:
    assert {p.stem for p in FILES} >= {"ack", "claim", "lrange", "recover", "release", "renew"}


@every_script
def test_the_header_has_every_section_in_order(path: Path) -> None:
    lines = header(path)

    assert re.fullmatch(rf"-- {path.name} \(version [1-9][0-9]*\)", lines[0])
    names = [m[1] for line in lines if (m := re.match(r"-- ([A-Z]\w+):", line))]
    assert names == SECTIONS
    for name in SECTIONS:
        assert section(path, name), f"{name} says nothing"


@every_protocol_script
def test_keys_and_argv_are_those_of_the_python_call(script: Script) -> None:
    path = lua_dir() / f"{script.name}.lua"

    assert section(path, "KEYS") == script.keys
    assert section(path, "ARGV") == script.args


@every_script
@pytest.mark.parametrize("array", ["KEYS", "ARGV"])
def test_the_code_reads_every_declared_name_and_no_other(path: Path, array: str) -> None:
    declared = section(path, array)
    code = body(path)
    read = {int(n) for n in re.findall(rf"{array}\[(\d+)\]", code)}
    loops = re.search(rf"{array}\[i( [+-] \d+)?\]", code)

    if path.stem in NOT_OF_THE_PROTOCOL:
        assert read == {1, 2} - ({2} if array == "ARGV" else set())
        return
    assert read == set(range(1, fixed(declared) + 1))
    assert bool(loops) == declared.endswith("..."), f"{array} of {path.name} repeats, or does not"


def test_every_script_of_the_protocol_has_a_python_call() -> None:
    assert SCRIPTS.keys() == {p.stem for p in FILES} - NOT_OF_THE_PROTOCOL


@every_protocol_script
def test_the_python_call_runs_the_file_as_it_is(script: Script) -> None:
    assert script.text == (lua_dir() / f"{script.name}.lua").read_bytes()


@every_script
def test_the_code_takes_every_key_from_keys(path: Path) -> None:
    """A key that is made up in a script breaks Redis Cluster."""
    code = body(path).replace("'MEMORY', 'USAGE'", "'MEMORY USAGE'")
    called = re.findall(r"redis\.call\('[\w ]+'(?:, ([^,)]+))?", code)
    called += re.findall(r"'STORE', ([^,)]+)", code)
    locals_of_keys = set()
    for names in re.findall(r"local ([\w, ]+) = (?=KEYS\[)", body(path)):
        locals_of_keys |= {name.strip() for name in names.split(",")}

    for argument in called:
        key = argument.strip()
        assert not key or key.startswith(("KEYS[", "ARGV[1]")) or key in locals_of_keys, argument


def test_a_trailing_group_counts_as_repeating() -> None:
    assert (fixed("lease_ms (claim_id delivery)..."), fixed("(claim_id delivery)...")) == (1, 0)
    assert (fixed("claims deliveries claim..."), fixed("queue claims")) == (2, 2)
