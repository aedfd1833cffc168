"""What ends a worker is said once, however many of its tasks fail of it."""

from __future__ import annotations

import logging

import pytest

from pepi_stream.claims import Claim
from pepi_stream.errors import FatalError, PepiError
from pepi_stream.pipeline import Pipeline
from pepi_stream.services import Delivery
from pepi_stream.settings import load_settings


async def nothing(claim: Claim | None = None) -> None:
    """Stand in for a channel."""


async def test_tasks_that_fail_of_the_same_end_the_worker_once_with_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = load_settings({})
    ended: list[PepiError] = []
    delivery = Delivery(
        settings,
        Pipeline.from_settings(settings),
        deliver=nothing,
        subscribed=nothing,
        on_failure=ended.append,
    )

    async def denied(number: int) -> None:
        raise FatalError(f"access denied {number}")

    await delivery._guard(denied(1))
    await delivery._guard(denied(2))

    assert [str(failure) for failure in ended] == ["access denied 1"]
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    assert said == ["access denied 1"]
    await delivery.store.close()
