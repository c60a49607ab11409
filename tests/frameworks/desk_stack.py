"""A stack for the teams of frameworks: Temporal server, gateway and worker, a process each."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from benchmarks.process import Process
from durable_agent_team.local_stack.stack_plan import LOCAL_MODEL, Part
from durable_agent_team.process.project_root import PROJECT_ROOT
from tests.frameworks.staged_teams import ENVIRONMENTS, TEAMS
from tests.support.gateway import write_prices
from tests.support.stack import client_of, plan_in

MODEL = "m"
PRICES = {MODEL: {"input_usd_per_million": "1", "output_usd_per_million": "2"}}


@dataclass
class DeskStack:
    """`tickets` is where the agents' tool writes."""

    client: Client
    tickets: Path

    def written(self) -> list[str]:
        if not self.tickets.exists():
            return []
        return self.tickets.read_text(encoding="utf-8").splitlines()


@asynccontextmanager
async def desk_stack(upstream_url: str | None) -> AsyncIterator[DeskStack]:
    """`upstream_url`: of the scripted upstream; None for the bundled model."""
    data = PROJECT_ROOT / ".data"
    data.mkdir(exist_ok=True)
    async with AsyncExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="frameworks-", dir=data))
        )
        plan = plan_in(folder, upstream_url or "local", MODEL if upstream_url else LOCAL_MODEL)
        parts = {part.name: part for part in plan.parts}
        tickets = folder / "tickets.txt"
        given = (
            {"GATEWAY_PRICES": str(write_prices(folder / "prices.toml", PRICES))}
            if upstream_url
            else {"GATEWAY_MODELS": str(TEAMS / "models.toml")}
        )
        programs = {"TICKETS": str(tickets), "PROGRAM_ENVIRONMENTS": str(ENVIRONMENTS)}
        await _started(stack, folder, parts["temporal"], {})
        gateway = await _started(stack, folder, parts["gateway"], given)
        await gateway.line("gateway ready")
        client = await client_of(plan)
        worker = await _started(stack, folder, parts["worker"], programs)
        await worker.line("worker ready")
        yield DeskStack(client, tickets)


async def _started(
    stack: AsyncExitStack, folder: Path, part: Part, more: dict[str, str]
) -> Process:
    log = folder / "logs" / f"{part.name}.log"
    process = Process(part.command, {**part.env, **more}, log, part.directory)
    stack.push_async_callback(process.stop)
    await process.start()
    return process
