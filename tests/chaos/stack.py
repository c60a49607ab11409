"""The storm's own stack: Temporal server, gateway and two workers, a process each; the scripted
upstream and a receiver of traces in this one. Everything in a folder that goes away."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from aiohttp import web
from dotenv import dotenv_values
from temporalio.client import Client

from durable_agent_team.local_stack.stack_plan import Part, StackPlan, write_private
from durable_agent_team.process.project_root import PROJECT_ROOT
from durable_agent_team.process.stack_state import LOCAL_ENV
from tests.chaos.disks import Disk, disk
from tests.chaos.processes import Victim
from tests.chaos.schedule import (
    LEASE_SECONDS,
    LONG_AWAY,
    SECOND_GATEWAY,
    TEXTS,
    UPSTREAM_TIMEOUT,
    has_two_gateways,
    keeps_texts_in_gateway,
)
from tests.chaos.stdio_servers import StdioServers
from tests.chaos.strikes import GatewayStrikes
from tests.chaos.teams import DEAR, PIDS, PRICES
from tests.chaos.text_stores import TextStore
from tests.chaos.upstream import StormUpstream, key_of
from tests.support.gateway import write_prices
from tests.support.ports import lasting_ports
from tests.support.serving import listening
from tests.support.stack import client_of, plan_in

TRACES = "traces.otlp"
READY = {"gateway": "gateway ready", "worker": "worker ready"}
"""What their logs have when they are."""


@dataclass
class Stack:
    folder: Path
    client: Client
    upstream: StormUpstream
    victims: dict[str, Victim]
    disks: dict[str, Disk]
    texts: TextStore
    stdio_servers: StdioServers
    http_server: str
    """The address of the server of tools by HTTP."""
    secrets: dict[str, str]
    gateways: list[str]
    """Their addresses."""

    @property
    def database(self) -> Path:
        return self.disks["gateway"].folder / "gateway.db"

    async def kill_tool_servers(self) -> None:
        """At once; those by HTTP come back by themselves, the others with the next call."""
        await asyncio.gather(
            self.stdio_servers.kill(0, patience=0), self.victims["http_server"].kill(0)
        )

    @property
    def names(self) -> list[str]:
        """What its processes have in their command lines or environments."""
        return [str(self.folder), *self.gateways]

    async def end(self) -> None:
        """All its processes."""
        await asyncio.gather(*(victim.end() for victim in self.victims.values()))

    async def calm(self) -> None:
        """Until each gateway is ready, whatever has just struck it. Raises `NotReady`."""
        for gateway in _gateways(self.victims).values():
            async with gateway.undisturbed(READY["gateway"]):
                pass

    async def look_after(self) -> None:
        """Restarts processes that exit, as a supervisor does."""
        while True:
            await asyncio.sleep(0.3)
            for victim in self.victims.values():
                await victim.look_after()


@asynccontextmanager
async def stack(seed: int) -> AsyncIterator[Stack]:
    """Ready for runs. Leaves no process behind, whatever happened."""
    async with AsyncExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        upstream = await exits.enter_async_context(StormUpstream(seed))
        traces = await exits.enter_async_context(_receiver(folder / TRACES))
        in_gateway = keeps_texts_in_gateway(seed)
        plan = plan_in(folder, upstream.url, DEAR)
        names = ["gateway", "temporal", *([] if in_gateway else [TEXTS])]
        disks = {name: exits.enter_context(disk(name, folder / f"{name}-disk")) for name in names}
        if not in_gateway:
            plan = _with_texts_in(plan, disks[TEXTS].folder / TEXTS)
        parts = {part.name: _on_disk(part, folder, disks) for part in plan.parts}
        observed = {"OTEL_EXPORTER_OTLP_ENDPOINT": traces}
        limits = {
            "GATEWAY_PRICES": str(write_prices(folder / "prices.toml", PRICES)),
            "UPSTREAM_TIMEOUT_SECONDS": str(UPSTREAM_TIMEOUT),
            "GATEWAY_LEASE_SECONDS": str(LEASE_SECONDS),
        }
        port, second_port = lasting_ports(2)
        gateways = [plan.gateway_url]
        of_second: dict[str, str] = {}
        if has_two_gateways(seed):
            gateways.append(f"http://127.0.0.1:{second_port}")
            of_second = dict.fromkeys(("ATXP_API_URL", "ATXP_LLM_URL"), f"{gateways[1]}/v1")
        victims = {
            "temporal": _victim("temporal", parts["temporal"], folder, {}),
            "gateway": _gateway("gateway", parts["gateway"], folder, {**limits, **observed}),
            "worker-1": _victim("worker-1", parts["worker"], folder, observed),
            "worker-2": _victim("worker-2", parts["worker"], folder, {**observed, **of_second}),
            "http_server": _http_server(folder, port),
        }
        if of_second:
            own = {**limits, **observed, "GATEWAY_PORT": str(second_port)}
            victims[SECOND_GATEWAY] = _gateway(SECOND_GATEWAY, parts["gateway"], folder, own)
        for victim in victims.values():
            exits.callback(victim.end_at_once)
        exits.push_async_callback(_end_all, victims)
        for victim in victims.values():
            await victim.start()
        client = await client_of(plan)
        asking = _gateways(victims)
        for each in asking.values():
            await each.ready(READY["gateway"])
        for name in ("worker-1", "worker-2"):
            await victims[name].ready(READY["worker"])
        secrets = {**parts["worker"].env, **parts["gateway"].env}
        texts = _text_store(victims, disks["gateway" if in_gateway else TEXTS].folder)
        frozen_seconds = LONG_AWAY["freeze", "gateway"]
        upstream.on_answer = GatewayStrikes(seed, asking, frozen_seconds).answered
        servers = StdioServers(folder / PIDS)
        address = f"http://127.0.0.1:{port}"
        yield Stack(
            folder, client, upstream, victims, disks, texts, servers, address, secrets, gateways
        )


def _with_texts_in(plan: StackPlan, texts: Path) -> StackPlan:
    """The plan with large texts in a directory instead of in the gateway."""
    texts.mkdir()
    setting = {"EXTERNAL_STORAGE": texts.as_uri()}
    write_private(plan.folder / LOCAL_ENV, {**_local(plan), **setting})
    parts = tuple(
        replace(part, env={**part.env, **setting}) if "EXTERNAL_STORAGE" in part.env else part
        for part in plan.parts
    )
    return replace(plan, parts=parts)


def _local(plan: StackPlan) -> dict[str, str]:
    values = dotenv_values(plan.folder / LOCAL_ENV)
    return {name: value for name, value in values.items() if value is not None}


def _text_store(victims: dict[str, Victim], folder: Path) -> TextStore:
    """In the gateway's database of texts, or a directory: whichever this folder has."""
    if (folder / TEXTS).exists():
        workers = [victim for name, victim in victims.items() if name.startswith("worker")]
        return TextStore([folder / TEXTS], dict.fromkeys(workers, READY["worker"]))
    blobs = [folder / f"gateway-blobs.db{suffix}" for suffix in ("", "-wal", "-shm")]
    return TextStore(blobs, dict.fromkeys(_gateways(victims).values(), READY["gateway"]))


