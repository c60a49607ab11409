"""Wherever a run continues as new, it ends as one that does not: with the same answers and charges,
and each call made once."""

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.service import RPCError

from durable_agent_team.client.run_executions import read_executions
from durable_agent_team.contracts.call import CallRequest, CallResult, Purpose
from durable_agent_team.contracts.names import WORKFLOW
from durable_agent_team.contracts.run import RunReport, RunState, RunStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from tests.support.temporal import running_worker
from tests.support.worlds import OnceEach, Worlds
from tests.workflows.runs import team
from workflows.continuation import EVENTS_MEMO

PLAN = [
    {"id": "t1", "agent": "research", "ask": "List the demand.", "depends_on": []},
    {"id": "t2", "agent": "research", "ask": "List the prices.", "depends_on": []},
    {"id": "t3", "agent": "poor", "ask": "List the risks.", "depends_on": ["t1"]},
    {"id": "t4", "agent": "editor", "ask": "Write it up.", "depends_on": ["t1", "t2", "t3"]},
]
REVIEWS = [{"redo": ["t2"], "drop": [], "add": []}, {"redo": [], "drop": [], "add": []}]
NEVER = 100_000


class Everything(OnceEach):
    """A plan, an answer that needs a repair, two reviews; an agent that cannot pay."""

    plan: Sequence[dict[str, Any]] = PLAN

    def __init__(self) -> None:
        super().__init__(self._decided, seconds=0.02)
        self._reviews = iter(REVIEWS)

    def _decided(self, call: CallRequest) -> CallResult | None:
        if call.purpose is Purpose.PLAN:
            return self.answer(call, json.dumps({"tasks": self.plan, "result": "t4"}))
        if call.purpose is Purpose.REVIEW:
            return self.answer(call, json.dumps(next(self._reviews)))
        if call.task == "t1" and call.rejected is None:
            return self.answer(call, "poor", reasons=("too short",))
        return None


class WholeForm(Everything):
    """With a schema, which an activity checks, and a plan that goes back because of it."""

    def __init__(self) -> None:
        super().__init__()
        self.catalog = self.catalog.model_copy(update={"plans_by_model": True})

    def _decided(self, call: CallRequest) -> CallResult | None:
        kind = "object" if call.rejected else "thing"
        schema = json.dumps({"type": kind})
        self.plan = [{**each, "output": schema if each["id"] == "t2" else "text"} for each in PLAN]
        return super()._decided(call)


def planned() -> dict[str, Any]:
    """It plans, asks for approval, works, parks, repairs, reviews, works again, and answers."""
    agents = {
        "research": {"role": "Researcher", "budget_usd": 1},
        "editor": {"role": "Editor", "budget_usd": 1},
        "poor": {"role": "Auditor", "budget_usd": "0.005"},
    }
    given = team(agents=agents, approve_plan=True, review_rounds=2, max_parallel=2)
    return {key: value for key, value in given.items() if key not in ("tasks", "result")}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("world", [Everything, WholeForm])
async def test_a_run_that_continues_anywhere_ends_as_one_that_does_not(
    client: Client, world: type[Everything]
) -> None:
    worlds = Worlds(world)
    moments = [NEVER, *(range(3, 45, 2) if world is Everything else range(5, 45, 8))]
    async with running_worker(client, worlds.activities) as queue:
        runs = await asyncio.gather(*(_carried_out(client, queue, each) for each in moments))
        numbers = [len(await read_executions(client, each.workflow_id)) for each in runs]
    ended = {
        events: _shown(report, worlds.of[report.workflow_id])
        for events, report in zip(moments, runs, strict=True)
    }
    assert runs[0].status is RunStatus.COMPLETED
    assert numbers[0] == 1
    assert numbers[1] > 10, "it continues as new all the time"
    assert min(numbers[1:]) > 1
    assert ended[NEVER]["made"]["t2"] == 2, "the review has it done again"
    assert ended[NEVER]["made"]["plan"] == (1 if world is Everything else 2)
    for events, shown in ended.items():
        assert shown == ended[NEVER], f"continued after {events} events"


async def _carried_out(client: Client, queue: str, events: int) -> RunReport:
    handle = await client.start_workflow(
        WORKFLOW,
        {"team": planned()},
        id=f"run-{events}-{uuid.uuid4()}",
        task_queue=queue,
        result_type=RunReport,
        memo={EVENTS_MEMO: events},
    )
    operator = asyncio.create_task(_answer_what_waits(handle))
    try:
        report: RunReport = await asyncio.wait_for(handle.result(), 300)
        return report
    finally:
        operator.cancel()


async def _answer_what_waits(handle: WorkflowHandle[Any, Any]) -> None:
    """Approves the plan, and gives the poor agent money."""
    while True:
        try:
            state = RunState.model_validate(await handle.query("state"))
            for waiting in state.waiting:
                if waiting.subject == "plan":
                    answer = {"subject": "plan", "approved": True}
                    await handle.execute_update("approve", answer)
                else:
                    limit = {"agent": "poor", "budget_usd": 1}
                    await handle.execute_update("adjust_budget", limit)
        except (RPCError, WorkflowUpdateFailedError):
            pass  # it has just been answered, or the run has ended
        await asyncio.sleep(0.3)


def _shown(report: RunReport, world: Any) -> dict[str, Any]:
    assert report.spend.ledger_agrees is LedgerAgreement.YES
    charges = Counter(
        {agent: len(book.charges) for agent, book in world.books.items() if book.charges}
    )
    return {
        "answer": report.answer,
        "outcomes": [
            (each.task.id, each.task.status, each.task.calls, each.task.spent_usd, each.output)
            for each in report.outcomes
        ],
        "spend": [each.model_dump(exclude={"status"}) for each in report.spend.agents],
        "call_seconds": report.call_seconds,
        "made": Counter(world.made),
        "charges": charges,
    }
