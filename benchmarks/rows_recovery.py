"""Rows about a worker that is killed and started again at once."""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle

from benchmarks import jobs
from benchmarks.figures import Aim, Figure, Sample, at_most, column, figure
from benchmarks.stage import RunBroken, Stage, check
from durable_agent_team.contracts.run import RunStatus

SPREAD_MS = (600, 700, 800, 900, 1000, 1200, 1500)
"""Calls of a real run do not end all at once."""

LONGEST_SECONDS = 90.0


class Recovery:
    """Chains of calls; the worker gets SIGKILL while all chains are busy."""

    rounds: tuple[int, int]

    def __init__(self, calls: int, aim: Aim, *, rounds: tuple[int, int], length: int) -> None:
        self.name = f"kill{calls}"
        self.about = f"from SIGKILL of a worker to the next new call, {calls} calls in flight"
        self.rounds = rounds
        self._calls = calls
        self._aim = aim
        self._length = length

    async def sample(self, stage: Stage) -> Sample:
        lengths = [(self._length, SPREAD_MS[i % len(SPREAD_MS)]) for i in range(self._calls)]
        team = jobs.chains(lengths, synthesis=False)
        await stage.upstream.reset()
        began = time.perf_counter()
        handle = await stage.start(team)
        await _received(stage, self._calls + self._calls // 2, began)
        await stage.worker.kill()
        killed = time.perf_counter()
        await stage.worker.start()
        await asyncio.sleep(0.1)  # what the killed worker had sent goes through the gateway
        in_flight = (await stage.upstream.counts())["in_flight"]
        before = await _keys(stage)
        recorded = await _completed(stage.client.get_workflow_handle(handle.id))
        await _received(stage, len(before) + 1, killed)
        resumed = time.perf_counter() - killed
        report = await handle.result()
        check(report, team)
        done = time.perf_counter() - began
        repeated = sum(count > 1 for count in (await _keys(stage)).values())
        found = {
            "resumed": resumed,
            "done": done,
            "in_flight": in_flight,
            "recorded": recorded,
            "repeated": repeated,
            "surplus": len(await _keys(stage)) - len(team.tasks),
        }
        await stage.worker.line("worker ready")
        await stage.warm()
        return found

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        again = [each["repeated"] + each["surplus"] for each in samples]
        recorded = f"of {min(column(samples, 'recorded')):.0f} or more recorded at the kill"
        flight = f"{min(column(samples, 'in_flight')):.0f} or more in flight"
        return [
            figure(self.name, "next new call", column(samples, "resumed"), "s", self._aim, flight),
            figure(self.name, "the whole run", column(samples, "done"), "s"),
            figure(self.name, "calls run again", again, "", at_most(0), recorded),
        ]


def kill100() -> Recovery:
    return Recovery(100, at_most(3), rounds=(3, 1), length=4)


def kill500() -> Recovery:
    return Recovery(500, at_most(10), rounds=(2, 0), length=2)


class Idle:
    """A run that waits for a person, while the worker that had it in memory is killed."""

    name = "idle"
    about = "from a worker's restart to an idle run's answer to a signal"
    rounds = (5, 1)

    async def sample(self, stage: Stage) -> Sample:
        team = jobs.fan(1, 0, "tasks").model_copy(update={"approve_plan": True})
        handle = await stage.start(team)
        while (await handle.state()).status is not RunStatus.APPROVAL:
            await asyncio.sleep(0.02)
        await stage.worker.kill()
        await stage.worker.start()
        began = time.perf_counter()
        temporal = stage.client.get_workflow_handle(handle.id)
        await temporal.signal("pause", {})
        answered = asyncio.create_task(_answered(temporal))
        await stage.worker.line("worker ready")
        ready = time.perf_counter()
        answer = await asyncio.wait_for(answered, LONGEST_SECONDS)
        await handle.cancel("measured")
        await handle.result()
        await stage.warm()
        return {"answered": answer - began, "from ready": answer - ready}

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        after = column(samples, "answered")
        ready = column(samples, "from ready")
        name = "signal to answer, worker started at the same time"
        return [
            figure(self.name, name, after, "s", at_most(2)),
            figure(self.name, "answer after the worker says that it is ready", ready, "s"),
        ]


async def _answered(handle: WorkflowHandle[Any, Any]) -> float:
    """When the first workflow task after the signal was completed."""
    signalled = False
    async for event in handle.fetch_history_events(wait_new_event=True):
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            signalled = True
        elif signalled and event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            return time.perf_counter()
    raise RunBroken("the idle run ended before it answered the signal")


async def _completed(handle: WorkflowHandle[Any, Any]) -> int:
    """Activities that the history records as completed."""
    completed = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
    events = handle.fetch_history_events(rpc_timeout=timedelta(seconds=10))
    return sum([event.event_type == completed async for event in events])


async def _keys(stage: Stage) -> dict[str, int]:
    """How often the upstream was called, by idempotency key."""
    keys: dict[str, int] = (await stage.upstream.counts())["by_key"]
    return keys


async def _received(stage: Stage, calls: int, since: float) -> None:
    """Until the upstream has seen this many different calls."""
    while len(await _keys(stage)) < calls:
        if time.perf_counter() - since > LONGEST_SECONDS:
            raise RunBroken(f"no {calls} calls within {LONGEST_SECONDS:g} s")
        await asyncio.sleep(0.02)