def _gateways(victims: dict[str, Victim]) -> dict[str, Victim]:
    return {name: victim for name, victim in victims.items() if name.startswith("gateway")}


def _on_disk(part: Part, folder: Path, disks: dict[str, Disk]) -> Part:
    """The part, with its database on its own disk."""
    if part.name not in disks:
        return part
    new = disks[part.name].folder
    if part.name == "temporal":  # its database is in the folder that it is started in
        return replace(part, directory=new)
    old = str(folder / f"{part.name}.db")
    env = {
        name: value.replace(old, str(new / f"{part.name}.db")) for name, value in part.env.items()
    }
    moved = replace(part, env=env)
    assert moved != part, f"{part.name} has its database elsewhere"
    return moved


def _victim(name: str, part: Part, folder: Path, more: dict[str, str]) -> Victim:
    log = folder / "logs" / f"{name}.log"
    return Victim(name, part.command, {**part.env, **more}, log, part.directory)


def _gateway(name: str, part: Part, folder: Path, more: dict[str, str]) -> Victim:
    return _victim(name, part, folder, {**more, "UPSTREAM_API_KEY": key_of(name)})


def _http_server(folder: Path, port: int) -> Victim:
    pids = str(folder / "http-server")
    command = (sys.executable, "-m", "tests.chaos.tool_server", pids, "--port", str(port))
    return Victim("http_server", command, {}, folder / "logs" / "http_server.log", PROJECT_ROOT)


async def _end_all(victims: dict[str, Victim]) -> None:
    await asyncio.gather(*(victim.end() for victim in victims.values()))


@asynccontextmanager
async def _receiver(path: Path) -> AsyncIterator[str]:
    """Takes OTLP over HTTP and keeps the bytes; gives its address."""

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        with path.open("ab") as file:
            file.write(body)
        return web.Response(content_type="application/x-protobuf")

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{tail:.*}", take)
    async with listening(app) as url:
        yield url


SECRET_NAMES = ("ATXP_API_KEY", "GATEWAY_SECRET", "SEALING_KEY")
KEPT_OUT = frozenset({LOCAL_ENV})
"""The one file that is there to hold secrets."""
