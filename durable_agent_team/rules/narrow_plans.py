"""Plans in the narrow form, for small models: the prompt, the grammar, and the check of the answer.

The schema is derived from the team, so that a model that is held to it cannot name an unknown agent
or draw a cycle; the answer is checked anyway, because a provider may ignore the schema.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from durable_agent_team.contracts.plan import Plan, Problem
from durable_agent_team.contracts.team import Agent, Checks, Identifier, Task, Team
from durable_agent_team.rules import model_json
from durable_agent_team.rules.goal_check import goal_problems
from durable_agent_team.rules.validation import task_problems

MAX_PLANNED = 8
"""Tasks. The grammar grows with its square, and a longer plan is better written by hand."""

MAX_READ = 1_000
"""At most this many tasks of an answer are read."""

MAX_ASK = 240
MAX_DEPENDENCIES = 8

PLACEHOLDER = "<subject>"
"""Stands in the example where a plan names its subject. A small model copies its example
literally; it cannot copy this, because no `ask` may contain such brackets."""

_BARRED = r"\x00-\x1f\"\\.<>\[\]{}_"
ASK_PATTERN = rf"^[^ {_BARRED}][^{_BARRED}]{{14,{MAX_ASK - 40}}}[.]$"
"""One bounded sentence. Without the bound a small model writes until its tokens are used up."""


class PlannedTask(BaseModel):
    """A task as the orchestrator writes it. Output format and checks are added later."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Identifier
    agent: Identifier
    ask: str = Field(min_length=1, max_length=8_000)
    depends_on: tuple[Identifier, ...] = Field((), max_length=100)


def plan_schema(team: Team) -> dict[str, Any]:
    """The JSON Schema of a plan for this team: fixed ids, known agents, earlier tasks only."""
    shapes = [_plan_of(count, team) for count in _sizes(team)]
    return {
        "type": "object",
        "properties": {"tasks": shapes[0] if len(shapes) == 1 else {"anyOf": shapes}},
        "required": ["tasks"],
        "additionalProperties": False,
    }


def plan_ask(team: Team) -> str:
    """The planning prompt without the goal, which the caller adds in front."""
    sizes = _sizes(team)
    count = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return "\n".join(
        [
            f"Split this goal into {count} small tasks for your agents. Each ask is one narrow"
            " order. The agents must not get to know the goal itself. The last task brings all"
            " together.",
            "",
            "Your agents:",
            *(_introduce(name, agent) for name, agent in team.agents.items()),
            "",
            "The plan has this form:",
            json.dumps({"tasks": _example(team)}, ensure_ascii=False),
            "",
            "Now write the plan for the goal, and put the subject of the goal in the place of"
            f" {PLACEHOLDER}.",
        ]
    )


def parse_plan(answer: str, team: Team, goal: str) -> Plan | list[Problem]:
    """The plan, or all its problems, which the orchestrator gets back.

    The result is the last task that no other depends on. It is made to depend on all other such
    tasks, so that the work of each is used.
    """
    planned = _read(answer)
    if isinstance(planned, Problem):
        return [planned]
    tasks = tuple(_task(each, team.agents.get(each.agent)) for each in planned)
    problems = [*task_problems(team, tasks), *goal_problems(tasks, goal)]
    if problems:
        return problems
    used = {name for task in tasks for name in task.depends_on}
    *loose, result = [task.id for task in tasks if task.id not in used]
    gathered = tuple(_gather(task, loose) if task.id == result else task for task in tasks)
    return Plan(tasks=gathered, result=result)


def _sizes(team: Team) -> range:
    """How many tasks a plan may have: one for each agent at least, as far as the team allows."""
    most = min(team.max_tasks, MAX_PLANNED)
    least = min(len(team.agents), most)
    return range(least, most + 1)


def _plan_of(count: int, team: Team) -> dict[str, Any]:
    return {
        "type": "array",
        "prefixItems": [_task_shape(number, team) for number in range(1, count + 1)],
        "minItems": count,
        "maxItems": count,
    }


