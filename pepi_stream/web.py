"""The worker's web pages: a probe, and what this queue looks like now."""

from __future__ import annotations

from typing import Any

from pepi_stream.claims.failures import redis_failure
from pepi_stream.errors import PepiError
from pepi_stream.services import Delivery

_PAGE = """\
<!doctype html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<meta name="viewport" content="width=device-width"><title>pepi_stream</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:40rem;padding:0 1rem}}
td{{padding:.2rem 1rem .2rem 0}}td+td{{text-align:right;font-variant-numeric:tabular-nums}}</style>
<h1>pepi_stream</h1>
<table>{rows}</table>
"""


def register_pages(app: Any, delivery: Delivery) -> None:
    """Add ``/healthz``, ``/live/`` and ``/live/snapshot`` to the app."""

    async def healthz(view: Any, request: Any) -> Any:
        """Answer while the process is up."""
        return view.text("ok\n")

    async def snapshot(view: Any, request: Any) -> Any:
        """Answer with the queue and this worker's counters as JSON; 503 without Redis."""
        try:
            return view.json(await _snapshot(delivery))
        except PepiError as exc:
            return view.json({"error": str(exc)}, status=503)

    async def live(view: Any, request: Any) -> Any:
        """Show the snapshot to a person."""
        try:
            items = await _snapshot(delivery)
        except PepiError:
            return view.html(_PAGE.format(rows="<tr><td>Redis does not answer</td></tr>"))
        rows = "".join(
            f"<tr><td>{name.replace('_', ' ')}</td><td>{value:,}</td></tr>"
            for name, value in items.items()
        )
        return view.html(_PAGE.format(rows=rows))

    app.page("/healthz")(healthz)
    app.page("/live/snapshot")(snapshot)
    app.page("/live/")(live)


async def _snapshot(delivery: Delivery) -> dict[str, Any]:
    try:
        queued, claims = await delivery.store.depth()
    except Exception as exc:
        raise redis_failure(exc, "looking at the queue") from exc
    return {
        "queued_payloads": queued,
        "open_claims": claims,
        "rows_by_this_worker": delivery.rows,
        "dead_letters_by_this_worker": delivery.dead,
    }
