# ruff: noqa: PT017  what is refused is one of two outcomes
"""No message holds the worker of a run of 1,000 tasks: each one's CPU time is measured."""

import asyncio
import gc
import random
import time
from typing import Any

import pytest
from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails

from durable_agent_team.contracts.run import RunStatus
from durable_agent_team.worker_sdk.runner_wrapper import RunnerWrapper
from tests.support.fakes import FakeWorld
from tests.support.fuzzing import count, examples
from tests.support.run_reports import report_of
from tests.support.sandbox import strict_runner
from tests.support.temporal import running_worker
from tests.workflows.runs import Gate, start_on

TASKS, AGENTS, FIRST = 1_000, 200, 30
MOST_SECONDS = 1.0
"""Of CPU time for all that one workflow task does. Temporal's SDK takes two seconds for a deadlock,
and fails the workflow task until it is shorter."""
SEED = 13
HUGE = "9" * 28

Message = dict[str, Any]


class Stopwatch(RunnerWrapper):
    """Measures the CPU time of each activation of a workflow."""

    longest = 0.0

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        instance = super().create_instance(det)
        activate = instance.activate

        def measured(act: Any) -> Any:
            before = time.thread_time()
            try:
                return activate(act)
            finally:
                self.longest = max(self.longest, time.thread_time() - before)

        instance.activate = measured  # type: ignore[method-assign]
        return instance


def large_team() -> dict[str, Any]:
    """The first tasks are done at once, the next one is held, all others wait for it: and each of
    them for many others."""
    names = [f"a{n}" for n in range(AGENTS)]
    tasks: list[dict[str, Any]] = [{"id": "a", "agent": "a0", "ask": "Hold."}]
    tasks += [{"id": f"t{n}", "agent": names[n % AGENTS], "ask": "Do it."} for n in range(FIRST)]
    for n in range(FIRST, TASKS - 1):
        depends_on = ["a", *(f"t{each}" for each in range(max(0, n - 100), n))]
        name = names[n % AGENTS]
        tasks.append({"id": f"t{n}", "agent": name, "ask": "Do it.", "depends_on": depends_on})
    return {
        "name": "large",
        "goal": "Know everything about trees, their age, their leaves and their roots.",
        "orchestrator": {"budget_usd": 5},
        "agents": {name: {"role": "R", "budget_usd": 1} for name in names},
        "tasks": tasks,
        "max_tasks": 5_000,
        "max_parallel": 50,
        "result": f"t{TASKS - 2}",
    }


def schema(rng: random.Random) -> Any:
    """Of the largest that a message may have: they are refused for their size, or checked."""
    parts = rng.choice([3, 200, 1_500])
    return rng.choice(
        [
            "text", "findings", {"type": "object"},
            {"anyOf": [{"const": n} for n in range(parts)]},
            {"properties": {f"p{n}": {"type": "string"} for n in range(parts)}},
            {"enum": [str(n) for n in range(parts)]},
            {"pattern": "(a+)+" * parts},
        ]
    )  # fmt: skip


def new_task(rng: random.Random, number: int) -> Message:
    known = [f"t{n}" for n in range(TASKS - 1)]
    unknown = [f"{rng.choice('tx')}{n}{rng.choice(['', '-0', 'y'])}" for n in range(1_000)]
    depends_on = rng.choice([[], ["a"], known, known[:50], unknown, [*known[:500], *unknown[:500]]])
    return {
        "id": rng.choice([f"new-{number}", "t5", "plan", "t" * 40]),
        "agent": rng.choice(["a1", "a1", "a1", "b1", "orchestrator"]),
        "ask": rng.choice(["Do it.", "x " * 3_900, "Know everything about trees. " * 270]),
        "depends_on": depends_on,
        "output": schema(rng),
        "inputs": rng.choice([[], [], ["x.md"] * 50]),
        "missing_inputs": rng.choice(["block", "accept"]),
    }


def message(rng: random.Random, number: int) -> tuple[str, Message]:
    """One of every kind: valid, wrong, and of the largest size."""
    agent = rng.choice([f"a{rng.randrange(AGENTS)}", "orchestrator", "nobody" * 6])
    task = rng.choice([f"t{rng.randrange(TASKS)}", f"t{rng.randrange(FIRST)}", "a", "plan", "x"])
    money = rng.choice(["0.5", "2", "0.000001", HUGE, -1, "NaN"])
    model = rng.choice(["m", "gpt-" + "x" * 190, ""])
    at = rng.choice(["2999-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "x" * 9_000, None])
    messages: list[tuple[str, Message]] = [
        ("adjust_budget", {"agent": agent, "budget_usd": money}),
        ("transfer", {"from_agent": agent, "to_agent": "a7", "amount_usd": money}),
        ("adjust_agent", {"agent": agent, "model": model}),
        ("adjust_agent", {"agent": agent, "instructions": "é" * 8_000, "max_tokens": 9}),
        ("adjust_run", {"max_parallel": rng.choice([1, 1_000, 0, 50]), "deadline": at}),
        ("adjust_run", {"budget_usd": money}),
        ("retry_task", {"task": task, "reason": "x" * 900}),
        ("retry_task", {"task": task}),
        ("cancel_task", {"task": task.replace("a", "t77"), "reason": "x" * 900}),
        ("approve", {"subject": task, "approved": True, "note": "x" * 900}),
        *[("add_task", new_task(rng, number))] * 4,
    ]
    return rng.choice(messages)


@pytest.mark.fuzz
async def test_every_message_to_a_run_of_a_thousand_tasks_takes_a_bounded_time(
    client: Client,
) -> None:
    rng, watch, gate = random.Random(SEED), Stopwatch(strict_runner()), Gate("a")
    number = examples(60, most=1_500)
    count("messages to a run of 1,000 tasks", number)
    world = FakeWorld(gate)
    gc.collect()
    gc.freeze()  # other tests' objects are not searched within the measured time
    async with running_worker(client, world.activities, watch) as queue:
        handle = await start_on(client, queue, {"team": large_team()})
        await gate.reached.wait()
        for n in range(number):
            name, payload = message(rng, n)
            await _send(handle, name, payload, by_signal=rng.random() < 0.3)
            assert watch.longest < MOST_SECONDS, f"{watch.longest:.2f} s: {name} {payload}"[:500]
            if n % 10 == 0:
                await handle.signal(rng.choice(["pause", "resume"]))
                for query in ("state", "spend"):
                    await asyncio.wait_for(handle.query(query, {"page": rng.randrange(1, 5)}), 60)
        await handle.signal("cancel", {"reason": "enough"})
        gate.open.set()  # so that the worker can end, also where the run does not
        report = await report_of(handle, 120)
    gc.unfreeze()
    assert report.status is RunStatus.CANCELLED
    assert watch.longest < MOST_SECONDS
    print(f"{number} messages, longest workflow task {watch.longest:.3f} s of CPU time")


async def _send(
    handle: WorkflowHandle[Any, Any], name: str, payload: Message, *, by_signal: bool
) -> None:
    if by_signal:
        await handle.signal("adjust", {"kind": name, **payload})
        return
    try:
        await asyncio.wait_for(handle.execute_update(name, payload), 60)
    except WorkflowUpdateFailedError as refused:
        assert len(str(refused.cause)) <= 2_100
