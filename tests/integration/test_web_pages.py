"""The pages over real sockets: what each path answers, to whom, and with which headers."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import aiohttp
import pytest

from pepi_stream.errors import TransientError
from tests.web_pages import BEARER, TOKEN, site

OPEN_PATHS = ("/healthz", "/readyz", "/live/login", "/live/logout", "/live/static/login.css")
CLOSED_PATHS = (
    *("/", "/live", "/live/", "/live/snapshot", "/live/events", "/live/dead/7", "/live/dead/x"),
    *("/live/static/live.js", "/live/static/none", "/metrics", "/no/such", "/favicon.ico"),
    *("/router", "/router/", "/table", "/table/", "/graph", "/graph/", "/stats", "/stats/"),
)
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "pepi_stream",
}
HTML = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of static files, in a folder that has something to hide."""
    static = tmp_path / "static"
    static.mkdir()
    (static / "live.html").write_text("<!doctype html><title>the page</title>")
    (static / "live.js").write_text("'the script'")
    (static / "login.css").write_text("a{}")
    (static / "notes.py").write_text("secret")
    (tmp_path / "secret.txt").write_text("secret")
    return static


def assert_headers(response: aiohttp.ClientResponse) -> None:
    assert {name: response.headers.get(name) for name in HEADERS} == HEADERS
    assert not [name for name in response.headers if name.startswith("Access-Control")]
    cached = "/static/" in response.url.path or response.url.path == "/live/"
    if not (cached and response.status in (200, 304)):
        assert response.headers["Cache-Control"] == "no-store"


async def test_every_path_and_its_headers_with_and_without_the_token(folder: Path) -> None:
    async with (
        site(folder, token=TOKEN) as pages,
        aiohttp.ClientSession(pages.url) as client,
    ):
        for method in ("GET", "HEAD"):
            for path in CLOSED_PATHS:
                async with client.request(method, path, allow_redirects=False) as refused:
                    assert refused.status == 401, path
                    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
                    assert refused.content_type == "application/json"
                    assert_headers(refused)
                async with client.request(
                    method, path, headers=HTML, allow_redirects=False
                ) as redirected:
                    assert (redirected.status, redirected.headers["Location"]) == (
                        303,
                        "/live/login",
                    )
                    assert_headers(redirected)
            for path in OPEN_PATHS:
                async with client.request(method, path, allow_redirects=False) as answer:
                    assert answer.status == 200, path
                    assert_headers(answer)
        expected = {
            **dict.fromkeys(CLOSED_PATHS, 404),
            **{"/": 303, "/live": 303, "/live/": 200, "/live/snapshot": 200, "/live/events": 200},
            **{"/live/dead/x": 400, "/live/static/live.js": 200},
        }
        for path, status in expected.items():
            async with client.get(path, headers=BEARER, allow_redirects=False) as answer:
                assert answer.status == status, path
                assert_headers(answer)
                assert answer.headers.get("Location") == ("/live/" if status == 303 else None)
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"):
            for path in (*OPEN_PATHS, *CLOSED_PATHS):
                if method == "POST" and path in ("/live/login", "/live/logout"):
                    continue
                async with client.request(method, path, headers=BEARER) as answer:
                    assert answer.status == 405, (method, path)
                    assert answer.headers["Allow"].startswith("GET, HEAD")
                    assert_headers(answer)


