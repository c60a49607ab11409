"""Row: from the command line to the first upstream call."""

import asyncio
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence

from benchmarks.figures import Figure, Sample, column, figure
from benchmarks.process import clean_environment
from benchmarks.stage import RunBroken, Stage
from benchmarks.upstream import MODEL
from durable_agent_team.process.project_root import PROJECT_ROOT

TEAM = f"""name: bench
goal: Brief the board.
orchestrator: {{model: {MODEL}, budget_usd: 1}}
final: handoff
agents:
  research: {{role: Analyst, instructions: Answer briefly., model: {MODEL}, budget_usd: 1}}
tasks:
  - {{id: market, agent: research, ask: One question.}}
"""


class FirstCall:
    """`starter.py start` in a process of its own, as typed in a shell."""

    name = "start"
    about = "start to first upstream call, with the starter in a process of its own"
    rounds = (7, 1)

    async def sample(self, stage: Stage) -> Sample:
        team = stage.folder / "team.yaml"
        team.write_text(TEAM)
        await stage.upstream.reset()
        began = time.perf_counter()
        starter = await asyncio.create_subprocess_exec(
            *(sys.executable, "starter.py", "start", str(team)),
            env=environment(stage),
            cwd=PROJECT_ROOT,
            stdout=PIPE,
            stderr=DEVNULL,
        )
        printed = asyncio.create_task(_first_line(starter, began))
        while not (await stage.upstream.counts())["count"]:
            if time.perf_counter() - began > 30:
                raise RunBroken("the starter's run made no upstream call within 30 s")
            await asyncio.sleep(0.003)
        called = time.perf_counter() - began
        return {"called": called, "printed": await printed}

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        called = [value * 1000 for value in column(samples, "called")]
        printed = [value * 1000 for value in column(samples, "printed")]
        return [
            figure(self.name, "command to first upstream call", called, "ms"),
            figure(self.name, "command to printed id", printed, "ms"),
        ]


async def _first_line(starter: asyncio.subprocess.Process, began: float) -> float:
    assert starter.stdout is not None
    await starter.stdout.readline()
    seconds = time.perf_counter() - began
    await starter.communicate()
    if starter.returncode:
        raise RunBroken(f"starter.py ended with exit code {starter.returncode}")
    return seconds


def environment(stage: Stage) -> dict[str, str]:
    """What makes a command of ours talk to this stage."""
    return clean_environment(
        {
            "TEMPORAL_ADDRESS": stage.plan.temporal_address,
            "ATXP_LLM_URL": stage.gateway_url,
            "DATA_DIR": str(stage.folder),
        }
    )
