"""Builds the gateway from its settings and runs its HTTP server."""

import asyncio
import errno
import logging
import os
from contextlib import suppress
from functools import partial

from aiohttp import web

from durable_agent_team.gateway.api import (
    account_batches,
    account_routes,
    blob_routes,
    chat_routes,
    door_routes,
    effect_routes,
    embedding_routes,
    ledger_routes,
    scope_routes,
    tool_charge_routes,
)
from durable_agent_team.gateway.api.byte_budget import ByteBudget
from durable_agent_team.gateway.api.door_path import SCOPED
from durable_agent_team.gateway.api.gateway_context import GATEWAY, GatewayContext
from durable_agent_team.gateway.api.http_connection import HttpRunner
from durable_agent_team.gateway.api.middleware import handle_errors
from durable_agent_team.gateway.api.openapi_document import add_document, openapi
from durable_agent_team.gateway.api.openapi_operations import PATH
from durable_agent_team.gateway.api.request_spans import observe_requests
from durable_agent_team.gateway.calls.call_service import CallService
from durable_agent_team.gateway.calls.upstream_protocol import Upstream
from durable_agent_team.gateway.gateway_settings import LOCAL, GatewaySettings, upstream_environment
from durable_agent_team.gateway.keys import KeyMaker, hash_key
from durable_agent_team.gateway.models.model_table import ModelTable
from durable_agent_team.gateway.models.upstreams import NamedUpstream
from durable_agent_team.gateway.otel_providers import GatewayTelemetry
from durable_agent_team.gateway.stores.blob_store import BlobStore
from durable_agent_team.gateway.stores.metered_store import MeteredStore
from durable_agent_team.gateway.stores.sqlite_blobs import SqliteBlobs, blobs_file
from durable_agent_team.gateway.stores.sqlite_file import SchemaError
from durable_agent_team.gateway.stores.sqlite_store import SqliteStore
from durable_agent_team.gateway.stores.store import Store, StoreError
from durable_agent_team.gateway.upstreams.bundled_model_server import ModelMissing
from durable_agent_team.gateway.upstreams.bundled_model_upstream import BundledModelUpstream
from durable_agent_team.gateway.upstreams.guarded_upstream import GuardedUpstream
from durable_agent_team.gateway.upstreams.http_upstream import HttpUpstream
from durable_agent_team.gateway.upstreams.upstream_check import check_upstreams
from durable_agent_team.gateway.upstreams.upstream_limits import UpstreamLimits
from durable_agent_team.gateway.upstreams.upstream_router import UpstreamRouter

log = logging.getLogger("gateway")

RELEASE_SECONDS = 2.0
"""How soon a gateway notices that another one on the same database has died."""


BLOBS_IN_MEMORY = 64 * 1024 * 1024
"""Bytes of blobs that arrive or leave at once."""
REMOVE_SECONDS = 600.0
"""How often expired blobs are looked for."""


OWN_HOST = "Set GATEWAY_HOST to an address of this machine, such as 127.0.0.1."


class PortTaken(Exception):
    """The address cannot be bound; the message names the settings."""


