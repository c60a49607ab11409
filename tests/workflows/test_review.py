"""The orchestrator reviews the results, and revises the plan or finishes."""

import json
from collections import Counter
from typing import Any

from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.call import CallRequest, CallResult, Purpose
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunStatus, TaskStatus
from tests.support.fakes import FakeWorld
from tests.workflows.runs import GOAL, failing, result_of, team

FINISH: dict[str, Any] = {"redo": [], "drop": [], "add": []}


class Reviewer:
    """Answers with these reviews in turn; `fails` lets the first calls of a task fail."""

    def __init__(self, *reviews: Any, fails: str = "", times: int = 1) -> None:
        self.reviews = list(reviews)
        self.fails, self.times = fails, times
        self.world = FakeWorld(self)

    def __call__(self, call: CallRequest) -> CallResult | None:
        if call.purpose is Purpose.REVIEW:
            review = self.reviews.pop(0)
            return self.world.answer(
                call, review if isinstance(review, str) else json.dumps(review)
            )
        if call.task == self.fails and self.times:
            self.times -= 1
            raise ApplicationError("no", type=ErrorType.FORBIDDEN, non_retryable=True)
        return None

    @property
    def made(self) -> Counter[str]:
        return Counter(call.task for call in self.world.calls)


async def test_without_rounds_there_is_no_review(client: Client) -> None:
    reviewer = Reviewer()
    await result_of(client, reviewer.world, {"team": team()})
    assert not reviewer.world.of(Purpose.REVIEW)


async def test_a_review_can_finish_and_restates_the_goal(client: Client) -> None:
    reviewer = Reviewer(FINISH)
    report = await result_of(client, reviewer.world, {"team": team(review_rounds=3)})
    assert report.status is RunStatus.COMPLETED
    (review,) = reviewer.world.of(Purpose.REVIEW)
    assert review.goal == GOAL
    assert {source.name for source in review.sources} == {"a", "b", "c"}
    assert report.spend.ledger_agrees == "yes"


async def test_a_failed_task_is_redone_and_its_dependants_run(client: Client) -> None:
    reviewer = Reviewer({**FINISH, "redo": ["a"]}, FINISH, fails="a")
    report = await result_of(client, reviewer.world, {"team": failing(team(review_rounds=2))})
    assert report.status is RunStatus.COMPLETED
    assert reviewer.made == {"a": 2, "b": 1, "c": 1, "review": 2, "answer": 1}
    assert "Forbidden" in reviewer.world.of(Purpose.REVIEW)[0].ask


async def test_redoing_a_task_redoes_its_dependants(client: Client) -> None:
    reviewer = Reviewer({**FINISH, "redo": ["b"]}, FINISH)
    await result_of(client, reviewer.world, {"team": failing(team(review_rounds=2))})
    assert reviewer.made == {"a": 1, "b": 2, "c": 2, "review": 2, "answer": 1}


async def test_a_dropped_task_is_not_part_of_the_result(client: Client) -> None:
    reviewer = Reviewer({**FINISH, "drop": ["a"]}, FINISH, fails="a", times=9)
    report = await result_of(client, reviewer.world, {"team": failing(team(review_rounds=2))})
    assert report.status is RunStatus.COMPLETED
    assert [each.task.id for each in report.outcomes] == ["b", "c"]
    (editor,) = (call for call in reviewer.world.calls if call.task == "c")
    assert [source.name for source in editor.sources] == ["b"]


async def test_an_added_task_runs_and_reaches_the_answer(client: Client) -> None:
    added = {"agent": "research", "ask": "List the risks.", "depends_on": ["a"]}
    reviewer = Reviewer({**FINISH, "add": [added]}, FINISH)
    report = await result_of(client, reviewer.world, {"team": failing(team(review_rounds=2))})
    assert report.status is RunStatus.COMPLETED
    assert reviewer.made["review1-1"] == 1
    (answer,) = reviewer.world.of(Purpose.FINAL)
    assert [source.name for source in answer.sources] == ["c", "review1-1"]


async def test_a_failed_task_that_is_not_redone_stays_failed(client: Client) -> None:
    added = {"agent": "research", "ask": "List the risks.", "depends_on": []}
    tasks = [
        {"id": "a", "agent": "research", "ask": "Fails."},
        {"id": "c", "agent": "editor", "ask": "Works."},
    ]
    reviewer = Reviewer({**FINISH, "add": [added]}, FINISH, fails="a", times=9)
    changed = failing(team(tasks=tasks, review_rounds=2))
    report = await result_of(client, reviewer.world, {"team": changed})
    assert [each.task.status for each in report.outcomes] == [
        TaskStatus.FAILED,
        TaskStatus.DONE,
        TaskStatus.DONE,
    ]
    assert reviewer.made["a"] == 1


async def test_a_wrong_review_goes_back_with_its_errors(client: Client) -> None:
    goal = {"agent": "research", "ask": f"Now {GOAL}.", "depends_on": []}
    reviewer = Reviewer(
        {**FINISH, "redo": ["nothing"]},
        {**FINISH, "add": [goal]},
        {**FINISH, "drop": ["c"]},
        FINISH,
    )
    changed = failing(team(review_rounds=1, max_repairs=3))
    report = await result_of(client, reviewer.world, {"team": changed})
    assert report.status is RunStatus.COMPLETED
    reasons = [
        call.rejected.reasons[0] for call in reviewer.world.of(Purpose.REVIEW)[1:] if call.rejected
    ]
    assert "no such task" in reasons[0]
    assert "whole goal" in reasons[1]
    assert "it is the result" in reasons[2]


async def test_invalid_reviews_leave_the_plan_unchanged(client: Client) -> None:
    reviewer = Reviewer("x", "y", "z")
    report = await result_of(client, reviewer.world, {"team": failing(team(review_rounds=2))})
    assert report.status is RunStatus.COMPLETED
    assert reviewer.made["review"] == 3
