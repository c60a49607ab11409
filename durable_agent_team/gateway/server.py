"""The gateway put together: settings in, a running HTTP server out."""

import asyncio
import errno
import logging
import os
from contextlib import suppress

from aiohttp import web

from durable_agent_team.gateway.api import account_routes, chat_routes
from durable_agent_team.gateway.api.middleware import GATEWAY, Gateway, middleware
from durable_agent_team.gateway.api.request_telemetry import observing
from durable_agent_team.gateway.calls.gateway_calls import CallService
from durable_agent_team.gateway.calls.prices import Prices
from durable_agent_team.gateway.keys import KeyMaker, Scrubber, hash_key
from durable_agent_team.gateway.settings import LOCAL, Settings
from durable_agent_team.gateway.stores.measured_store import measured
from durable_agent_team.gateway.stores.sqlite_store import SqliteStore
from durable_agent_team.gateway.stores.store import Store
from durable_agent_team.gateway.telemetry import Telemetry
from durable_agent_team.gateway.upstreams.bundled_model import LocalUpstream
from durable_agent_team.gateway.upstreams.http_upstream import HttpUpstream, Upstream

log = logging.getLogger("gateway")

SWEEP_SECONDS = 2.0
"""How soon another gateway notices that one of its like has died."""


class PortTaken(Exception):
    """The address cannot be bound; the message names the settings."""


class Server:
    """Start, then stop. `url` is known once started."""

    def __init__(self, settings: Settings, telemetry: Telemetry | None = None) -> None:
        self.settings = settings
        self.prices = Prices.load(settings.gateway_prices)
        self.url = ""
        self._telemetry = telemetry or Telemetry.of(os.environ)

    async def start(self) -> None:
        settings = self.settings
        self.store: Store = SqliteStore(settings.gateway_database, settings.gateway_lease_seconds)
        if self._telemetry is not None:
            self.store = measured(self.store, self._telemetry.instruments)
        try:
            released = await self.store.release_abandoned()
            if released:
                log.warning("released %d calls that a dead gateway left reserved", released)
            self.upstream = make_upstream(settings)
            self.gateway = await self._wire()
            await self._listen()
        except BaseException:
            await self.store.close()
            raise
        self._sweeper = asyncio.create_task(self._sweep())

    async def _wire(self) -> Gateway:
        settings = self.settings
        parent = settings.gateway_parent_key.get_secret_value()
        secret = settings.gateway_secret.get_secret_value()
        scrub = Scrubber(parent, secret, settings.upstream_api_key.get_secret_value())
        calls = CallService(self.store, self.upstream, await self.store.refused_models(), scrub)
        return Gateway(
            settings=settings,
            store=self.store,
            calls=calls,
            prices=self.prices,
            keys=KeyMaker(secret),
            scrub=scrub,
            telemetry=self._telemetry,
            parent_hash=hash_key(parent),
            holders={},
        )

    async def _listen(self) -> None:
        settings = self.settings
        app = web.Application(
            middlewares=[observing, middleware], client_max_size=settings.gateway_max_body_bytes
        )
        app[GATEWAY] = self.gateway
        add_routes(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=5)
        await self._runner.setup()
        host, port = settings.gateway_host, settings.gateway_port
        self._site = web.TCPSite(self._runner, host, port, backlog=1024)
        try:
            await self._site.start()
        except OSError as error:
            await self._runner.cleanup()
            remedy = "Set GATEWAY_PORT to a free port, or to 0 for any."
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                remedy = "Set GATEWAY_HOST to an address of this machine, such as 127.0.0.1."
            raise PortTaken(
                f"GATEWAY_PORT {port} on GATEWAY_HOST {host} cannot be used: {error.strerror}."
                f" {remedy}"
            ) from error
        bound = self._runner.addresses[0]
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        self.url = f"http://{shown}:{bound[1]}"

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                if released := await self.store.release_abandoned():
                    log.warning("released %d abandoned calls", released)
            except Exception:
                log.exception("sweep failed")

    async def stop(self) -> None:
        """Takes no new calls, finishes those in flight (bounded), closes everything."""
        self.gateway.stopping = True
        self._sweeper.cancel()
        with suppress(asyncio.CancelledError):
            await self._sweeper
        await self._site.stop()
        await self.gateway.calls.drain(self.settings.gateway_shutdown_seconds)
        await self._runner.cleanup()
        await self.upstream.close()
        await self.store.close()
        if self._telemetry is not None:
            await asyncio.to_thread(self._telemetry.close)


def make_upstream(settings: Settings) -> Upstream:
    limits = (settings.upstream_timeout_seconds, settings.gateway_max_stream_bytes)
    if settings.upstream_url == LOCAL:
        return LocalUpstream(*limits)
    key = settings.upstream_api_key.get_secret_value()
    return HttpUpstream(settings.upstream_url, key, *limits)


def add_routes(app: web.Application) -> None:
    app.router.add_post("/v1/agents", account_routes.open_account)
    app.router.add_get("/v1/agents/{id}", account_routes.read_account)
    app.router.add_patch("/v1/agents/{id}", account_routes.change_account)
    app.router.add_get("/v1/agents/{id}/transactions", account_routes.transactions)
    app.router.add_post("/v1/transfers", account_routes.transfer)
    app.router.add_post("/v1/chat/completions", chat_routes.chat)
    app.router.add_get("/v1/models", chat_routes.models)
    app.router.add_get("/v1/models/{id:.+}", chat_routes.model)
    app.router.add_get("/healthz", chat_routes.health)
