"""What a worker does with wrong settings and unfit servers: one clear line, the right exit code.

More of what ends a worker, at start and later, is in test_error_kinds.py.
"""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from tests.flow import Flow, MakeFlow, wait_for

PASSWORD = "planted-secret"


def start_and_fail(flow: Flow) -> tuple[int, list[str]]:
    """Run a worker that ends by itself; return exit code and the lines that say why."""
    worker = flow.worker()
    code = worker.process.wait(30)
    assert PASSWORD not in worker.log
    assert "Traceback" not in worker.log
    return code, [line for line in worker.log.splitlines() if "CRITICAL" in line or "Error" in line]


@pytest.fixture
def flow(make_flow: MakeFlow, redis_url: str, database_url: str) -> Flow:
    """A flow whose database has no tables yet."""
    return make_flow(redis_url, database_url)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PEPI_SORCE__QUEUE", "x", "did you mean PEPI_SOURCE__QUEUE?"),
        ("PEPI_SOURCE__CLAIM_MAX", "0", "source.claim_max"),
        ("PEPI_SOURCE__FORMAT", "pepipots", "known: auto, mailgun, pepipost, plain"),
        ("PEPI_SOURCE__FORMAT", "no_such_module:decode", "cannot import 'no_such_module'"),
        ("PEPI_ENRICH__ENRICHERS", '["geoip"]', "no enricher 'geoip'"),
        ("PEPI_ENRICH__ENRICHERS", '["geo"]', "geo has no file to look into"),
        ("PEPI_ENRICH__BOUNCE_RULES", "/nowhere/x.toml", "/nowhere/x.toml cannot be read"),
        ("PEPI_ENRICH__GEO_ASN", "/nowhere/x.mmdb", "/nowhere/x.mmdb cannot be read"),
        ("PEPI_SINK__COLUMNS", '["id", "colour"]', "no column 'colour'"),
        ("PEPI_WINDOWS__MINUTE__BY", '["n"]', "windows.minute.by"),
        ("PEPI_WINDOWS__MINUTE__BY", '["evnt_name"]', "did you mean event_name?"),
        ("PEPI_CONFIG", "/no/such/file.toml", "/no/such/file.toml"),
    ],
)
def test_wrong_settings_end_with_one_line(flow: Flow, name: str, value: str, says: str) -> None:
    flow.env[name] = value
    code, lines = start_and_fail(flow)
    assert code == 78
    assert len(lines) == 1
    assert says in lines[0]


def test_missing_tables_are_fatal_and_name_the_remedy(flow: Flow) -> None:
    code, lines = start_and_fail(flow)
    assert code == 70
    assert len(lines) == 1
    assert "pepi_claim" in lines[0]
    assert "faust -A pepi_stream migrate" in lines[0]


def test_a_wrong_redis_password_is_fatal(flow: Flow) -> None:
    flow.make_tables()
    flow.redis.config_set("requirepass", "right")
    try:
        socket_path = flow.env["REDIS_URL"].removeprefix("unix://").partition("?")[0]
        flow.env["REDIS_URL"] = f"unix://:{PASSWORD}@{socket_path}?db=0"
        code, lines = start_and_fail(flow)
    finally:
        flow.redis.config_set("requirepass", "")
    assert code == 70
    assert "REDIS_URL" in lines[0]


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("REDIS_URL", f"redis://:{PASSWORD}@127.0.0.1:1/0"),
        ("DATABASE_URL", f"mysql://pepi:{PASSWORD}@127.0.0.1:1/pepi"),
    ],
)
def test_an_unreachable_server_is_tried_again_and_sigterm_still_stops(
    flow: Flow, name: str, url: str
) -> None:
    flow.make_tables()
    flow.env[name] = url
    worker = flow.worker()
    wait_for(lambda: "; trying on" in worker.log)
    assert worker.process.poll() is None
    assert worker.stop() == 0
    assert PASSWORD not in worker.log


def test_a_taken_web_port_is_one_line(flow: Flow) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        worker = flow.worker("--web-port", str(port))
        assert worker.process.wait(30) == 78
    assert f"cannot listen on 127.0.0.1:{port}" in worker.log
    assert "Traceback" not in worker.log


def test_an_address_that_others_reach_needs_a_token(flow: Flow) -> None:
    """Whether it comes from the settings or the command line; and only where pages are served."""
    remedy = "set PEPI_WEB__TOKEN (`openssl rand -hex 24` makes one), or PEPI_WEB__PUBLIC=true"
    refused = [flow.worker("--web-bind", "0.0.0.0", "--web-port", "1")]
    flow.env["PEPI_WEB__BIND"] = "0.0.0.0"
    refused.append(flow.worker("--web-port", "1"))
    for worker in refused:
        assert worker.process.wait(30) == 78
        assert worker.log.count("Error: web.bind is 0.0.0.0") == 1
        assert remedy in worker.log
        assert "Traceback" not in worker.log
    flow.make_tables()
    check = flow.command("check")
    assert check.returncode == 1
    assert "fail web.bind is 0.0.0.0" in check.stdout
    flow.env["PEPI_WEB__TOKEN"] = f"{PASSWORD}-{PASSWORD}"
    check = flow.command("check")
    assert check.returncode == 0, check.stdout
    assert "web.token = ***" in check.stdout
    assert PASSWORD not in check.stdout
    worker = flow.worker()
    worker.wait_claiming()
    assert worker.stop() == 0


def test_importing_settings_builds_no_app() -> None:
    code = (
        "import sys, pepi_stream.settings as s; assert s.load_settings;"
        "assert not {'faust', 'mode', 'redis', 'aiomysql'} & sys.modules.keys(), 'imported';"
        "assert 'app' not in vars(sys.modules['pepi_stream'])"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
