"""The contenders, and the components that all of them share."""

import asyncio
import dataclasses
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Protocol

from benchmarks import jobs
from benchmarks.peers.driver import Driver
from benchmarks.peers.work import Job, as_team, fan
from benchmarks.stage import Stage, check, stage


class Contender(Protocol):
    """One engine that is up."""

    versions: dict[str, str]

    async def run(self, job: Job, ids: Sequence[str]) -> float:
        """The job once for each id, all at once; the seconds until the last one is done."""
        ...


@dataclass(frozen=True)
class Entry:
    """How a peer is started. `options` in addition to those that all peers get."""

    name: str
    title: str
    environment: str
    module: str
    options: tuple[str, ...] = ("--transport", "aiohttp")


PLAIN = Entry("plain", "plain asyncio, httpx", "plain", "on_plain", ())
PLAIN_AIOHTTP = Entry("plain_aiohttp", "plain asyncio, httpx over aiohttp", "plain", "on_plain")
LANGGRAPH = Entry("langgraph", "LangGraph, graph", "langgraph", "on_langgraph")
LANGGRAPH_TASKS = Entry(
    "langgraph_tasks", "LangGraph, functional", "langgraph", "on_langgraph_tasks"
)
DBOS = Entry("dbos", "DBOS", "dbos", "on_dbos")
PYDANTIC_AI = Entry("pydantic_ai", "Pydantic AI on Temporal", "pydantic_ai", "on_pydantic_ai")
PYDANTIC_AI_BRISK = Entry(
    "pydantic_ai_brisk",
    "Pydantic AI on Temporal, heartbeat timeout 1.5 s",
    "pydantic_ai",
    "on_pydantic_ai",
    (*PYDANTIC_AI.options, "--heartbeat-seconds", "1.5"),
)
TOOLS_OPENAI = Entry(
    "tools_openai_agents", "OpenAI Agents on Temporal's plugin", "openai_agents", "on_openai_agents"
)
TOOLS_PYDANTIC_AI = Entry(
    "tools_pydantic_ai",
    "Pydantic AI on Temporal, with tools",
    "pydantic_ai",
    "on_pydantic_ai_tools",
)
PEERS = (PLAIN, PLAIN_AIOHTTP, LANGGRAPH, LANGGRAPH_TASKS, DBOS, PYDANTIC_AI)
OURS = "ours"
OURS_ACCOUNTS = "ours_accounts"
TITLES = {
    **{
        entry.name: entry.title
        for entry in (*PEERS, PYDANTIC_AI_BRISK, TOOLS_OPENAI, TOOLS_PYDANTIC_AI)
    },
    OURS: "ours, one account",
    OURS_ACCOUNTS: "ours, an account a call",
}


class Ours:
    """A worker, the gateway and sealed keys; started by the typed client."""

    def __init__(self, stage: Stage, shape: jobs.Shape) -> None:
        self.versions = {"temporalio": version("temporalio")}
        self._stage = stage
        self._shape = shape

    async def run(self, job: Job, ids: Sequence[str]) -> float:
        team = as_team(job, self._shape)
        began = time.perf_counter()

        async def one() -> None:
            check(await (await self._stage.start(team)).result(), team)

        await asyncio.gather(*(one() for _ in ids))
        return time.perf_counter() - began


@dataclass
class Field:
    """`versions`: of peers that a row starts itself, by their titles."""

    stage: Stage
    contenders: dict[str, Contender]
    versions: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)

    async def warm(self) -> None:
        """Loading, compiling and connecting once must not count as part of a job."""
        for _ in range(2):
            for contender in self.contenders.values():
                await contender.run(fan(20, 0), [uuid.uuid4().hex])

    def driver(self, entry: Entry) -> Driver:
        """One more process of a peer, with data of its own; the caller starts and kills it."""
        common = ["--upstream", self.stage.upstream.url]
        common += ["--temporal", self.stage.plan.temporal_address]
        common += ["--name", entry.name]
        folder = self.stage.folder / "peers" / f"{entry.name}-{uuid.uuid4().hex[:8]}"
        return Driver(entry.environment, entry.module, [*common, *entry.options], folder)


@asynccontextmanager
async def field(entries: Sequence[Entry] = PEERS) -> AsyncIterator[Field]:
    """All of them, started; ended on the way out, whatever happened."""
    async with AsyncExitStack() as stack:
        ready = Field(await stack.enter_async_context(stage(recording=True)), {})
        for entry in entries:
            driver = ready.driver(entry)
            stack.push_async_callback(driver.kill)
            await driver.start()
            ready.contenders[entry.name] = driver
        ready.contenders[OURS] = Ours(ready.stage, "tasks")
        ready.contenders[OURS_ACCOUNTS] = Ours(ready.stage, "accounts")
        yield ready
