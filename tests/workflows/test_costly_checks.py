"""Checks that would take forever, in whole runs: only that task fails, and the money is right."""

import asyncio
import uuid
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from activities.judging import judge
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunReport, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from tests.support.packages import Rooms, all_rooms
from tests.support.upstream import Rule
from tests.workflows.runs import team

NAME = '{"name": "Bartholomew Maximilian Featherstonehaugh the elder of the long valley 2nd"}'
BACKTRACKING: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": r"^([a-zA-Z]+\s?)+$"}},
}
TREE = {"id": "tree", "agent": "research", "ask": "Name a tree.", "output": BACKTRACKING}
COSTLY = {
    "team": team(tasks=[TREE], result="tree", final="handoff", max_repairs=1),
    "goal": "Know a tree.",
}


async def until_paid(rooms: Rooms) -> None:
    async with asyncio.timeout(30):
        while not rooms.ledger_usd():
            await asyncio.sleep(0.02)


async def report_of_failure(handle: WorkflowHandle[Any, Any]) -> RunReport:
    with pytest.raises(WorkflowFailureError) as ended:
        await asyncio.wait_for(handle.result(), 60)
    assert isinstance(ended.value.cause, ApplicationError)
    return RunReport.model_validate(ended.value.cause.details[0])


async def test_a_backtracking_pattern_fails_its_task_while_another_run_completes(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge.Judge.__init__, "__defaults__", (0.5, judge.PROCESSES))
    async with all_rooms(client) as rooms:
        rooms.upstream.add(Rule(contains="Name a tree.", text=NAME))
        costly = await rooms.start(COSTLY, f"run-{uuid.uuid4()}")
        await until_paid(rooms)
        innocent = await rooms.start({"team": team()}, f"run-{uuid.uuid4()}")
        report = await asyncio.wait_for(innocent.result(), 60)
        assert report.status is RunStatus.COMPLETED
        failed = await report_of_failure(costly)
        assert failed.status is RunStatus.FAILED
        [outcome] = failed.outcomes
        assert outcome.task.status is TaskStatus.FAILED
        assert outcome.task.failure is not None
        assert outcome.task.failure.type == ErrorType.CHECK_FAILED
        assert "could not be checked" in outcome.task.failure.message
        assert failed.spend.ledger_agrees is LedgerAgreement.YES
        total = failed.spend.total.spent_usd + report.spend.total.spent_usd
        assert total == rooms.ledger_usd()


async def test_a_run_that_is_cancelled_during_a_check_counts_its_call(client: Client) -> None:
    async with all_rooms(client) as rooms:
        rooms.upstream.add(Rule(contains="Name a tree.", text=NAME))
        handle = await rooms.start(COSTLY, f"run-{uuid.uuid4()}")
        await until_paid(rooms)
        await asyncio.sleep(0.3)  # of the 3 s that a check may take
        await handle.signal("cancel", {"reason": "enough"})
        report = await report_of_failure(handle)
        assert report.status is RunStatus.CANCELLED
        assert report.spend.ledger_agrees is LedgerAgreement.YES
        assert report.spend.total.spent_usd == rooms.ledger_usd() > 0
        assert rooms.upstream.count == 1, "no repair after the cancellation"
