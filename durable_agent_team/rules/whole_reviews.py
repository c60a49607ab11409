"""Reviews in the whole form, for capable models: what they add is as free as a planned task."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from durable_agent_team.contracts.plan import Plan, Problem
from durable_agent_team.contracts.run import TaskStatus
from durable_agent_team.rules.briefing import Briefing
from durable_agent_team.rules.json_in_text import json_in_text
from durable_agent_team.rules.nearest_names import Remedies
from durable_agent_team.rules.plan_checks import planned_problems
from durable_agent_team.rules.planned_tasks import TasksRead, kind_of, read_tasks, shown
from durable_agent_team.rules.revision import (
    Review,
    added_id,
    revised,
    tasks_listed,
    to_do_again,
)
from durable_agent_team.rules.team_listing import costs_listed, documents_listed, team_listed
from durable_agent_team.rules.validation import bounded
from durable_agent_team.rules.whole_plans import (
    COSTS_HEADING,
    RULES,
    stand_ins,
    task_schema,
    with_quotes_checked,
)

KEYS = ("redo", "drop", "add")
MAX_LISTED = 5
"""Ids of tasks to add that the prompt lists."""
FORM = 'answer with {"redo": […], "drop": […], "add": […]} alone'


def review_schema(briefing: Briefing) -> dict[str, Any]:
    """The JSON Schema of a review."""
    ids = {"type": "array", "items": {"type": "string"}}
    added = {"type": "array", "items": task_schema(briefing, with_id=False)}
    return {
        "type": "object",
        "properties": {
            "redo": {**ids, "description": "Ids of tasks to do again, with all that needs them."},
            "drop": {**ids, "description": "Ids of tasks that are not needed any more."},
            "add": {**added, "description": f"Up to {briefing.most_added} more tasks."},
        },
        "required": ["redo", "drop", "add"],
        "additionalProperties": False,
    }


def review_ask(
    briefing: Briefing,
    status: Mapping[str, TaskStatus],
    plan: Plan,
    failures: Mapping[str, str],
    number: int,
) -> str:
    """The prompt of the review of this number: every task with its status, and all that a plan is
    made from."""
    room = min(briefing.most_added, max(briefing.team.max_tasks - len(plan.tasks), 0))
    ids = ", ".join(added_id(number, index) for index in range(1, min(room, MAX_LISTED) + 1))
    ids += " and so on" if room > MAX_LISTED else ""
    return "\n".join(
        [
            *tasks_listed(plan, status, failures),
            "",
            "Judge by the goal. Answer in JSON with the tasks to redo, the ones to drop, and the"
            " ones to add. Where the results suffice for the goal, leave all three empty: then the"
            " final answer is written.",
            f"You may add {room} tasks. Their ids are {ids}, in their order."
            if room
            else "You may add no tasks.",
            "",
            RULES,
            "",
            "Your agents:",
            *team_listed(briefing),
            "",
            *documents_listed(briefing),
            "The JSON Schema of your answer:",
            json.dumps(review_schema(briefing), ensure_ascii=False),
            "",
            COSTS_HEADING,
            *costs_listed(briefing),
        ]
    )


def parse_review(
    answer: str, briefing: Briefing, plan: Plan, number: int
) -> tuple[Review, Plan] | list[Problem]:
    """The review and the revised plan, or all its problems."""
    try:
        value = json_in_text(answer)
    except ValueError as error:
        return [Problem(field="review", what=f"it is not JSON: {error}", remedy=FORM)]
    if not isinstance(value, Mapping):
        what = f"a review is an object, and this is {kind_of(value)}"
        return [Problem(field="review", what=what, remedy=FORM)]
    if not any(key in value for key in KEYS):
        what = "it has neither redo nor drop nor add"
        return [Problem(field="review", what=what, remedy=f"{FORM}; all three may be empty")]
    problems: list[Problem] = []
    redo = _ids(value, "redo", plan, problems)
    drop = _ids(value, "drop", plan, problems)
    dropped = set(drop)
    problems += bounded(
        Problem(field="redo", value=each, what="it is also to be dropped", remedy="choose one")
        for each in redo
        if each in dropped
    )
    if plan.result is not None and plan.result in drop:
        remedy = "redo it instead, or leave it"
        problems.append(
            Problem(field="drop", value=plan.result, what="it is the result", remedy=remedy)
        )
    read = _added(value.get("add"), briefing.most_added, plan, number, problems)
    added = tuple(with_quotes_checked(task) for task in read.tasks)
    review = Review(redo, drop, added)
    changed = revised(plan, review)
    again = to_do_again(changed, redo)
    kept = [task for task in changed.tasks if task not in added]
    problems += planned_problems(
        briefing,
        added,
        (*kept, *stand_ins(read, briefing)),
        [task for task in kept if task.id in again],
    )
    return problems or (review, changed)


def _ids(
    value: Mapping[str, Any], key: str, plan: Plan, problems: list[Problem]
) -> tuple[str, ...]:
    """A list of the plan's tasks; what is not in it becomes a problem."""
    given = value.get(key) or []
    known = dict.fromkeys(task.id for task in plan.tasks)
    if not isinstance(given, list):
        what, remedy = f"it is {kind_of(given)}, and must be a list", "a list of ids; [] for none"
        problems.append(Problem(field=key, value=shown(given), what=what, remedy=remedy))
        return ()
    remedies = Remedies()
    problems += bounded(
        Problem(
            field=key,
            value=shown(each),
            what="no such task",
            remedy=remedies.choice(shown(each), known),
        )
        for each in given
        if not isinstance(each, str) or each not in known
    )
    return tuple(dict.fromkeys(each for each in given if isinstance(each, str) and each in known))


def _added(written: Any, most: int, plan: Plan, number: int, problems: list[Problem]) -> TasksRead:
    """The added tasks under the ids of this review. Their own ids, if they have any, are good for
    their dependencies on each other."""
    written = written or []
    if not isinstance(written, list):
        what = f"it is {kind_of(written)}, and must be a list"
        problems.append(Problem(field="add", what=what, remedy="a list of tasks; [] for none"))
        return TasksRead()
    if len(written) > most:
        what = f"more than {most}, which is all that one review may add"
        remedy = "add the most important ones"
        problems.append(Problem(field="add", value=str(len(written)), what=what, remedy=remedy))
        return TasksRead()
    names = _names(written, plan, number)
    renamed = [
        _renamed(each, added_id(number, index), names)
        for index, each in enumerate(written, start=1)
    ]
    read = read_tasks(renamed, "add")
    problems += read.problems
    return read


def _names(written: Sequence[Any], plan: Plan, number: int) -> dict[str, str]:
    """The ids that added tasks gave themselves, and the ones that they get."""
    known = {task.id for task in plan.tasks}
    return {
        each["id"]: added_id(number, index)
        for index, each in enumerate(written, start=1)
        if isinstance(each, Mapping) and isinstance(each.get("id"), str) and each["id"] not in known
    }


def _renamed(written: Any, task_id: str, names: Mapping[str, str]) -> Any:
    if not isinstance(written, Mapping):
        return written
    needs = written.get("depends_on")
    if isinstance(needs, list):
        needs = [names.get(each, each) if isinstance(each, str) else each for each in needs]
    return {**written, "id": task_id, **({"depends_on": needs} if needs else {})}
