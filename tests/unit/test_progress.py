"""The result of a run, its status, and the reasons of blocked tasks."""

from datetime import UTC, datetime

import pytest

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import Failure, RunStatus, TaskStatus, Waiting
from durable_agent_team.contracts.team import Task
from workflows.state.progress import Progress

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def finished(result: str | None, *ids: str) -> Progress:
    """A run whose tasks have no dependencies, and are all done."""
    progress = Progress("run", NOW)
    tasks = tuple(Task(id=each, agent="one", ask="List the prices.") for each in ids)
    progress.tasks.adopt(Plan(tasks=tasks, result=result))
    for each in ids:
        progress.tasks.done(each, f"hand-off of {each}", NOW)
    return progress


def test_tasks_added_by_a_review_belong_to_the_result() -> None:
    assert finished("brief", "brief", "review1-1", "review2-3").tasks.result_ids() == [
        "brief",
        "review1-1",
        "review2-3",
    ]


def test_a_task_of_the_team_may_be_named_like_an_added_one() -> None:
    ids = ("brief", "review", "review-texts", "reviewer", "review2")
    assert finished("brief", *ids).tasks.result_ids() == ["brief"]


def test_tasks_added_by_a_person_belong_to_the_result_unless_others_depend_on_them() -> None:
    progress = finished("brief", "brief")
    for task_id, needs in (("more", ()), ("most", ("more",))):
        progress.tasks.add(Task(id=task_id, agent="one", ask="List more.", depends_on=needs))
        assert progress.tasks.result_ids() == ["brief"], "it has not ended"
        progress.tasks.done(task_id, "more", NOW)
    assert progress.tasks.result_ids() == ["brief", "most"]


def test_without_a_named_result_all_last_tasks_are_results() -> None:
    assert finished(None, "demand", "rivals").tasks.result_ids() == ["demand", "rivals"]


@pytest.mark.parametrize(
    ("status", "subject"),
    [
        (RunStatus.PLANNING, "plan"),
        (RunStatus.WORKING, "brief"),
        (RunStatus.REVIEWING, "review"),
        (RunStatus.FINISHING, "answer"),
    ],
)
def test_a_run_is_parked_when_any_kind_of_call_waits_for_a_person(
    status: RunStatus, subject: str
) -> None:
    progress = finished("brief", "brief")
    progress.status = status
    progress.park(Waiting(subject=subject, reason="no money", command="pay", since=NOW))
    assert progress.status_now is RunStatus.PARKED
    progress.unpark(subject)
    assert progress.status_now is status


def test_a_plan_that_waits_for_approval_is_not_parked() -> None:
    progress = finished("brief", "brief")
    progress.status = RunStatus.APPROVAL
    progress.park(Waiting(subject="plan", reason="look", command="approve", since=NOW))
    assert progress.status_now is RunStatus.APPROVAL


def test_a_task_that_is_stopped_without_a_reason_says_by_whom() -> None:
    progress = Progress("run", NOW)
    tasks = (Task(id="a", agent="one", ask="List."),)
    progress.tasks.adopt(Plan(tasks=tasks, result=None))
    progress.tasks.cancelled("a", "", NOW)
    failure = progress.tasks.logs["a"].failure
    assert failure is not None
    assert failure.message == "by a person, without a reason"


def test_a_task_still_blocked_after_a_retry_names_its_new_reason() -> None:
    progress = Progress("run", NOW)
    needs: dict[str, tuple[str, ...]] = {"a": (), "b": (), "c": ("a", "b"), "d": ("c",)}
    tasks = tuple(
        Task(id=name, agent="one", ask="List.", depends_on=deps) for name, deps in needs.items()
    )
    progress.tasks.adopt(Plan(tasks=tasks, result=None))
    broken = Failure(type=ErrorType.BAD_REQUEST, message="no")
    progress.tasks.failed("a", broken, NOW)
    progress.tasks.cancelled("b", "not needed", NOW)
    for name in ("c", "d"):
        assert progress.tasks.logs[name].failure == Failure(
            type=ErrorType.DEPENDENCY_FAILED, message="a failed: BadRequest"
        )
    progress.tasks.retried("a")
    assert progress.tasks.schedule.status["c"] is TaskStatus.BLOCKED
    for name in ("c", "d"):
        assert progress.tasks.logs[name].failure == Failure(
            type=ErrorType.DEPENDENCY_SKIPPED, message="b was cancelled"
        )
