"""The whole topology: four agents, four channels, and the services at their ends.

    Q --claim.lua--> source --[claims]--> enrich --[enriched]--> window --[counted]--> sink
    ^---------------------------- ack.lua (+ PUBLISH deltas) <-------------- COMMIT ----'
                                     '--[announced]--> live --> live tables --> page

The unit on a channel is a batch, never an event. Agents are thin: what they do is in
:mod:`pepi_stream.pipeline`, what they hold is in :mod:`pepi_stream.services`.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import os
import signal
from collections.abc import AsyncIterable

import faust
import mode.loop
from faust.app.base import BootStrategy

from pepi_stream.announcements import Announcement
from pepi_stream.claims import Claim
from pepi_stream.errors import PepiError
from pepi_stream.events import Batch
from pepi_stream.live import Live
from pepi_stream.pipeline import Pipeline
from pepi_stream.runtime.worker import PepiWorker
from pepi_stream.services import Delivery, LiveService, live_table
from pepi_stream.settings import Settings
from pepi_stream.web import register_pages


class BrokerlessBoot(BootStrategy):
    """Starts no Kafka client: the queue is Redis."""

    enable_kafka = False


class PepiApp(faust.App):
    """The Faust app, with its settings and the services that hold its state."""

    BootStrategy = BrokerlessBoot
    logger = logging.getLogger("faust.app")  # for what Faust says of it
    settings: Settings
    delivery: Delivery
    live: Live
    live_service: LiveService
    exit_code = 0

    def _create_directories(self) -> None:
        """Keep no state on disk: Redis and MySQL have all of it."""

    async def on_started_init_extra_services(self) -> None:
        """Start the delivery after the agents; it is then the first to stop."""
        await super().on_started_init_extra_services()
        # Once, before anything is sent: resuming also clears every channel.
        self.flow_control.resume()
        await self.add_runtime_dependency(self.delivery)
        if self.conf.web_enabled:
            await self.add_runtime_dependency(self.live_service)

    def fail(self, failure: PepiError) -> None:
        """End the worker as SIGTERM would, with the failure's exit code."""
        self.exit_code = failure.exit_code
        os.kill(os.getpid(), signal.SIGTERM)


def build_app(settings: Settings) -> PepiApp:
    """Build the app; no I/O happens before a worker starts it.

    Raises:
        ConfigError: a format, enricher, column or window is not known.
    """
    mode.loop.use("uvloop")
    app = PepiApp(
        "pepi_stream",
        origin="pepi_stream",
        autodiscover=False,
        Worker=PepiWorker,
        web_bind=settings.web.bind,
        web_port=settings.web.port,
        # Faust's own pages show internals; ours are in pepi_stream.web.
        web_router_enabled=False,
        web_tables_enabled=False,
        web_graph_enabled=False,
        web_stats_enabled=False,
        web_metrics_enabled=False,
        worker_redirect_stdouts=False,
    )
    pipeline = Pipeline.from_settings(settings)
    claims = app.channel()
    enriched = app.channel()
    counted = app.channel()
    announced = app.channel()

    @app.agent(claims)
    async def enrich(stream: AsyncIterable[Claim]) -> None:
        """Decode a claim's payloads and add columns to its events."""
        async for claim in stream:
            with delivery.holding():
                batch = await delivery.enrich(claim)
                if batch is not None:
                    await enriched.send(value=batch)

    @app.agent(enriched)
    async def window(stream: AsyncIterable[Batch]) -> None:
        """Count a batch's events in every window."""
        async for batch in stream:
            with delivery.holding():
                await counted.send(value=pipeline.count(batch))

    @app.agent(counted)
    async def sink(stream: AsyncIterable[Batch]) -> None:
        """Hand batches to the sink, which commits them and acks their claims."""
        async for batch in stream:
            with delivery.holding():
                delivery.accept(batch)

    @app.agent(announced)
    async def live(stream: AsyncIterable[Announcement]) -> None:
        """Add what all workers committed to the live tables; idle unless the web is served."""
        async for said in stream:
            page.hear(said)

    async def deliver(claim: Claim) -> None:
        await claims.send(value=claim)

    async def announce(said: Announcement) -> None:
        await announced.send(value=said)

    async def subscribed() -> None:
        # A channel that nobody iterates yet drops what it is sent.
        # There is no event to wait for.
        channels = (claims, enriched, counted, announced)
        while not all(channel.subscriber_count for channel in channels):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    delivery = Delivery(
        settings, pipeline, deliver=deliver, subscribed=subscribed, on_failure=app.fail
    )
    announcer = delivery.source.announcer
    page = Live(
        settings,
        pipeline,
        worker=f"{announcer.host}:{announcer.pid}",
        version=importlib.metadata.version("pepi-stream"),
        rows=settings.web.rows,
        row_table=live_table(app, "live_windows"),
        series_table=live_table(app, "live_series"),
        held=lambda: delivery.source.held.uncommitted,
        committed=lambda: delivery.rows + delivery.dead,
        checked=lambda: delivery.checked,
        redis=delivery.redis,
        mysql=delivery.mysql,
    )
    app.settings, app.delivery, app.live = settings, delivery, page
    app.live_service = LiveService(page, deliver=announce, subscribed=subscribed)
    register_pages(app, settings, page)
    return app
