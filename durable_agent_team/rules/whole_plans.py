"""Plans in the whole form, for capable models: everything that a team file can say about tasks.

The schema keeps to what the strict modes of providers have in common: every key is required, none
is added, what may be absent is null, and a task's own schema is JSON text, since no strict mode
lets a model write an object of free form. It also stands in the prompt, where it explains each key
to models that nobody holds to it.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from durable_agent_team.contracts.plan import Plan, Problem
from durable_agent_team.contracts.team import MAX_DEPENDENCIES, Checks, Task
from durable_agent_team.rules.briefing import Briefing
from durable_agent_team.rules.json_in_text import json_in_text
from durable_agent_team.rules.nearest_names import choice
from durable_agent_team.rules.plan_checks import planned_problems
from durable_agent_team.rules.planned_tasks import TasksRead, kind_of, read_tasks, shown
from durable_agent_team.rules.team_listing import costs_listed, documents_listed, team_listed

MAX_READ: Final = 5_000
"""At most this many tasks of an answer are read."""

MAX_CHOICES = 200
MAX_CHOICE_CHARACTERS = 8_000
"""Limits of an `enum`, which providers have too. A longer one is left out; the check remains."""

LOOSE: Final = re.compile(r",\s*[\]}]|^[ \t]*(?://|#)", re.MULTILINE)
LOOSE_REMEDY: Final = "JSON has no comments, and no comma after the last item"

COSTS_HEADING = "What the agents cost (USD, for a million tokens), and what they have:"
"""Begins the end of the prompt, which is another one in each run: what a plan is recognised by
(`fingerprints`) ends before it."""

RULES = """\
A good plan:
- has narrow tasks. An agent sees its own documents, the results of the tasks in `depends_on`, its \
`ask`, and nothing else: each ask is complete in itself, one order with all that the agent must \
know.
- keeps the goal to itself. No agent may get to know it: no ask, no schema and no id repeats it.
- lets tasks run side by side: a task depends only on those whose results it needs.
- has as many tasks as the goal needs. No agent has to get one, and one agent may get many.
- says in `output` and `checks` what can be checked: what fails is sent back to its agent.
- stays within the money: an account refuses what it cannot pay."""


def plan_schema(briefing: Briefing) -> dict[str, Any]:
    """The JSON Schema of a plan for this team and its documents."""
    return _object(
        {
            "tasks": {"type": "array", "items": task_schema(briefing)},
            "result": {
                "type": ["string", "null"],
                "description": "The id of the task whose result the final answer is made from;"
                " null: of all tasks that no other depends on.",
            },
        }
    )


def task_schema(briefing: Briefing, *, with_id: bool = True) -> dict[str, Any]:
    """The JSON Schema of one task."""
    documents = "Documents for this task. Its agent's own are there in any case."
    if not briefing.documents:
        documents = "Empty: there are no documents."
    own_id = {
        "id": {
            "type": "string",
            "description": "A name of your own: small letters, digits, - and _, beginning with a"
            " letter, at most 40.",
        }
    }
    return _object(
        {
            **(own_id if with_id else {}),
            "agent": _one_of(briefing.team.agents, "Who does it."),
            "ask": {"type": "string", "description": "What the agent is to do."},
            "depends_on": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Ids of the tasks whose results it gets.",
            },
            "inputs": {
                "type": "array",
                "items": _one_of(briefing.documents, ""),
                "description": documents,
            },
            "output": {
                "type": "string",
                "description": '"text"; "findings": quotes with their sources; or a JSON Schema, as'
                " JSON text, that the answer has to fit.",
            },
            "checks": {
                "type": ["object", "null"],
                "properties": {
                    "min_length": {"type": ["integer", "null"], "description": "Characters."},
                    "max_length": {"type": ["integer", "null"], "description": "Characters."},
                    "quotes_exist_in": {
                        "type": ["string", "null"],
                        "description": '"inputs": every quote must be in a document or a result'
                        " that the task gets. Always so for findings.",
                    },
                },
                "required": ["min_length", "max_length", "quotes_exist_in"],
                "additionalProperties": False,
            },
            "missing_inputs": {
                "type": "string",
                "enum": ["fail", "accept"],
                "description": "Without the result of a task that was skipped: fail, or go on.",
            },
        }
    )


def plan_ask(briefing: Briefing) -> str:
    """The planning prompt without the goal, which the caller adds in front."""
    team = briefing.team
    tokens = briefing.max_tokens or team.orchestrator.max_tokens
    return "\n".join(
        [
            f"Plan the work on this goal: 1 to {team.max_tasks} tasks for your agents. Answer with"
            f" the plan as JSON, and with nothing else, in {tokens:,} tokens at most.",
            "",
            RULES,
            "",
            "Your agents:",
            *team_listed(briefing),
            "",
            *documents_listed(briefing),
            "The JSON Schema of your answer:",
            json.dumps(plan_schema(briefing), ensure_ascii=False),
            "",
            "A plan for another goal, as an example of the form:",
            json.dumps(_example(briefing), ensure_ascii=False),
            "",
            COSTS_HEADING,
            *costs_listed(briefing),
        ]
    )


def parse_plan(answer: str, briefing: Briefing) -> Plan | list[Problem]:
    """The plan, or all its problems.

    A result is made to depend on the last tasks that lead to no other, so that the work of each is
    used. Without one, the results of all last tasks count.
    """
    written = _written(answer)
    if isinstance(written, Problem):
        return [written]
    read = read_tasks(written["tasks"])
    tasks = [with_quotes_checked(task) for task in read.tasks]
    problems = read.problems + planned_problems(briefing, tasks, stand_ins(read, briefing))
    result = written.get("result")
    problems += _result_problems(result, [*read.unread, *(task.id for task in tasks)])
    if not problems and result is not None and any(result in task.depends_on for task in tasks):
        behind = ", ".join(task.id for task in tasks if result in task.depends_on)
        problems.append(
            Problem(
                field="result",
                value=result,
                what=f"other tasks depend on it, and their results would not be used: {behind}",
                remedy="name one that no other depends on, or null",
            )
        )
    return problems or _gathered(tasks, result)


def stand_ins(read: TasksRead, briefing: Briefing) -> list[Task]:
    """For the tasks that could not be read: others may depend on them."""
    agent = next(iter(briefing.team.agents))
    return [Task(id=task_id, agent=agent, ask="-") for task_id in read.unread]


def with_quotes_checked(task: Task) -> Task:
    """Findings are quotes, and quotes are compared with what they are from."""
    if task.output != "findings" or task.checks.quotes_exist_in is not None:
        return task
    checks = Checks.model_validate(
        {**task.checks.model_dump(exclude_unset=True), "quotes_exist_in": "inputs"}
    )
    return task.model_copy(update={"checks": checks})


def _written(answer: str) -> Mapping[str, Any] | Problem:
    """The answer as an object with a list of tasks, which is not empty. A list alone is one, and so
    is an object in an object."""
    form = 'answer with {"tasks": […], "result": …} alone'
    try:
        value = json_in_text(answer)
    except ValueError as error:
        remedy = f"{LOOSE_REMEDY}: {form}" if LOOSE.search(answer) else form
        return Problem(field="plan", what=f"it is not JSON: {error}", remedy=remedy)
    if isinstance(value, list):
        value = {"tasks": value}
    if isinstance(value, Mapping) and "tasks" not in value and len(value) == 1:
        (inner,) = value.values()
        value = inner if isinstance(inner, Mapping) else value
    if not isinstance(value, Mapping):
        what = f"a plan is an object, and this is {kind_of(value)}"
        return Problem(field="plan", what=what, remedy=form)
    tasks = value.get("tasks")
    if not isinstance(tasks, list):
        what = "is missing" if tasks is None else f"it is {kind_of(tasks)}, and must be a list"
        return Problem(field="tasks", what=what, remedy=form)
    if not tasks:
        remedy = "plan at least one task"
        return Problem(field="tasks", what="there are no tasks", remedy=remedy)
    if len(tasks) > MAX_READ:
        what = f"more than {MAX_READ:,}"
        return Problem(field="tasks", value=str(len(tasks)), what=what, remedy="plan far fewer")
    return value


def _result_problems(result: Any, ids: list[str]) -> list[Problem]:
    if result is None or result in ids:
        return []
    what = "no such task" if isinstance(result, str) else f"it is {kind_of(result)}"
    remedy = f"{choice(shown(result), ids)}; or null, for all last tasks"
    return [Problem(field="result", value=shown(result), what=what, remedy=remedy)]


def _gathered(tasks: list[Task], result: str | None) -> Plan | list[Problem]:
    if result is None:
        return Plan(tasks=tuple(tasks))
    used = {name for task in tasks for name in task.depends_on}
    loose = [task.id for task in tasks if task.id not in used and task.id != result]
    last = next(task for task in tasks if task.id == result)
    depends_on = (*last.depends_on, *loose)
    if len(depends_on) > MAX_DEPENDENCIES:
        what = (
            f"it would get the results of {len(depends_on):,} tasks, with those that no other"
            f" depends on, and a task gets {MAX_DEPENDENCIES:,} at most"
        )
        remedy = "plan tasks in between, which sum up parts of them, or fewer tasks"
        return [Problem(field="result", value=result, what=what, remedy=remedy)]
    gathered = last.model_copy(update={"depends_on": depends_on}) if loose else last
    return Plan(tasks=tuple(gathered if each is last else each for each in tasks), result=result)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _one_of(names: Mapping[str, Any], description: str) -> dict[str, Any]:
    """A choice between names, where they are few and short enough for a schema."""
    described = {"description": description} if description else {}
    few = len(names) <= MAX_CHOICES and sum(map(len, names)) <= MAX_CHOICE_CHARACTERS
    if not names or not few:
        return {"type": "string", **described}
    return {"type": "string", "enum": list(names), **described}


def _example(briefing: Briefing) -> dict[str, Any]:
    """Two tasks, of this team's agents, so that nothing in it is unknown."""
    first, *_, last = [*briefing.team.agents] * 2
    shape = {
        "type": "object",
        "properties": {"prices": {"type": "array", "items": {"type": "string"}}},
        "required": ["prices"],
    }
    checks = {"min_length": None, "max_length": 1_500, "quotes_exist_in": None}
    listing, note = "List every price of bread, with its date.", "Say how these prices changed."
    return {
        "tasks": [
            _example_task("bread-prices", first, listing, output=json.dumps(shape)),
            _example_task("price-note", last, note, "bread-prices", checks=checks),
        ],
        "result": "price-note",
    }


def _example_task(task_id: str, agent: str, ask: str, *after: str, **more: Any) -> dict[str, Any]:
    task = {"id": task_id, "agent": agent, "ask": ask, "depends_on": list(after), "inputs": []}
    return {**task, "output": "text", "checks": None, "missing_inputs": "fail", **more}
