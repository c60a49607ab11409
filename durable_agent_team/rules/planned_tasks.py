"""Reads tasks as a model writes them: what it left out or set to null, an `output` in JSON text.

Every problem names the task, the key and the remedy: the model gets them back.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice
from types import MappingProxyType
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.schema_size import size_problem
from durable_agent_team.contracts.team import Checks, Identifier, Task
from durable_agent_team.rules import model_json
from durable_agent_team.rules.pydantic_messages import explain_error

FOR_PEOPLE: Final = frozenset({"approve"})
"""What a team file decides, and no plan of a model."""
TASK_KEYS: Final = tuple(each for each in Task.model_fields if each not in FOR_PEOPLE)
CHECK_KEYS: Final = tuple(Checks.model_fields)
MAX_OF_ONE = 10
"""Problems of one task: the others are to be told, too."""
MAX_VALUE = 100
"""Characters of a value that a problem shows."""

OUTPUT_REMEDY = (
    'write "text", "findings", or a JSON Schema as JSON text, such as {"type": "object"}'
)

_REMEDIES: Final = MappingProxyType(
    {
        "id": "small letters, digits, - and _, beginning with a letter, at most 40",
        "agent": "the name of one of the agents",
        "ask": "say what the agent is to do, in 1 to 8,000 characters",
        "depends_on": 'a list of ids of other tasks, such as ["prices"]; [] for none',
        "inputs": "a list of names of documents; [] for none",
        "output": OUTPUT_REMEDY,
        "checks": 'an object such as {"min_length": 40}, or null',
        "missing_inputs": '"fail" or "accept"',
    }
)
_IDENTIFIER: Final = TypeAdapter(Identifier)


@dataclass
class TasksRead:
    """The tasks that could be read, and what is wrong with the others. `unread` has the ids of
    those: other tasks may well depend on them."""

    tasks: list[Task] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_tasks(written: Sequence[Any], list_name: str = "tasks") -> TasksRead:
    """Every task of a list, and all the problems of those that are none."""
    read = TasksRead()
    for number, each in enumerate(written):
        task_id = _id_in(each)
        place = f"tasks.{task_id}" if task_id else f"{list_name}[{number}]"
        found = read_task(each, place)
        if isinstance(found, Task):
            read.tasks.append(found)
            continue
        read.problems += found
        if task_id:
            read.unread.append(task_id)
    return read


def read_task(written: Any, place: str) -> Task | list[Problem]:
    """One task; `place` is where it stands, for its problems."""
    if not isinstance(written, Mapping):
        what = f"a task is an object, and this is {kind_of(written)}"
        return [Problem(field=place, what=what, remedy=f"write one with {', '.join(TASK_KEYS)}")]
    given = {name: value for name, value in written.items() if value is not None}
    problems = list(_unknown_keys(given, TASK_KEYS, place, "a task"))
    known = {name: value for name, value in given.items() if name in TASK_KEYS}
    output = _output(known.pop("output", "text"), f"{place}.output")
    if isinstance(output, Problem):
        problems.append(output)
    else:
        known["output"] = output
    checks = known.get("checks")
    if isinstance(checks, Mapping):
        rules = {name: value for name, value in checks.items() if value is not None}
        problems += _unknown_keys(rules, CHECK_KEYS, f"{place}.checks", "`checks`")
        known["checks"] = {name: value for name, value in rules.items() if name in CHECK_KEYS}
    try:
        task = Task.model_validate(known)
    except ValidationError as error:
        problems += [_problem(line, place) for line in error.errors(include_url=False)]
        return problems[:MAX_OF_ONE]
    return problems[:MAX_OF_ONE] or task


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    kinds = ((bool, "true or false"), (int | float, "a number"), (str, "a text"))
    for kind, name in (*kinds, (Mapping, "an object")):
        if isinstance(value, kind):
            return name
    return "a list"


def shown(value: Any) -> str:
    """A value as a problem shows it: a text or a number, or nothing."""
    if isinstance(value, str):
        return value if len(value) <= MAX_VALUE else f"{value[: MAX_VALUE - 1]}…"
    return str(value) if isinstance(value, int | float) and abs(value) < 10**MAX_VALUE else ""


def _id_in(written: Any) -> str | None:
    """The id of a task that may be wrong in everything else."""
    given = written.get("id") if isinstance(written, Mapping) else None
    try:
        return _IDENTIFIER.validate_python(given)
    except ValidationError:
        return None


def _as_identifier(value: Any) -> str:
    """The nearest text that is an id; empty where there is none."""
    if not isinstance(value, str):
        return ""
    kept = "".join(each if each.isascii() and each.isalnum() else "-" for each in value.lower())
    return "-".join(part for part in kept.lstrip("-0123456789").split("-") if part)[:40]


def _output(written: Any, place: str) -> str | dict[str, Any] | Problem:
    """`text`, `findings`, or a JSON Schema: an object, or its JSON text, which is all that a
    provider's strict mode can express. One that demands nothing is `text`."""
    value = written
    if isinstance(written, str):
        name = written.strip().strip('"').lower()
        if name in ("text", "findings"):
            return name
        try:
            value = model_json.parse(written)
        except ValueError as error:
            what = 'it is neither "text" nor "findings" nor JSON'
            if written.lstrip()[:1] in ("{", "["):
                what = f"it is not JSON: {error}"
            return Problem(field=place, value=shown(written), what=what, remedy=OUTPUT_REMEDY)
    if not isinstance(value, Mapping):
        what = f"a JSON Schema is an object, and this is {kind_of(value)}"
        return Problem(field=place, value=shown(written), what=what, remedy=OUTPUT_REMEDY)
    too_large = size_problem(value)
    if too_large is not None:
        return too_large.model_copy(update={"field": place})
    return dict(value) or "text"


def _unknown_keys(
    given: Mapping[str, Any], known: Sequence[str], place: str, of: str
) -> Iterator[Problem]:
    for name in islice((each for each in given if each not in known), MAX_OF_ONE):
        near = get_close_matches(name[:MAX_VALUE], known, 1)
        meant = f"did you mean {near[0]}? " if near else ""
        yield Problem(
            field=f"{place}.{shown(name)}",
            what=f"{of} has no such key",
            remedy=f"{meant}it has {', '.join(known)}",
        )


def _problem(line: Any, place: str) -> Problem:
    """A finding of pydantic's, in words."""
    what, remedy = explain_error(line)
    path = [str(part) for part in line["loc"] if part not in ("tuple", "function-before")]
    key = path[0] if path else ""
    value = "" if line["type"] == "missing" else shown(line["input"])
    own = _REMEDIES.get(key, "") if len(path) < 3 and "checks" not in path[:-1] else ""
    if key == "id" and (name := _as_identifier(line["input"])):
        own = f"write it as {name}: {own}"
    return Problem(field=".".join([place, *path]), value=value, what=what, remedy=own or remedy)