class Server:
    """`start`, then `stop`. `url` is known after `start`."""

    def __init__(
        self,
        settings: GatewaySettings,
        telemetry: GatewayTelemetry | None = None,
        models: ModelTable | None = None,
    ) -> None:
        """Without `models`, those of the settings, with the presets whose keys are set."""
        self.settings = settings
        self.models = models or settings.models(upstream_environment())
        self.url = ""
        self.blobs: BlobStore | None = None
        self._telemetry = telemetry or GatewayTelemetry.from_environment(os.environ)

    async def start(self) -> None:
        settings = self.settings
        self._keys = KeyMaker(settings.gateway_secret.get_secret_value())
        self.store: Store = SqliteStore(
            settings.gateway_database, settings.gateway_lease_seconds, self._keys.fingerprint()
        )
        if self._telemetry is not None:
            self.store = MeteredStore(self.store, self._telemetry.instruments)
        try:
            await self._release_of_dead_gateways()
            limit = settings.gateway_blob_storage_bytes
            self.blobs = SqliteBlobs(blobs_file(settings.gateway_database), limit)
            self.upstream = make_upstream(settings, self.models)
            self.gateway = await self._make_context()
            await self._listen()
        except BaseException:
            await self.store.close()
            if self.blobs is not None:
                await self.blobs.close()
            raise
        if self.models.uses_catalogue:
            # Its import takes up to a second, which must not hold the first call.
            self._loading = asyncio.ensure_future(asyncio.to_thread(self.models.listed))
        self._periodic = (
            asyncio.create_task(self._release_periodically()),
            asyncio.create_task(self._remove_blobs_periodically()),
        )

    async def _release_of_dead_gateways(self) -> None:
        """Raises SchemaError where the database cannot be written."""
        try:
            released = await self.store.release_abandoned()
        except StoreError as error:
            raise SchemaError(
                f"GATEWAY_DATABASE {self.settings.gateway_database}: {error}. Make room on its"
                " disk, or correct what else is wrong with it, and start the gateway again"
            ) from error
        if released:
            log.warning("released %d reservations of a dead gateway", released)

    async def _make_context(self) -> GatewayContext:
        settings = self.settings
        parent = settings.gateway_parent_key.get_secret_value()
        assert self.blobs is not None
        scrub = settings.scrubber(*self.models.secrets)
        calls = CallService(self.store, self.upstream, await self.store.overruns(), scrub)
        return GatewayContext(
            settings=settings,
            store=self.store,
            calls=calls,
            models=self.models,
            keys=self._keys,
            scrub=scrub,
            telemetry=self._telemetry,
            parent_hash=hash_key(parent),
            blobs=self.blobs,
            blob_memory=ByteBudget(BLOBS_IN_MEMORY),
            key_holders={},
            check_upstreams=partial(check_upstreams, self.models.upstreams.values(), scrub),
        )

    async def _listen(self) -> None:
        settings = self.settings
        app = web.Application(
            middlewares=[observe_requests, handle_errors],
            client_max_size=settings.gateway_max_body_bytes,
        )
        app[GATEWAY] = self.gateway
        add_routes(app)
        add_document(app, self.models)
        self._runner = HttpRunner(
            app, settings.gateway_request_seconds, settings.gateway_idle_seconds
        )
        await self._runner.setup()
        host, port = settings.gateway_host, settings.gateway_port
        self._site = web.TCPSite(self._runner, host, port, backlog=1024)
        try:
            await self._site.start()
        except UnicodeError:
            await self._runner.cleanup()
            raise PortTaken(f"GATEWAY_HOST {host} is not the name of a host. {OWN_HOST}") from None
        except OSError as error:
            await self._runner.cleanup()
            remedy = "Set GATEWAY_PORT to a free port, or to 0 for any."
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                remedy = OWN_HOST
            raise PortTaken(
                f"GATEWAY_PORT {port} on GATEWAY_HOST {host} cannot be used: {error.strerror}."
                f" {remedy}"
            ) from error
        bound = self._runner.addresses[0]
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        self.url = f"http://{shown}:{bound[1]}"

    async def _release_periodically(self) -> None:
        while True:
            await asyncio.sleep(RELEASE_SECONDS)
            try:
                if released := await self.store.release_abandoned():
                    log.warning("released %d abandoned reservations", released)
                # Another gateway on the database may have found out about a model's price.
                self.gateway.calls.overruns.update(await self.store.overruns())
            except (StoreError, OSError) as error:
                log.error("releasing abandoned reservations failed: %s", error)
            except Exception:
                log.exception("releasing abandoned reservations failed")

    async def _remove_blobs_periodically(self) -> None:
        after_seconds = self.settings.gateway_blob_days * 86_400
        while True:
            try:
                removed = await self.gateway.blobs.remove_unused(after_seconds)
            except StoreError as error:
                log.error("removing expired blobs failed: %s", error)
                removed = 0
            if removed:
                log.info("removed %d expired blobs", removed)
            await asyncio.sleep(0.1 if removed else REMOVE_SECONDS)

    async def stop(self) -> None:
        """Refuses new calls, finishes those in flight within a time limit, closes everything."""
        self.gateway.stopping = True
        self.gateway.calls.scope_watch.end()
        for task in self._periodic:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._site.stop()
        await self.gateway.calls.drain(self.settings.gateway_shutdown_seconds)
        await self._runner.cleanup()
        await self.upstream.close()
        await self.store.close()
        await self.gateway.blobs.close()
        if self._telemetry is not None:
            await asyncio.to_thread(self._telemetry.close)


