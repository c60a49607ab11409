"""The starter in a process of its own, and a worker on the public task queue."""

import asyncio
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from dotenv import dotenv_values
from temporalio.client import Client
from temporalio.worker import Worker

from durable_agent_team.contracts.names import TASK_QUEUE
from tests.support.fakes import FakeWorld
from tests.support.sandbox import run_worker
from tests.support.warm import warm_starter

ROOT = Path(__file__).parents[2]
NO_SERVICE = "127.0.0.1:9"
"""The discard port, where nothing listens."""

TEAM = """\
name: brief
goal: Decide whether to enter the market
orchestrator: {budget_usd: 5}
agents:
  research: {role: Researcher, budget_usd: 1}
  editor: {role: Editor, budget_usd: 1}
tasks:
  - {id: facts, agent: research, ask: List the facts.}
  - {id: prices, agent: research, ask: List the prices.}
  - {id: text, agent: editor, ask: Write it up., depends_on: [facts, prices]}
result: text
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Starter:
    """Runs commands against one Temporal server."""

    address: str
    folder: Path
    """Where team files are written; it has no `.env` and no running stack."""

    def team(self, text: str = TEAM, name: str = "team.yaml") -> str:
        """A team file's path."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def environment(self, **more: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")}
        own = {
            "TEMPORAL_ADDRESS": self.address,
            "ATXP_LLM_URL": f"http://{NO_SERVICE}/v1",
            "PYTHONUNBUFFERED": "1",
        }
        # An empty value counts as not set: so a developer's own `.env` does not decide a test.
        nothing = dict.fromkeys(dotenv_values(ROOT / ".env"), "")
        return {**nothing, **kept, **own, **more}

    async def __call__(self, *arguments: str, **environment: str) -> Ended:
        """Runs a command to its end."""
        process = await self._begin([*warm_starter(), *arguments], environment, None)
        return await self.end(process)

    async def begin(self, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        """The script itself, for a test that kills or interrupts it."""
        script = [sys.executable, str(ROOT / "starter.py")]
        return await self._begin([*script, *arguments], environment, _default_interrupt)

    async def _begin(
        self,
        command: Sequence[str],
        environment: dict[str, str],
        before: Callable[[], None] | None,
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *command,
            env=self.environment(**environment),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            stdin=asyncio.subprocess.DEVNULL,
            preexec_fn=before,  # it forks all of this process: only where it must
        )

    async def end(self, process: asyncio.subprocess.Process) -> Ended:
        try:
            out, err = await asyncio.wait_for(process.communicate(), 60)
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode())


def new_id() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


def _default_interrupt() -> None:
    """A test run in the background of a shell ignores SIGINT, and so would its children. The
    server of `warm_starter` does this itself."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@asynccontextmanager
async def serving(client: Client, world: FakeWorld) -> AsyncIterator[Worker]:
    """A worker on the public task queue, with the strict sandbox."""
    async with run_worker(
        client,
        TASK_QUEUE,
        world.activities,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
    ) as worker:
        yield worker


def lines(text: str) -> Sequence[str]:
    return [line for line in text.splitlines() if line.strip()]
