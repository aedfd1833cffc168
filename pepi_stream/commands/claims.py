"""``claims``: claims that need a person, and what to do with them."""

from __future__ import annotations

from typing import Any

import click
from faust.cli import argument, option

from pepi_stream.claims import ClaimStore, connect_redis
from pepi_stream.claims.failures import redis_failure
from pepi_stream.commands.base import PepiCommand
from pepi_stream.printable import printable

_OPTIONS: list[Any] = [
    argument("action", type=click.Choice(["adopt"])),
    option("--dry-run", is_flag=True, help="Show which claims they are, and change nothing."),
]


class claims(PepiCommand):
    """Adopt claims that nobody leases: claims adopt [--dry-run].

    A claim whose lease is gone (its index key was deleted or evicted) is recovered by no worker.
    `adopt` gives it a lease that has run out, so that the next worker takes it over. It keeps its
    id, by which the ledger tells whether it had taken effect: nothing counts twice. Safe beside
    running workers, and to run again.
    """

    options = _OPTIONS

    async def run(self, action: str, dry_run: bool, **kwargs: Any) -> int:
        """Find and adopt."""
        source = self.settings.source
        redis = connect_redis(self.settings.redis)
        store = ClaimStore(redis, queue=source.queue, lease_seconds=source.lease_seconds)
        try:
            found = await store.unleased()
            for claim_id in found:
                click.echo(printable(claim_id))
            if dry_run:
                click.echo(f"{len(found)} claims have no lease; nothing was changed")
                return 0
            adopted = await store.adopt(found)
        except Exception as exc:
            raise redis_failure(exc, "adopting claims") from exc
        finally:
            await redis.aclose()
        click.echo(f"{adopted} claims adopted; the workers take them over")
        return 0
