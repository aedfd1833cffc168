"""What the providers' ways of proving who they are have in common."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

Headers = Mapping[str, str]
"""Of a request; names in any case."""
Clock = Callable[[], float]
"""Seconds since 1970."""

FUTURE_SECONDS: Final = 300
"""How far a provider's clock may be ahead of ours."""


class Refusal(Exception):
    """A request is not taken in.

    Args:
        status: of the answer.
        why: for the answer and the log. Our own words: nothing of the request, and no secret.
        challenge: a WWW-Authenticate header.
        public: for the answer, where `why` is for the log alone.
        kind: tells apart what is logged once a minute; `why` when left out.
    """

    def __init__(
        self, status: int, why: str, challenge: str = "", *, public: str = "", kind: str = ""
    ) -> None:
        super().__init__(why)
        self.status = status
        self.why = why
        self.challenge = challenge
        self.public = public or why
        self.kind = kind or why


@dataclass(frozen=True)
class Once:
    """A token that is good for one body, at all workers together."""

    token: str
    """It, or a digest of it; ASCII."""
    seconds: int
    """For how long it has to be remembered."""


@dataclass(frozen=True)
class Verdict:
    """What to do with a request that is what it says."""

    push: bool = True
    """Whether its body goes in the queue."""
    body: bytes | None = None
    """What goes there; None for the body as it came."""
    once: Once | None = None
    """The token that the body came under, if it has one."""


class Scheme(Protocol):
    """How requests of one format prove who sent them."""

    proves_early: bool
    """Whether :meth:`screen` lets nobody pass who is not known: by its headers, before the body."""

    def screen(self, headers: Headers) -> None:
        """Refuse what can be refused before the body is read.

        Raises:
            Refusal: with status 401.
        """

    async def verify(self, headers: Headers, body: bytes) -> Verdict:
        """Tell what to do with a request.

        Raises:
            Refusal: with status 401, or 503 when that cannot be told now.
        """


class Unsigned:
    """Takes everything: a proxy in front has looked (`ingest.unsigned`)."""

    proves_early = True

    def screen(self, headers: Headers) -> None:
        """Refuse nothing."""

    async def verify(self, headers: Headers, body: bytes) -> Verdict:
        """Let the body in."""
        return Verdict()


def wrong(why: str) -> Refusal:
    """Return the refusal of a signature that is missing, wrong or too old."""
    return Refusal(401, why, 'Signature realm="pepi_stream"')


def require_fresh(signed_at: float, max_age_seconds: float, now: Clock = time.time) -> None:
    """Check when a request was signed.

    Args:
        signed_at: seconds since 1970.
        max_age_seconds: how old it may be.
        now: the clock.

    Raises:
        Refusal: it was signed too long ago, or will be.
    """
    age = now() - signed_at
    if age > max_age_seconds:
        raise wrong("the signature is too old")
    if age < -FUTURE_SECONDS:
        raise wrong("the signature is of the future (are both clocks right?)")
