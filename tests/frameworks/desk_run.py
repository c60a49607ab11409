"""One run of a team: its agents' programs are killed once in the middle, and then finish."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from durable_agent_team.client.run_handle import RunHandle
from durable_agent_team.client.runs import start_run
from durable_agent_team.contracts.run import RunReport, RunStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from durable_agent_team.team_files.team_file import load_team
from tests.frameworks.desk_stack import DeskStack
from tests.frameworks.program_processes import kill, programs
from tests.frameworks.scripted_model import CALL_USD, Script

RUN_SECONDS = 1_200
"""With the installation of the frameworks: 180 s for CrewAI."""
CALLS = {"four_frameworks": 5}
"""Calls of the model for each team; two for one agent with a tool. Of the four agents, one has
something to open a ticket for."""


class Parked(Exception):
    """A task waits for a person; the message has its reason."""


@dataclass(frozen=True)
class Outcome:
    """A row of the table. `broken`: which promises did not hold; `skipped`: why it did not run."""

    team: str
    answer: str = ""
    cost_usd: Decimal = Decimal(0)
    ledger: str = ""
    calls: int = 0
    kills: int = 0
    paid_twice: int = 0
    tickets: int = 0
    seconds: float = 0
    broken: tuple[str, ...] = ()
    skipped: str = ""


async def run_scripted(stack: DeskStack, script: Script, folder: Path, team: str) -> Outcome:
    """With the scripted upstream: each call has a known price, so that a call that is paid twice is
    a call too many there, and a charge too many in the ledger."""
    script.begin()
    stack.tickets.unlink(missing_ok=True)
    killer = asyncio.create_task(_kill_in_the_middle(stack, script))
    try:
        outcome = await _run(stack, folder, team)
    finally:
        killer.cancel()
        with suppress(asyncio.CancelledError):
            await killer
        script.release()
    expected = CALLS.get(team, 2)
    written = len(stack.written())
    checks = {
        "it was not killed": script.kills == 1,
        f"{script.calls} calls, not {expected}": script.calls == expected,
        f"{outcome.cost_usd} USD for {script.calls} calls": outcome.cost_usd
        == script.calls * CALL_USD,
        f"{written} tickets": written == 1,
    }
    broken = (*outcome.broken, *(text for text, good in checks.items() if not good))
    charged = int(outcome.cost_usd / CALL_USD)
    twice = max(script.calls, charged) - expected
    return _with(outcome, calls=script.calls, kills=script.kills, paid_twice=twice,
                 tickets=written, broken=broken)  # fmt: skip


async def run_bundled(stack: DeskStack, folder: Path, team: str) -> Outcome:
    """With the bundled model, which knows no tools: it answers at once."""
    stack.tickets.unlink(missing_ok=True)
    return await _run(stack, folder, team)


async def _run(stack: DeskStack, folder: Path, team: str) -> Outcome:
    began = time.perf_counter()
    request = load_team(folder / f"{team}.yaml")
    handle = await start_run(stack.client, request, id=f"frameworks-{team}-{time.time_ns()}")
    report = await asyncio.wait_for(_result(handle), RUN_SECONDS)
    agrees = report.spend.ledger_agrees
    broken = []
    if report.status is not RunStatus.COMPLETED:
        broken.append(f"{report.status}: {report.failure and report.failure.message}")
    if agrees is not LedgerAgreement.YES:
        broken.append(f"ledger: {agrees}")
    return Outcome(
        team,
        answer=report.answer or "",
        cost_usd=report.spend.total.spent_usd,
        ledger=str(agrees),
        calls=report.spend.total.calls,
        seconds=time.perf_counter() - began,
        broken=tuple(broken),
    )


async def _result(handle: RunHandle) -> RunReport:
    """Raises `Parked` as soon as a task is parked: nobody is there who would answer."""
    result = asyncio.ensure_future(handle.result())
    try:
        while True:
            done, _ = await asyncio.wait({result}, timeout=2)
            if done:
                return result.result()
            state = await handle.state()
            if state.waiting:
                await handle.cancel("nobody answers here")
                raise Parked(f"{state.waiting[0].subject} waits: {state.waiting[0].reason}")
    finally:
        result.cancel()


async def _kill_in_the_middle(stack: DeskStack, script: Script) -> None:
    """SIGKILL while the second call of the model is in flight: the first is paid, the tool ran."""
    await script.second_call.wait()
    # None for a moment where the worker has just given its attempt up, as on a machine that is too
    # busy for heartbeats: the next one is killed, since the answer is held.
    while not (pids := programs(stack.tickets)):
        await asyncio.sleep(0.05)
    kill(pids)
    script.kills += 1
    await _gone(lambda: set(pids) & set(programs(stack.tickets)))
    script.release()


async def _gone(left: Callable[[], set[int]]) -> None:
    while left():
        await asyncio.sleep(0.05)


def _with(outcome: Outcome, **more: object) -> Outcome:
    return Outcome(**{**vars(outcome), **more})
