"""The live page in a real browser, over a real worker: what a person at it relies on."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, Site
from tests.flow import wait_for

TOKEN = "correct-horse-battery-staple"
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"
MakeSite = Callable[..., Site]

expect.set_options(timeout=15_000)


def event(number: int, **fields: Any) -> bytes:
    record = {"id": number, "event_name": "sent", "ts": int(time.time()), **fields}
    return json.dumps(record).encode()


def figure(page: Page, name: str) -> Any:
    return page.get_by_test_id(f"figure-{name}-value")


def shown_sum(page: Page) -> int:
    cells = page.get_by_test_id("window-n").all_inner_texts()
    return sum(int(text.replace(",", "").replace("\u202f", "")) for text in cells)


def test_numbers_move_under_load_and_end_as_the_table_is(
    make_site: MakeSite, open_page: OpenPage
) -> None:
    site = make_site()
    site.start()
    page = open_page(site.url)
    expect(page.get_by_test_id("health-words")).not_to_be_empty()
    expect(figure(page, "workers")).to_have_text("1")
    site.flow.push(event(n) for n in range(500))
    row = page.get_by_test_id("window-row").first
    expect(row).to_contain_text("sent")
    before = shown_sum(page)
    assert before > 0
    site.flow.push(event(n, event_name="opened") for n in range(700))
    expect(page.get_by_test_id("windows-table")).to_contain_text("opened")
    wait_for(lambda: shown_sum(page) == 1200)  # without a reload
    assert site.flow.rows() == 1200
    expect(figure(page, "rate")).not_to_have_text("0")


def test_a_hostile_campaign_is_text(make_site: MakeSite, open_page: OpenPage) -> None:
    site = make_site()
    site.start()
    site.flow.push(
        [
            event(1, campaign=HOSTILE),
            event(2, campaign="=cmd()"),
            event(3, campaign="{{7*7}}", event_name="<b>bold</b>"),
            b'{"event_name": 5, "x": "' + HOSTILE.encode() + b'"}',
        ]
    )
    page = open_page(site.url)
    page.get_by_test_id("window-picker").select_option("hour")
    table = page.get_by_test_id("windows-table")
    for text in (HOSTILE, "=cmd()", "{{7*7}}", "<b>bold</b>"):
        expect(table).to_contain_text(text)
    assert (
        page.evaluate("document.querySelectorAll('table img, table b, table script').length") == 0
    )
    page.get_by_test_id("dead-open").first.click()
    expect(page.get_by_test_id("dead-dialog-payload")).to_contain_text(HOSTILE)
    # Watch has seen neither a dialog nor an error when the test ends.


def test_it_recovers_after_the_worker_restarts(make_site: MakeSite, open_page: OpenPage) -> None:
    site = make_site()
    worker = site.start()
    page = open_page(site.url, quiet=False)  # the browser itself complains of lost connections
    site.flow.push(event(n) for n in range(10))
    wait_for(lambda: shown_sum(page) == 10)
    worker.kill()
    expect(page.get_by_test_id("stale-banner")).to_be_visible()
    site.start()
    expect(page.get_by_test_id("stale-banner")).to_be_hidden()
    site.flow.push(event(n) for n in range(10))
    wait_for(lambda: shown_sum(page) == 20)


def test_nobody_gets_in_without_the_token(make_site: MakeSite, open_page: OpenPage) -> None:
    site = make_site(PEPI_WEB__TOKEN=TOKEN)
    site.start()
    page = open_page(site.url, quiet=False)  # a refused login is a console message
    expect(page).to_have_url(re.compile("/live/login"))
    field = page.get_by_label(re.compile("token", re.IGNORECASE))
    field.fill("wrong-" * 4)
    field.press("Enter")
    expect(page.locator("body")).to_contain_text(re.compile("wrong|not the token", re.IGNORECASE))
    page.get_by_label(re.compile("token", re.IGNORECASE)).fill(TOKEN)
    page.keyboard.press("Enter")
    expect(figure(page, "workers")).to_have_text("1")
    [cookie] = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert TOKEN not in cookie["value"]
    assert TOKEN not in page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it_without_sideways_scrolling(
    make_site: MakeSite, open_page: OpenPage, scheme: str
) -> None:
    site = make_site()
    site.start()
    site.flow.push(
        event(n, campaign=f"A campaign with a rather long name, number {n}") for n in range(60)
    )
    page = open_page(
        site.url,
        viewport={"width": 360, "height": 740},
        device_scale_factor=2,
        is_mobile=True,
        has_touch=True,
        color_scheme=scheme,
    )
    page.get_by_test_id("window-picker").select_option("hour")
    expect(page.get_by_test_id("windows-table")).to_contain_text("number 59")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for name in ("rate", "backlog", "dead", "workers"):
        expect(figure(page, name)).to_be_visible()


def test_a_table_is_sorted_filtered_and_grouped(make_site: MakeSite, open_page: OpenPage) -> None:
    site = make_site()
    site.start()
    site.flow.push(
        [
            *(event(n, email="a@gmail.com") for n in range(5)),
            *(event(n, email="a@yahoo.fr") for n in range(3)),
            *(event(n, email="a@gmail.com", event_name="opened") for n in range(4)),
        ]
    )
    page = open_page(site.url)
    rows = page.get_by_test_id("window-row")
    expect(rows).to_have_count(3)
    page.get_by_test_id("filter").fill("yahoo")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("3")
    page.get_by_test_id("filter").fill("")
    page.get_by_test_id("dimension-picker").select_option(label="event name")
    expect(rows).to_have_count(2)
    assert sorted(page.get_by_test_id("window-n").all_inner_texts()) == ["4", "8"]
    header = page.get_by_test_id("sort-n")
    header.click()
    cell = page.locator("th", has=header)
    expect(cell).to_have_attribute("aria-sort", re.compile("ascending|descending"))
    once = page.get_by_test_id("window-n").all_inner_texts()
    header.press("Enter")
    expect(page.get_by_test_id("window-n").first).not_to_have_text(once[0])


def test_window_filter_and_sorting_are_in_the_address(
    make_site: MakeSite, open_page: OpenPage
) -> None:
    site = make_site()
    site.start()
    site.flow.push([event(n, campaign="spring" if n % 3 else "autumn") for n in range(9)])
    page = open_page(site.url)
    rows = page.get_by_test_id("window-row")
    expect(rows).to_have_count(1)
    assert page.url == site.url
    page.get_by_test_id("window-picker").select_option("hour")
    expect(rows).to_have_count(2)
    page.get_by_test_id("filter").fill("sent aut")
    page.get_by_test_id("sort-n").click()
    expect(rows).to_have_count(1)
    assert page.url == f"{site.url}#window=hour&filter=sent+aut&sort=-n"

    page.reload()
    other = open_page(page.url)
    for shown in (page, other):
        expect(shown.get_by_test_id("window-row")).to_have_count(1)
        expect(shown.get_by_test_id("window-picker")).to_have_value("hour")
        expect(shown.get_by_test_id("filter")).to_have_value("sent aut")
        cell = shown.locator("th", has=shown.get_by_test_id("sort-n"))
        expect(cell).to_have_attribute("aria-sort", "descending")
    other.evaluate("location.hash = '#window=minute&by=event_name&sort=event_name'")
    expect(other.get_by_test_id("dimension-picker")).to_have_value("event_name")
    cell = other.locator("th", has=other.get_by_test_id("sort-event_name"))
    expect(cell).to_have_attribute("aria-sort", "ascending")
    other.evaluate("location.hash = '#main'")  # the link that skips the header
    expect(other.get_by_test_id("dimension-picker")).to_have_value("event_name")


@pytest.mark.parametrize("hash", ["#window=none&by=none&sort=-none&filter=", "#=&&%ff=%", "#x=1"])
def test_an_address_of_another_configuration_shows_what_there_is(
    make_site: MakeSite, open_page: OpenPage, hash: str
) -> None:
    site = make_site()
    site.start()
    site.flow.push([event(n) for n in range(9)])
    page = open_page(site.url + hash)
    expect(page.get_by_test_id("window-row")).to_have_count(1)
    expect(page.get_by_test_id("window-picker")).to_have_value("minute")
    cell = page.locator("th", has=page.get_by_test_id("sort-start"))
    expect(cell).to_have_attribute("aria-sort", "descending")


@pytest.mark.parametrize("width", [320, 390])
def test_on_a_phone_no_header_is_cut(make_site: MakeSite, open_page: OpenPage, width: int) -> None:
    site = make_site()
    site.start()
    yesterday = int(time.time()) - 86_400  # a row with a date takes more room
    site.flow.push([*(event(n, ts=yesterday) for n in range(9)), b"no JSON"])
    page = open_page(site.url, viewport={"width": width, "height": 844})
    expect(page.get_by_test_id("window-row")).to_have_count(1)
    expect(page.get_by_test_id("dead-list").locator("tr")).to_have_count(1)
    for window in ("minute", "hour"):
        page.get_by_test_id("window-picker").select_option(window)
        cut = page.evaluate(
            """[...document.querySelectorAll("h3, thead th, thead button")]
               .filter((e) => e.offsetWidth > 1)
               .filter((e) => e.scrollWidth > e.clientWidth + 1
                              || e.scrollHeight > e.clientHeight + 1)
               .map((e) => `${e.tagName} ${e.textContent}`)"""
        )
        assert cut == []
    button = page.get_by_test_id("dead-list").get_by_role("button").first.bounding_box()
    room = page.locator("#dead-scroller").bounding_box()
    assert button is not None
    assert room is not None
    assert button["x"] + button["width"] <= room["x"] + room["width"]


def test_a_number_that_just_changed_has_another_colour_and_no_ground(
    make_site: MakeSite, open_page: OpenPage
) -> None:
    """A ground as wide as the column looks like a bar of a chart."""
    site = make_site()
    site.start()
    site.flow.push([event(0)])
    page = open_page(site.url)
    number = page.get_by_test_id("window-n").first
    expect(number).to_have_text("1")
    page.evaluate(
        """window.styleOf = (e) => {
          const { color, backgroundImage, backgroundColor } = getComputedStyle(e);
          return [color, backgroundImage, backgroundColor];
        };
        window.seen = [];
        new MutationObserver((all) => all.forEach(({ target }) => {
          if ("lit" in target.dataset) window.seen.push(window.styleOf(target));
        })).observe(document.querySelector("#windows-rows"), {subtree: true, attributes: true});"""
    )
    calm = number.evaluate("e => window.styleOf(e)")
    site.flow.push([event(1)])
    expect(number).to_have_text("2")
    page.wait_for_function("window.seen.length > 0")
    colour, *ground = page.evaluate("window.seen[0]")
    assert colour != calm[0]
    assert ground == calm[1:] == ["none", "rgba(0, 0, 0, 0)"]


def test_who_wants_no_motion_sees_no_number_light_up(
    make_site: MakeSite, open_page: OpenPage
) -> None:
    site = make_site()
    site.start()
    site.flow.push([event(0)])
    page = open_page(site.url, reduced_motion="reduce")
    number = page.get_by_test_id("window-n").first
    expect(number).to_have_text("1")
    page.evaluate(
        """window.lit = 0;
        new MutationObserver((all) => { window.lit += all.length; })
          .observe(document.querySelector("#windows-rows"),
                   {subtree: true, attributeFilter: ["data-lit"]});"""
    )
    site.flow.push([event(1)])
    expect(number).to_have_text("2")
    assert page.evaluate("window.lit") == 0


def test_times_that_differ_have_names_that_differ(make_site: MakeSite, open_page: OpenPage) -> None:
    """An event of a while ago went through in no time: its age is no time in the pipeline."""
    site = make_site()
    site.start()
    page = open_page(site.url)
    at = int(time.time()) - 3600
    for name, title, what in (
        ("oldest", "Oldest unprocessed", "event to now"),
        ("pipeline_p99", "Time in the pipeline, p99", "claim to commit"),
        ("lag_p99", "Age of events, p99", "event to commit"),
    ):
        heading = page.locator(f"#figure-{name} h3")
        expect(heading).to_have_text(title)
        expect(page.get_by_test_id(f"figure-{name}-also")).to_contain_text(what)
    site.flow.push(event(n, ts=at, esp="acme") for n in range(9))
    expect(figure(page, "lag_p99")).to_have_attribute("title", re.compile(r"^36\d\d(\.\d+)?$"))
    expect(figure(page, "pipeline_p99")).to_have_attribute("title", re.compile(r"^\d(\.\d+)?$"))
    words = page.get_by_test_id("figure-lag_p99-words")
    expect(words).to_have_text("up to 1 s too much: whole-second clocks (acme)")
    expect(page.get_by_test_id("figure-pipeline_p99-words")).to_be_empty()
    for word in ("lag", "latency", "delay"):
        assert not re.search(rf"\b{word}\b", page.inner_text("body"), re.IGNORECASE)


def test_rows_that_are_not_shown_are_not_said_to_be_none(
    make_site: MakeSite, open_page: OpenPage
) -> None:
    site = make_site(PEPI_WEB__ROWS="100")
    site.start()
    page = open_page(site.url)
    page.get_by_test_id("window-picker").select_option("hour")
    summary = page.get_by_test_id("windows-summary")
    expect(summary).to_have_text("Nothing has been counted yet.")
    at = int(time.time())  # one hour's
    site.flow.push(event(n, campaign=f"campaign {n}", ts=at) for n in range(1001))
    expect(summary).to_contain_text("One window alone has more than 1,000 rows, too many to show")
    page.reload()
    page.get_by_test_id("window-picker").select_option("hour")
    expect(summary).to_contain_text("One window alone has more than 1,000 rows")


def test_a_dead_letter_is_seen_whole_and_addresses_are_masked(
    make_site: MakeSite, open_page: OpenPage
) -> None:
    site = make_site()
    site.start()
    page = open_page(site.url)
    expect(page.get_by_test_id("dead-empty")).to_be_visible()
    site.flow.push([b'{"id": 1, "email": "somebody@example.com"}'])
    page.get_by_test_id("dead-open").first.click()
    dialog = page.get_by_test_id("dead-dialog")
    expect(dialog).to_be_visible()
    expect(page.get_by_test_id("dead-dialog-payload")).to_contain_text("s•••@example.com")
    assert "somebody" not in dialog.inner_text()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(figure(page, "dead")).to_have_text("1")


def test_why_a_dead_letter_cannot_be_seen_is_said(make_site: MakeSite, open_page: OpenPage) -> None:
    site = make_site()
    site.start()
    site.flow.push([b"not JSON"])
    page = open_page(site.url, quiet=False)  # the browser complains of the answer
    page.get_by_test_id("dead-open").first.wait_for()
    site.flow.sql("RENAME TABLE pepi_dead_letter TO away")
    page.get_by_test_id("dead-open").first.click()
    expect(page.get_by_test_id("dead-dialog")).to_contain_text("pepi_dead_letter")


def test_a_worker_without_windows_has_a_page_too(make_site: MakeSite, open_page: OpenPage) -> None:
    site = make_site(PEPI_CONFIG="config/article.toml")
    site.start()
    page = open_page(site.url)
    expect(figure(page, "workers")).to_have_text("1")
    expect(page.get_by_test_id("windows-empty")).to_be_visible()
    expect(page.get_by_test_id("series-words")).not_to_be_empty()