def _task_shape(number: int, team: Team) -> dict[str, Any]:
    """Agents without documents depend on an earlier task, if other agents have documents."""
    earlier = [f"t{n}" for n in range(1, number)]
    readers = [name for name, agent in team.agents.items() if agent.inputs]
    others = [name for name, agent in team.agents.items() if not agent.inputs]
    if not readers or not others:
        return _shape(number, [*readers, *others], earlier, least=0)
    if not earlier:
        return _shape(number, readers, earlier, least=0)
    return {
        "anyOf": [
            _shape(number, readers, earlier, least=0),
            _shape(number, others, earlier, least=1),
        ]
    }


def _shape(number: int, agents: list[str], earlier: list[str], least: int) -> dict[str, Any]:
    depends: dict[str, Any] = {"type": "array", "maxItems": 0, "items": {"type": "string"}}
    if earlier:
        depends = {
            "type": "array",
            "items": {"enum": earlier},
            "minItems": least,
            "maxItems": min(len(earlier), MAX_DEPENDENCIES),
            "uniqueItems": True,
        }
    return {
        "type": "object",
        "properties": {
            "id": {"const": f"t{number}"},
            "agent": {"enum": agents},
            "ask": {"type": "string", "pattern": ASK_PATTERN, "maxLength": MAX_ASK},
            "depends_on": depends,
        },
        "required": ["id", "agent", "ask", "depends_on"],
        "additionalProperties": False,
    }


def _example(team: Team) -> list[dict[str, Any]]:
    """An example plan: agents with documents in parallel, then the others on their results."""
    readers = [name for name, agent in team.agents.items() if agent.inputs]
    others = [name for name, agent in team.agents.items() if not agent.inputs]
    if not readers or not others:
        together = [*readers, *others]
        readers, others = together[:-1] or together, together[1:][-1:]
    room = _sizes(team)[0]
    others = others[: max(room - len(readers), min(room - 1, 1))]
    readers = readers[: room - len(others)]
    tasks: list[dict[str, Any]] = []
    for name in (*readers, *others):
        role = _in_sentence(team.agents[name].role)
        order = "list the facts on" if name in readers else "write what the findings say about"
        earlier = [task["id"] for task in tasks]
        tasks.append(
            {
                "id": f"t{len(tasks) + 1}",
                "agent": name,
                "ask": f"As {role}, {order} {PLACEHOLDER}.",
                "depends_on": [] if name in readers else earlier,
            }
        )
    return tasks


def _in_sentence(role: str) -> str:
    """`Market researcher` in the middle of a sentence; `CEO` stays as it is."""
    return role if role[:2].isupper() else role[0].lower() + role[1:]


def _introduce(name: str, agent: Agent) -> str:
    documents = f" Has {', '.join(agent.inputs)}." if agent.inputs else ""
    program = " It is a program: one task for all of its work." if agent.run is not None else ""
    return f"- {name}: {agent.role}.{program}{documents}"


def _read(answer: str) -> tuple[PlannedTask, ...] | Problem:
    try:
        loaded = model_json.parse(answer)
    except ValueError as error:
        return Problem(field="plan", what=f"it is not JSON: {error}", remedy="answer with JSON")
    tasks = loaded.get("tasks") if isinstance(loaded, Mapping) else None
    if not isinstance(tasks, list) or not tasks:
        return Problem(
            field="plan.tasks", what="there are no tasks", remedy='answer {"tasks": [...]}'
        )
    if len(tasks) > MAX_READ:
        what = f"it has {len(tasks)} tasks"
        return Problem(field="plan.tasks", what=what, remedy=f"at most {MAX_READ}")
    read = []
    for index, task in enumerate(tasks):
        try:
            read.append(PlannedTask.model_validate(task))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in (index, *first["loc"]))
            return Problem(field=f"plan.tasks.{place}", what=first["msg"])
    return tuple(read)


def _task(planned: PlannedTask, agent: Agent | None) -> Task:
    """An agent with documents answers with quotes that can be checked; the others write text."""
    reads = agent is not None and bool(agent.inputs)
    return Task(
        id=planned.id,
        agent=planned.agent,
        ask=planned.ask,
        depends_on=planned.depends_on,
        output="findings" if reads else "text",
        checks=Checks(quotes_exist_in="inputs") if reads else Checks(complete=False),
    )


def _gather(result: Task, loose: list[str]) -> Task:
    depends_on = (*result.depends_on, *loose)
    return result.model_copy(update={"depends_on": depends_on})
