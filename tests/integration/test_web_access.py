"""Who may look: the token, the form, its cookie, and the names that are answered."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from pepi_stream.web.auth import Token
from tests.web_pages import BEARER, TOKEN, site


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN,
     f"Bearer {TOKEN.upper()}", "Bearer \xff\xfe", "Bearer " + "x" * 8000],
)  # fmt: skip
async def test_what_is_not_the_token(authorization: str) -> None:
    async with site(token=TOKEN) as pages, aiohttp.ClientSession(pages.url) as client:
        headers = {"Authorization": authorization}
        async with client.get("/live/snapshot", headers=headers) as refused:
            assert refused.status == 401
            assert TOKEN not in await refused.text()


async def test_the_form_sets_a_cookie_that_opens_the_page() -> None:
    async with site(token=TOKEN) as pages, aiohttp.ClientSession(pages.url) as client:
        async with client.get("/live/login") as form:
            assert 'role="alert"' not in await form.text()
        async with client.post("/live/login", data={"token": "wrong"}) as wrong:
            assert wrong.status == 403
            assert wrong.content_type == "text/html"
            assert 'role="alert">That is not the token.<' in await wrong.text()
            assert not wrong.cookies
        async with client.post(
            "/live/login", data={"token": f" {TOKEN}\n"}, allow_redirects=False
        ) as right:
            assert (right.status, right.headers["Location"]) == (303, "/live/")
            cookie = right.cookies["pepi_live"]
            assert TOKEN not in str(right.headers)
            assert cookie["httponly"]
            assert cookie["samesite"] == "Strict"
            assert cookie["path"] == "/"
            assert cookie["max-age"] == str(30 * 86_400)
            assert not cookie["secure"]
        cookies = {"Cookie": f"pepi_live={cookie.value}"}
        async with client.get("/live/snapshot", headers=cookies) as seen:
            assert seen.status == 200
        async with client.get("/live/login", headers=cookies) as seen:
            assert seen.url.path == "/live/"
        for bad in ("", ".", cookie.value[:-1], "9" + cookie.value, "9" * 5000, "\xff.\xff", '"',
                    TOKEN, cookie.value.replace(".", ".."), "٣." + "0" * 64):  # fmt: skip
            headers = {"Cookie": f'pepi_live={bad}; ;;=; \xff="'}
            async with client.get("/live/snapshot", headers=headers) as seen:
                assert seen.status == 401, bad


@pytest.mark.parametrize("proto", ["https", "HTTPS, http"])
async def test_behind_https_the_cookie_is_secure(proto: str) -> None:
    async with site(token=TOKEN) as pages, aiohttp.ClientSession(pages.url) as client:
        headers = {"X-Forwarded-Proto": proto}
        async with client.post(
            "/live/login", data={"token": TOKEN}, headers=headers, allow_redirects=False
        ) as right:
            assert right.cookies["pepi_live"]["secure"]


async def test_logging_out_is_a_post_that_clears_the_cookie_unless_another_site_asks() -> None:
    async with site(token=TOKEN) as pages, aiohttp.ClientSession(pages.url) as client:
        async with client.get("/live/logout", allow_redirects=False) as asked:
            assert asked.status == 200
            assert not asked.cookies
            assert '<form method="post" action="/live/logout">' in await asked.text()
        async with client.post("/live/logout", allow_redirects=False) as out:
            assert (out.status, out.headers["Location"]) == (303, "/live/login")
            assert out.cookies["pepi_live"].value == ""
        for other in ("cross-site", "same-site"):  # the latter is a neighbour under one domain
            headers = {"Sec-Fetch-Site": other}
            async with client.post("/live/logout", headers=headers, allow_redirects=False) as out:
                assert out.status == 403
                assert not out.cookies


@pytest.mark.parametrize(
    "headers",
    [
        "Cookie: pepi_live=1.2; {}",
        "Cookie: {}; pepi_live=1.2",
        "Cookie: a={{b; {}; c",
        "Cookie: pepi_live=1.2\r\nCookie: {}",
        "Cookie: {}\r\nCookie: pepi_live=1.2",
    ],
)
async def test_cookies_of_the_same_name_that_neighbours_set_keep_nobody_out(headers: str) -> None:
    async with site(token=TOKEN) as pages:
        request = "GET /live/snapshot HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        for cookie, status in ((Token(TOKEN).cookie(), b"200"), ("1.2", b"401")):
            given = request + headers.format(f"pepi_live={cookie}") + "\r\n\r\n"
            assert (await pages.raw(given.encode()))[9:12] == status


@pytest.mark.parametrize(("token", "there"), [(TOKEN, True), ("", False)])
async def test_only_a_page_with_a_token_has_a_log_out(token: str, there: bool) -> None:
    async with (
        site(token=token) as pages,
        aiohttp.ClientSession(pages.url) as client,
        client.get("/live/", headers=BEARER) as page,
    ):
        text = await page.text()
    assert ("Log out" in text) is there
    assert 'href="snapshot"' in text


async def test_another_sites_page_can_neither_log_in_nor_lock_out() -> None:
    async with site(token=TOKEN) as pages, aiohttp.ClientSession(pages.url) as client:
        headers = {"Sec-Fetch-Site": "cross-site"}
        for token in (*["wrong"] * 10, TOKEN):
            form = client.post(
                "/live/login", data={"token": token}, headers=headers, allow_redirects=False
            )
            async with form as refused:
                assert (refused.status, refused.cookies) == (403, {})
        async with client.post(
            "/live/login", data={"token": TOKEN}, allow_redirects=False
        ) as right:
            assert right.status == 303
            assert right.cookies["pepi_live"].value


async def test_past_ten_wrong_tokens_the_right_one_still_gets_in(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with site(token=TOKEN) as pages, aiohttp.ClientSession(pages.url) as client:
        for number in range(10):
            if number % 2:
                async with client.post("/live/login", data={"token": "wrong"}) as wrong:
                    assert wrong.status == 403
            else:
                headers = {"Authorization": "Bearer wrong"}
                async with client.get("/live/", headers=headers) as wrong:
                    assert wrong.status == 401
        async with client.post("/live/login", data={"token": "wrong"}) as late:
            assert late.status == 429
            assert 1 <= int(late.headers["Retry-After"]) <= 60
            assert "too many wrong ones" in await late.text()
        async with client.get("/live/", headers={"Authorization": "Bearer wrong"}) as late:
            assert late.status == 429
        form = client.post("/live/login", data={"token": TOKEN}, allow_redirects=False)
        async with form as right:
            assert right.status == 303
            cookies = {"Cookie": f"pepi_live={right.cookies['pepi_live'].value}"}
        for headers in (BEARER, cookies):
            async with client.get("/live/", headers=headers) as seen:
                assert seen.status == 200
        async with client.get("/healthz") as seen:
            assert seen.status == 200
    [line] = [record.getMessage() for record in caplog.records if "wrong token" in record.message]
    assert "from 127.0.0.1" in line
    assert TOKEN not in caplog.text


async def test_wrong_tokens_at_the_same_time_are_all_counted() -> None:
    async with site(token=TOKEN) as pages, aiohttp.ClientSession(pages.url) as client:

        async def guess(number: int) -> int:
            async with client.post("/live/login", data={"token": f"wrong{number}"}) as wrong:
                return wrong.status

        statuses = await asyncio.gather(*map(guess, range(50)))
    assert sorted(statuses) == [403] * 10 + [429] * 40


async def test_who_tried_is_told_by_a_trusted_proxy_and_by_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for trusted, others in (("127.0.0.0/8", 401), ("", 429)):
        caplog.clear()
        async with (
            site(token=TOKEN, trusted_proxies=trusted) as pages,
            aiohttp.ClientSession(pages.url) as client,
        ):

            async def ask(forwarded: str, client: aiohttp.ClientSession = client) -> int:
                headers = {"Authorization": "Bearer wrong", "X-Forwarded-For": forwarded}
                async with client.get("/live/snapshot", headers=headers) as wrong:
                    return wrong.status

            # What the client made up stands before what the proxy has seen.
            statuses = [await ask(f"10.9.9.{number}, 203.0.113.7") for number in range(11)]
            assert statuses == [401] * 10 + [429]
            assert await ask("203.0.113.8") == others
        assert f"from {'203.0.113.7' if trusted else '127.0.0.1'} " in caplog.text


async def test_a_form_that_is_too_large_or_odd() -> None:
    async with site(token=TOKEN) as pages, aiohttp.ClientSession(pages.url) as client:
        async with client.post("/live/login", data=b"token=" + b"x" * 5000) as large:
            assert large.status == 413
        for body in (b"", b"&&&=", b"token", b"\xff\x00%", b"token=%ff%00%zz", b"token=%ED%A0%80"):
            async with client.post("/live/login", data=body) as odd:
                assert odd.status == 403
        broken = b"POST /live/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
        answer = await pages.raw(broken)
        assert b" 400 " in answer.partition(b"\r\n")[0]


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost", 200), ("LOCALHOST:6066", 200), ("127.0.0.1:1", 200), ("127.9.8.7", 200),
     ("[::1]:6066", 200), ("[::1]", 200), ("localhost.", 200),
     ("evil.example", 403), ("evil.example:6066", 403), ("127.0.0.1.evil.example", 403),
     ("localhost.evil.example", 403), ("127.0.0.1@evil.example", 403), ("0.0.0.0", 403),
     ("10.0.0.1", 403), ("", 403), ("[::1", 403), ("::1", 403), ("a b", 403), ("\xff", 403),
     ("127.0.0.1:x", 403)],
)  # fmt: skip
async def test_without_a_token_only_this_machine_is_answered(host: str, status: int) -> None:
    async with site() as pages:
        for path in ("/live/snapshot", "/healthz", "/no/such"):
            request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            answer = await pages.raw(request.encode("latin-1"))
            found = int(answer.split()[1])
            if path == "/no/such" and status == 200:
                assert found == 404
            else:
                assert found == status
            if status == 403:
                assert b"PEPI_WEB__TOKEN" in answer


async def test_the_bound_name_is_answered_and_so_is_every_name_with_a_token_or_in_public() -> None:
    request = b"GET /live/snapshot HTTP/1.1\r\nHost: mail1:6066\r\nConnection: close\r\n"
    async with site(bind="mail1") as pages:
        assert (await pages.raw(request + b"\r\n")).startswith(b"HTTP/1.1 200")
    async with site(public="true") as pages:
        assert (await pages.raw(request + b"\r\n")).startswith(b"HTTP/1.1 200")
    async with site(token=TOKEN, public="true") as pages:
        authorization = f"Authorization: Bearer {TOKEN}\r\n".encode()
        assert (await pages.raw(request + b"\r\n")).startswith(b"HTTP/1.1 401")
        assert (await pages.raw(request + authorization + b"\r\n")).startswith(b"HTTP/1.1 200")


async def test_a_probe_that_speaks_http_1_0_without_host_is_answered() -> None:
    async with site() as pages:
        assert (await pages.raw(b"GET /healthz HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.0 200")
