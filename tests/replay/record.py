"""Records the histories that `test_replay.py` replays: `python -m tests.replay.record`.

Record anew only what a change of the workflow is meant to break, and say so in the CHANGELOG:
a history that no longer replays is a run somewhere that no longer goes on.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from contracts.calls import CallRequest, CallResult
from runtime.process import leave
from tests.support.fakes import FakeWorld
from tests.support.temporal import server
from tests.workflows.test_planning import GOOD, Planner, without_tasks
from tests.workflows.test_steering import CHAIN, Gate
from tests.workflows.test_story import started, team

HISTORIES = Path(__file__).with_name("histories")
Handle = WorkflowHandle[Any, Any]


async def main() -> None:
    HISTORIES.mkdir(exist_ok=True)
    async with server() as environment:
        for name, record in SCENARIOS.items():
            handle = await record(environment.client)
            history = await handle.fetch_history()
            (HISTORIES / f"{name}.json").write_text(_impersonal(history.to_json()) + "\n")
            print(f"{name}: {len(history.events)} events")


async def given_plan(client: Client) -> Handle:
    return await _ended(client, FakeWorld(), {"team": team()})


async def planned(client: Client) -> Handle:
    return await _ended(client, Planner("nonsense", GOOD).world, {"team": without_tasks()})


async def repaired_and_failed(client: Client) -> Handle:
    def rule(call: CallRequest) -> CallResult | None:
        return world.answer(call, "poor", reasons=("too short",)) if call.task == "a" else None

    world = FakeWorld(rule)
    return await _ended(client, world, {"team": team()})


async def cancelled(client: Client) -> Handle:
    gate = Gate("b")
    async with started(client, FakeWorld(gate), {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        await handle.signal("adjust", {"kind": "nonsense"})
        await handle.execute_update("adjust_budget", {"agent": "research", "budget_usd": 2})
        await handle.signal("cancel", {"reason": "enough"})
        await handle.result()
    return handle


async def _ended(client: Client, world: FakeWorld, payload: Any) -> Handle:
    async with started(client, world, payload) as handle:
        with suppress(WorkflowFailureError):
            await handle.result()
    return handle


def _impersonal(history: str) -> str:
    """Without the name and the paths of the machine that recorded it."""
    without_traces = re.sub(r'"stackTrace": ?"(?:[^"\\]|\\.)*"', '"stackTrace": ""', history)
    return re.sub(r'"\d+@[^"]*"', '"recorder"', without_traces)


SCENARIOS: dict[str, Callable[[Client], Awaitable[Handle]]] = {
    "given_plan": given_plan,
    "planned": planned,
    "repaired_and_failed": repaired_and_failed,
    "cancelled": cancelled,
}

if __name__ == "__main__":
    asyncio.run(main())
    leave(0)