@pytest.mark.parametrize(
    "request_line",
    ["nonsense", "GET / HTTP/9.9", "GET /\x00 HTTP/1.1", "GET " + "/x" * 9000 + " HTTP/1.1",
     "\x16\x03\x01 tls", "GET http://[ HTTP/1.1", "CONNECT a:1 HTTP/1.1", "OPTIONS * HTTP/1.1"],
)  # fmt: skip
async def test_what_is_no_http_has_our_headers_and_leaves_no_log(
    request_line: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with site() as pages:
            request = f"{request_line}\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            answer = await pages.raw(request.encode("latin-1"))
    head = answer.partition(b"\r\n\r\n")[0].decode()
    assert int(head.split()[1]) in (400, 404, 405)
    for name, value in HEADERS.items():
        assert f"{name}: {value}" in head
    assert "aiohttp" not in answer.decode()
    assert [record for record in caplog.records if record.name != "asyncio"] == []


async def test_huge_headers_are_refused() -> None:
    async with site() as pages:
        big = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000 + b"\r\n\r\n"
        answer = await pages.raw(big)
        assert b" 400 " in answer.partition(b"\r\n")[0]
        assert b"xxxx" not in answer


@pytest.mark.parametrize(
    "path",
    ["/live/static/../secret.txt", "/live/static/..%2fsecret.txt", "/live/static/%2e%2e/secret.txt",
     "/live/static/....//secret.txt", "/live/static//etc/passwd", "/live/static/notes.py",
     "/live/static/..%5csecret.txt", "/live/static/%00", "/live/static/live.js%00",
     "/live/static/", "/live/static", "/live/static/live.html", "/live/../secret.txt",
     "/live/static/live.js/", "/live/static/%252e%252e/secret.txt"],
)  # fmt: skip
async def test_no_path_leads_out_of_the_static_files(folder: Path, path: str) -> None:
    async with site(folder) as pages:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        answer = await pages.raw(request.encode())
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"secret" not in answer.partition(b"\r\n\r\n")[2]


async def test_static_files_have_a_type_and_an_etag(folder: Path) -> None:
    async with site(folder) as pages, aiohttp.ClientSession(pages.url) as client:
        (folder / "live.js").write_text("changed after the start")
        async with client.get("/live/") as page:
            assert "the page" in await page.text()
            assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        async with client.get("/live/static/live.js") as script:
            assert await script.text() == "'the script'"
            assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
            assert script.headers["Cache-Control"] == "private, max-age=60"
        etag = script.headers["ETag"]
        for known in (etag, f'"x", W/{etag}'):
            headers = {"If-None-Match": known}
            async with client.get("/live/static/live.js", headers=headers) as script:
                assert (script.status, await script.read()) == (304, b"")
        async with client.head("/live/static/live.js") as script:
            assert (script.status, await script.read()) == (200, b"")


async def test_snapshot_and_dead_letters_are_masked_unless_told_otherwise() -> None:
    letter = {"seq": 7, "encoding": "utf-8", "payload": '{"e": "bob@a.b"}', "reason": "al%40a.b",
              "truncated": False}  # fmt: skip
    for show in ("false", "true"):
        async with (
            site(show_recipients=show) as pages,
            aiohttp.ClientSession(pages.url) as client,
        ):
            pages.live.letters = {7: letter, 8: letter | {"encoding": "hex", "payload": "626f4061"}}
            async with client.get("/live/snapshot") as answer:
                snapshot = await answer.json()
            async with client.get("/live/dead/7") as answer:
                dead = await answer.json()
            async with client.get("/live/dead/8") as answer:
                bytes_dead = await answer.json()
        assert snapshot["id"] == 0
        rows = [by[1] for _, by, _ in snapshot["windows"]["minute"]["rows"]]
        if show == "true":
            assert rows == ["john@example.com", "jane@example.com"]
            assert dead == letter
        else:
            assert rows == ["j•••@example.com", "j•••@example.com (2)"]
            assert snapshot["dead"][0]["reason"] == "no name: b•••@a.b"
            assert (dead["payload"], dead["reason"]) == ('{"e": "b•••@a.b"}', "a•••%40a.b")
            assert bytes.fromhex(bytes_dead["payload"]).decode() == "b•••@a"


@pytest.mark.parametrize(
    ("seq", "status"),
    [("7", 200), ("007", 200), ("8", 404), ("0", 404), (str(2**63 - 1), 404), (str(2**63), 400),
     ("9" * 20, 400), ("9" * 5000, 400), ("-7", 400), ("7.0", 400), ("\u0667", 400), ("7%20", 400),
     ("7%2f8", 400), ("", 404), ("7/", 404)],
)  # fmt: skip
async def test_only_a_number_finds_a_dead_letter(seq: str, status: int) -> None:
    async with site() as pages, aiohttp.ClientSession(pages.url) as client:
        pages.live.letters = {7: {"seq": 7}}
        async with client.get(f"/live/dead/{seq}") as answer:
            assert answer.status == status
            assert isinstance(await answer.json(), dict)


async def test_a_dead_letter_that_does_not_come_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pepi_stream.web.pages._LOOK_SECONDS", 0.05)
    async with site() as pages, aiohttp.ClientSession(pages.url) as client:
        monkeypatch.setattr(pages.live, "dead_letter", lambda _: asyncio.Event().wait())
        async with client.get("/live/dead/7") as answer:
            assert answer.status == 503
            assert await answer.json() == {"error": "MySQL has not answered within 0.05 s"}


async def test_the_probes() -> None:
    async with site() as pages, aiohttp.ClientSession(pages.url) as client:
        for method in (client.get, client.head):
            async with method("/healthz") as answer:
                assert answer.status == 200
                assert await answer.text() == ("ok\n" if method == client.get else "")
        async with client.get("/readyz") as answer:
            assert (answer.status, await answer.text()) == (200, "ready\n")
        pages.live.reasons = ["Redis is away", "MySQL is away"]
        async with client.get("/readyz") as answer:
            assert (answer.status, await answer.text()) == (503, "Redis is away\nMySQL is away\n")
        async with client.head("/readyz") as answer:
            assert answer.status == 503
        assert (pages.live.snapshots, pages.live.watched) == (0, 0)


@pytest.mark.parametrize(
    ("token", "public", "words"),
    [
        ("", "", "MySQL does not answer: connecting to db.internal:3306: gone away"),
        (TOKEN, "", "MySQL does not answer"),
        ("", "true", "MySQL does not answer"),
    ],
)
async def test_a_probe_that_anybody_may_send_names_no_server(
    token: str, public: str, words: str
) -> None:
    async with (
        site(token=token, public=public or "false") as pages,
        aiohttp.ClientSession(pages.url) as client,
    ):
        pages.live.reasons = ["MySQL does not answer: connecting to db.internal:3306: gone away"]
        async with client.get("/readyz") as answer:
            assert (answer.status, await answer.text()) == (503, words + "\n")


async def test_an_error_behind_the_page_is_an_answer_and_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with site() as pages, aiohttp.ClientSession(pages.url) as client:
        pages.live.error = TransientError("MySQL does not answer for bob@a.b")
        for path in ("/live/snapshot", "/live/dead/7"):
            async with client.get(path) as answer:
                assert (answer.status, json.loads(await answer.text())) == (
                    503,
                    {"error": "MySQL does not answer for b•••@a.b"},
                )
        assert caplog.records == []
        pages.live.error = LookupError("oops")
        for _ in range(3):
            async with client.get("/live/snapshot", headers=HTML) as answer:
                assert answer.status == 500
                assert "oops" not in await answer.text()
                assert_headers(answer)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
