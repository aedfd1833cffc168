"""A server that takes webhooks in, over real sockets into a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

import aiohttp
import redis

from pepi_stream.claims import connect_redis
from pepi_stream.ingest import Receiver, build_receiver
from pepi_stream.ingest.basic import Basic
from pepi_stream.ingest.scheme import Scheme
from pepi_stream.settings import load_settings
from tests.web_pages import Site, site
from tests.webhooks import BASIC, MAILGUN_KEY, TOPIC
from tests.webhooks import sendgrid_public_key as public_key

MAX = 4096
BODY = b'{"id": 1, "event_name": "sent"}\r\n'
SETTINGS = {
    "PEPI_SOURCE__FORMAT": "auto",
    "PEPI_INGEST__FORMATS": "sendgrid,mailgun,ses,postmark,sparkpost,plain",
    "PEPI_INGEST__MAX_BYTES": str(MAX),
    "PEPI_INGEST__SENDGRID_PUBLIC_KEY": public_key(),
    "PEPI_INGEST__MAILGUN_SIGNING_KEY": MAILGUN_KEY,
    "PEPI_INGEST__SES_TOPIC_ARNS": TOPIC,
    "PEPI_INGEST__POSTMARK_BASIC": BASIC,
    "PEPI_INGEST__SPARKPOST_BASIC": BASIC,
    "PEPI_INGEST__PLAIN_BASIC": BASIC,
}


NO_SETTINGS: Mapping[str, str] = MappingProxyType({})


class Door(NamedTuple):
    """A server that takes webhooks in, and the queue behind it."""

    pages: Site
    client: aiohttp.ClientSession
    redis: Any

    async def post(self, path: str, body: Any = BODY, **headers: str) -> aiohttp.ClientResponse:
        async with self.client.post(path, data=body, headers=headers) as answer:
            await answer.read()
            return answer

    def queue(self) -> list[bytes]:
        found: list[bytes] = self.redis.lrange("pepi_queue", 0, -1)
        return found


@asynccontextmanager
async def door(
    url: str,
    receiver: Receiver | None = None,
    *,
    fetch: Any = None,
    token: str = "",
    settings: Mapping[str, str] = NO_SETTINGS,
) -> AsyncIterator[Door]:
    """Open a door, with all formats but pepipost unless a receiver is given.

    Args:
        url: of Redis.
        receiver: what takes webhooks in; one of the settings unless given.
        fetch: gets SNS's certificates.
        token: of the page.
        settings: more of them, by the names of their environment variables.
    """
    loaded = load_settings(SETTINGS | dict(settings) | {"REDIS_URL": url})
    receiver = receiver or build_receiver(loaded, *([fetch] if fetch else []))
    with redis.Redis.from_url(url) as queue:
        async with (
            site(receiver=receiver, token=token) as pages,
            aiohttp.ClientSession(pages.url) as client,
        ):
            yield Door(pages, client, queue)


def receiver(url: str, schemes: Mapping[str, Scheme] | None = None, **more: Any) -> Receiver:
    """Return one, for the format plain alone unless told otherwise."""
    settings = load_settings({"REDIS_URL": url}).redis
    options: dict[str, Any] = {"max_bytes": MAX, **more}
    schemes = schemes or {"plain": Basic(BASIC)}
    return Receiver(schemes, connect_redis(settings), "pepi_queue", **options)
