"""Which hand-offs are the result of a run."""

from datetime import UTC, datetime

from contracts.plan import Plan
from contracts.team import Task
from workflows.progress import Progress

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def finished(result: str | None, *ids: str) -> Progress:
    """A run whose tasks wait for nothing, and are all done."""
    progress = Progress("run", NOW)
    tasks = tuple(Task(id=each, agent="one", ask="List the prices.") for each in ids)
    progress.adopt(Plan(tasks=tasks, result=result))
    for each in ids:
        progress.done(each, f"hand-off of {each}", NOW)
    return progress


def test_what_a_review_added_belongs_to_the_result() -> None:
    assert finished("brief", "brief", "review1-1", "review2-3").result_ids() == [
        "brief",
        "review1-1",
        "review2-3",
    ]


def test_a_teams_own_task_may_be_named_like_one() -> None:
    ids = ("brief", "review", "review-texts", "reviewer", "review2")
    assert finished("brief", *ids).result_ids() == ["brief"]


def test_what_a_person_added_belongs_to_the_result_unless_others_wait_for_it() -> None:
    progress = finished("brief", "brief")
    for task_id, needs in (("more", ()), ("most", ("more",))):
        progress.add(Task(id=task_id, agent="one", ask="List more.", depends_on=needs))
        assert progress.result_ids() == ["brief"], "it has not ended"
        progress.done(task_id, "more", NOW)
    assert progress.result_ids() == ["brief", "most"]


def test_without_a_named_result_every_last_task_is_one() -> None:
    assert finished(None, "demand", "rivals").result_ids() == ["demand", "rivals"]
