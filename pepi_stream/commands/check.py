"""``check``: the settings in force, and whether both servers are fit for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import click
from faust.cli import option

from pepi_stream.commands.base import PepiCommand
from pepi_stream.errors import ConfigError
from pepi_stream.ingest import SECRETS, unsigned_formats
from pepi_stream.monitor import Finding, mysql_findings, redis_findings
from pepi_stream.printable import printable
from pepi_stream.settings import Settings, describe
from pepi_stream.web import require_closed

_ORDER = ("fail", "warn", "ok")
_OPTIONS: list[Any] = [
    option(
        "--settings/--no-settings",
        "show_settings",
        default=True,
        help="Show the settings in force after the findings.  [default: settings]",
    ),
]


class check(PepiCommand):
    """Look at both servers and say what to fix; then show the settings in force (secrets hidden).

    What is wrong comes first. Exit code 0 when a worker can run, 1 when something must be fixed
    first.
    """

    options = _OPTIONS

    async def run(self, show_settings: bool, **kwargs: Any) -> int:
        """Print findings and settings."""
        findings = [
            finding
            for look in (redis_findings, mysql_findings, web_findings, ingest_findings)
            async for finding in look(self.settings)
        ]
        findings.sort(key=lambda finding: _ORDER.index(finding.level))
        for level, what, remedy in findings:
            click.echo(printable(f"{level:<4} {what}{f': {remedy}' if remedy else ''}"))
        if show_settings:
            click.echo()
            for name, value, origin in describe(self.settings):
                click.echo(f"{name} = {value}  ({origin})")
        return 1 if any(finding.level == "fail" for finding in findings) else 0


async def web_findings(settings: Settings) -> AsyncIterator[Finding]:
    """Look at who could see the page."""
    try:
        require_closed(settings.web.bind, settings.web)
    except ConfigError as exc:
        yield Finding("fail", str(exc))


async def ingest_findings(settings: Settings) -> AsyncIterator[Finding]:
    """Look at which webhooks are taken in, and from whom."""
    if settings.ingest.formats:
        yield Finding("ok", f"webhooks are taken in: {', '.join(settings.ingest.formats)}")
    for name in unsigned_formats(settings.ingest):
        yield Finding(
            "warn",
            f"anybody who reaches /ingest/{name} can send events (ingest.unsigned)",
            f"let a proxy check who sends, or set PEPI_INGEST__{SECRETS[name].upper()}",
        )
