"""The live page's data, and the tables that it must equal: promise P6."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from pepi_stream.local.books import select
from pepi_stream.settings import Settings
from pepi_stream.tables import TableNames

_MOST_NAMED = 5


def snapshot(port: int, token: str = "") -> dict[str, Any]:
    """Fetch `/live/snapshot` of a worker on this machine."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/live/snapshot")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def differences(page: dict[str, Any], mysql: Any, settings: Settings) -> list[str]:
    """Compare a snapshot with the tables now.

    Args:
        page: the snapshot.
        mysql: from :func:`pepi_stream.local.books.connect`.
        settings: of the worker.

    Returns:
        What differs, in words.
    """
    wrong = []
    names = TableNames.from_settings(settings)
    if page["windows"].keys() != settings.windows.keys():
        wrong.append(f"the page has the windows {sorted(page['windows'])}")
    for name, shown in page["windows"].items():
        by = "".join(f", `{column}`" for column in settings.windows[name].by)
        table = f"`{names.window(name)}`"
        rows = {
            (int(start), tuple(values)): int(n)
            for start, *values, n in select(
                mysql,
                f"SELECT UNIX_TIMESTAMP(window_start){by}, n FROM {table} "
                f"WHERE window_start >= TIMESTAMPADD(SECOND, {int(shown['floor'])}, '1970-01-01')",
            )
        }
        page_rows = {(start, tuple(values)): n for start, values, n in shown["rows"]}
        differing = {
            key: (page_rows.get(key), rows.get(key))
            for key in page_rows.keys() | rows.keys()
            if page_rows.get(key) != rows.get(key)
        }
        if differing:
            some = dict(sorted(differing.items())[:_MOST_NAMED])
            wrong.append(f"{name}: {len(differing)} rows (page, table), among them {some}")
        [(there,)] = select(mysql, f"SELECT COUNT(*) FROM {table}")
        if int(there) <= settings.web.rows and len(rows) < int(there):
            wrong.append(f"{name}: shows {len(rows)} of {there} rows, and has room for all")
    [(dead,)] = select(mysql, f"SELECT COUNT(*) FROM `{names.dead_letters}` WHERE part = 0")
    if page["figures"]["dead"]["value"] != int(dead):
        wrong.append(f"dead letters: {page['figures']['dead']['value']} of {dead}")
    return wrong
