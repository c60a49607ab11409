"""What can still be checked of a team whose file has mistakes: the team without the wrong parts.

`validate` and `run` then report problems of all kinds at once, not one kind after the other.
"""

import copy
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Team
from durable_agent_team.rules.tools.tool_checks import NO_DOCUMENTS, NO_HOSTS, NO_SERVER
from durable_agent_team.rules.validation import NO_AGENT, NO_DOCUMENT, NO_TASK, NO_TASKS
from durable_agent_team.team_files.union_branches import branch_of

ROUNDS = 12
"""Some mistakes are found only once others are gone."""
PLACEHOLDER = "left out"
LEFT_OUT_TOOL = "left:out"


def salvaged_team(raw: Mapping[str, Any]) -> Team | None:
    """The team without what does not fit the contract; None if too little is left."""
    data = copy.deepcopy(dict(raw))
    for _ in range(ROUNDS):
        try:
            return Team.model_validate(data)
        except ValidationError as error:
            for line in reversed(error.errors(include_url=False, include_input=False)):
                if not _mend(data, line["type"], line["loc"]):
                    return None
    return None


def _mend(data: Any, kind: str, loc: tuple[int | str, ...]) -> bool:
    """Removes the wrong value, or puts one where it is missing. False if neither is possible."""
    path = tuple(part for part in loc if part != "[key]")
    branch = branch_of(path)
    if branch is not None:
        path = (*path[: branch.at], *path[branch.at + 1 :])
    if "output" in path:
        path = path[: path.index("output") + 1]  # the rest is a kind of output that pydantic tried
    place, last = _place(data, path, kind)
    if last is None:
        return False
    if path[-1] == "output" and last != "output":
        return True  # an error of another kind has removed it: the task is to stay
    if kind == "missing":
        if last == "id" and len(loc) == 3:
            del data["tasks"][loc[1]]  # nothing can be said of a task without a name
            return True
        if not isinstance(place, dict):
            return False
        agents = data.get("agents") if isinstance(data, dict) else None
        known = next(iter(agents), None) if isinstance(agents, dict) else None
        value = {"role": PLACEHOLDER, "ask": PLACEHOLDER, "name": "team", "agent": known}
        if value.get(str(last)) is None:
            return False
        place[last] = value[str(last)]
        return True
    if (
        path[:1] == ("agents",)
        and path[2:3] == ("tools",)
        and place is data["agents"][path[1]]["tools"]
    ):
        place[last] = {"python": LEFT_OUT_TOOL}  # the others keep their numbers
        return True
    try:
        del place[last]
    except (KeyError, IndexError, TypeError):
        return False
    return True


def _place(data: Any, path: tuple[int | str, ...], kind: str) -> tuple[Any, int | str | None]:
    """The container of the value at a path, and its key there: of the last part that exists, since
    pydantic also names the branches that it tried."""
    place: Any = None
    last: int | str | None = None
    now = data
    for number, part in enumerate(path):
        is_last = number == len(path) - 1
        if isinstance(now, dict) and (part in now or (is_last and kind == "missing")):
            place, last, now = now, part, now.get(part)
        elif isinstance(now, list) and isinstance(part, int) and part < len(now):
            place, last, now = now, part, now[part]
        else:
            break
    return place, last


def own_problems(problems: list[Problem], raw: Mapping[str, Any]) -> list[Problem]:
    """Without those that only follow from what was left out of a salvaged team."""
    return [each for each in problems if not _follows(each, raw)]


def _follows(problem: Problem, raw: Mapping[str, Any]) -> bool:
    """Whether the file does say what is missing here, though not as it should be written."""
    if problem.value == LEFT_OUT_TOOL:
        return True
    if problem.what == NO_DOCUMENT:
        return True  # reading the documents has reported it
    if problem.what == NO_SERVER:
        return problem.value in _keys(raw.get("tool_servers"))
    if problem.what == NO_DOCUMENTS:
        return _names_documents(raw)
    if problem.what == NO_AGENT:
        return problem.value in _keys(raw.get("agents"))
    if problem.what == NO_TASK:
        return problem.value in _task_ids(raw)
    if problem.what == NO_TASKS:
        return bool(raw.get("tasks"))  # none of them could be kept
    if problem.field == "goal":
        return raw.get("goal") is not None
    if problem.what == NO_HOSTS:
        return bool(_tool(raw, problem.field).get("hosts"))
    section = _section(raw, problem.field.split("."))
    match problem.field.rpartition(".")[2]:
        case "budget_usd" if problem.what.startswith("no limit"):
            return section.get("budget_usd") is not None or raw.get("budget_usd") is not None
        case "budget_usd":
            return _mentions_wrong_budget(raw)
        case "model":
            return not problem.value and section.get("model") is not None
        case "on_exhausted":
            return section.get("fallback_model") is not None
    return False


def _tool(raw: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """The entry of `tools` that a field belongs to; empty if there is none."""
    found = re.match(r"agents\.(.+)\.tools\[([0-9]+)\]", field)
    try:
        entry = raw["agents"][found[1]]["tools"][int(found[2])] if found else {}
    except (KeyError, IndexError, TypeError):
        return {}
    return entry if isinstance(entry, dict) else {}


def _names_documents(raw: Mapping[str, Any]) -> bool:
    """Whether an agent or a task names some that could not be read."""
    members: list[Any] = []
    for group in (raw.get("agents"), raw.get("tasks")):
        if isinstance(group, dict):
            members += group.values()
        elif isinstance(group, list):
            members += group
    return any(isinstance(each, dict) and each.get("inputs") for each in members)


def _keys(value: Any) -> set[str]:
    return {str(each) for each in value} if isinstance(value, dict) else set()


def _task_ids(raw: Mapping[str, Any]) -> set[str]:
    tasks = raw.get("tasks")
    tasks = tasks if isinstance(tasks, list) else []
    return {str(each.get("id")) for each in tasks if isinstance(each, dict)}


def _section(raw: Mapping[str, Any], path: list[str]) -> Mapping[str, Any]:
    """The orchestrator or agent that a field belongs to; empty if there is none."""
    found: Any = raw
    for part in path[:-1]:
        found = found.get(part) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _mentions_wrong_budget(raw: Mapping[str, Any]) -> bool:
    """Whether some budget is written that no budget can be: sums of the others mean nothing."""
    agents = raw.get("agents")
    members = list(agents.values()) if isinstance(agents, dict) else []
    for each in (raw, raw.get("orchestrator"), *members):
        if not isinstance(each, dict):
            return True
        value = each.get("budget_usd")
        if value is not None and (isinstance(value, bool) or not _is_amount(value)):
            return True
    return False


def _is_amount(value: Any) -> bool:
    try:
        return float(value) > 0
    except (TypeError, ValueError):
        return False


def salvaged_request(
    raw: Mapping[str, Any], sources: Mapping[str, str], goal: str | None
) -> RunRequest | None:
    """The start input without the wrong parts of its team."""
    team = salvaged_team(raw)
    if team is None:
        return None
    request = RunRequest(team=team, sources=dict(sources))
    return request if goal is None else request.model_copy(update={"goal": goal})