def make_upstream(settings: GatewaySettings, models: ModelTable) -> Upstream:
    """A router to every upstream that can be called, each behind circuits of its own."""
    called = {name: each for name, each in models.upstreams.items() if each.missing is None}
    try:
        return UpstreamRouter({name: _connect(settings, each) for name, each in called.items()})
    except ModelMissing as error:
        lacks = [
            f"{each.name} lacks {each.missing}"
            for each in models.upstreams.values()
            if each.missing
        ]
        if not lacks:
            raise
        raise ModelMissing(f"{error} Of the models file, {', '.join(lacks)}.") from None


def _connect(settings: GatewaySettings, upstream: NamedUpstream) -> Upstream:
    entry = upstream.entry
    limits = UpstreamLimits(
        entry.timeout_seconds or settings.upstream_timeout_seconds,
        settings.gateway_max_stream_bytes,
        settings.gateway_max_answer_bytes,
    )
    if upstream.name == LOCAL and not upstream.url:
        return BundledModelUpstream(limits)
    http = HttpUpstream(
        upstream.url,
        upstream.key,
        limits,
        auth=entry.key_header,
        query=entry.query,
        headers=entry.headers,
    )
    failures = settings.upstream_circuit_failures
    return GuardedUpstream(http, failures, name=upstream.name) if failures else http


def add_routes(app: web.Application) -> None:
    app.router.add_post("/v1/agents", account_routes.open_account)
    app.router.add_post("/v1/agents/batch", account_batches.open_accounts)
    app.router.add_patch("/v1/agents/batch", account_batches.change_accounts)
    app.router.add_get("/v1/agents/{id}", account_routes.read_account)
    app.router.add_patch("/v1/agents/{id}", account_routes.change_account)
    app.router.add_get("/v1/agents/{id}/transactions", ledger_routes.transactions)
    app.router.add_post("/v1/transfers", account_routes.transfer)
    app.router.add_post("/v1/charges", tool_charge_routes.reserve_charge)
    app.router.add_get("/v1/charges/{key}", tool_charge_routes.read_charge)
    app.router.add_post("/v1/charges/{key}/settle", tool_charge_routes.settle_charge)
    app.router.add_post("/v1/charges/{key}/release", tool_charge_routes.release_charge)
    app.router.add_put("/v1/blobs/{sha256}", blob_routes.put_blob)
    app.router.add_get("/v1/blobs/{sha256}", blob_routes.read_blob, allow_head=False)
    app.router.add_head("/v1/blobs/{sha256}", blob_routes.look_up_blob)
    for before in ("", SCOPED):
        app.router.add_post(f"{before}/v1/chat/completions", chat_routes.chat)
        app.router.add_post(f"{before}/v1/responses", door_routes.responses)
        app.router.add_post(f"{before}/v1/messages", door_routes.messages)
        app.router.add_post(f"{before}/v1/embeddings", embedding_routes.embeddings)
        app.router.add_get(f"{before}/v1/models", chat_routes.models)
        app.router.add_get(f"{before}/v1/models/{{id:.+}}", chat_routes.model)
    app.router.add_get("/v1/scopes/{scope}", scope_routes.scope)
    effects = "/v1/scopes/{scope}/effects"
    app.router.add_get(effects, effect_routes.list_effects)
    app.router.add_get(effects + "/{effect}", effect_routes.read_effect)
    app.router.add_post(effects + "/{effect}/begin", effect_routes.begin_effect)
    app.router.add_post(effects + "/{effect}/finish", effect_routes.finish_effect)
    app.router.add_post(effects + "/{effect}/resolve", effect_routes.resolve_effect)
    app.router.add_get("/v1/upstreams", chat_routes.upstreams)
    app.router.add_get("/healthz", chat_routes.health)
    app.router.add_get(PATH, openapi)
