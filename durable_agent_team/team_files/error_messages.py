"""Turns pydantic's errors about a team file into messages for its author."""

from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.team import Team
from durable_agent_team.contracts.tool_kinds import SECRET_KEYS
from durable_agent_team.providers.url_secrets import without_url_secrets
from durable_agent_team.rules.nearest_names import nearest
from durable_agent_team.rules.pydantic_messages import explain_error, shown
from durable_agent_team.team_files.union_branches import PROGRAMS, Branch, branch_of
from durable_agent_team.team_files.union_messages import NO_KIND, special_words

MAX_KEY = 100
_AS_YAML = {
    "tuple_type": "write a list, such as [first, second]",
    "dict_type": "write `key: value`, each on a line below it",
    "model_type": "write `key: value`, each on a line below it",
    **dict.fromkeys(
        ("int_type", "int_parsing", "int_from_float"), "write it like 20, without a unit"
    ),
    **dict.fromkeys(("float_type", "float_parsing"), "write it like 20 or 0.5, without a unit"),
}
"""How a value of that kind is written in YAML, where the message does not say it."""


def in_words(
    error: ValidationError, of: type[BaseModel] = Team
) -> list[tuple[tuple[str | int, ...], Problem]]:
    """Returns each problem with its path. Errors of all branches of a union are one problem.

    `of` is the contract that the file does not match.
    """
    found: dict[tuple[str | int, ...], Problem] = {}
    lines = error.errors(include_url=False)
    for line in lines:
        if line["type"] == "too_short" and any(_is_within(each, line) for each in lines):
            continue  # pydantic counts the entries that are right
        path = tuple(part for part in line["loc"] if part != "[key]")
        branch = branch_of(path)
        path = _without_branches(path, branch)
        found.setdefault(path, _problem(path, line, of, branch))
    return list(found.items())


def _is_within(line: Any, outer: Any) -> bool:
    inside, around = line["loc"], outer["loc"]
    return len(inside) > len(around) and inside[: len(around)] == around


def _problem(
    path: tuple[str | int, ...], line: Any, of: type[BaseModel], branch: Branch | None
) -> Problem:
    kind = line["type"]
    what, remedy = explain_error(line)
    remedy = remedy or _as_yaml(kind, line["input"])
    if branch is not None and kind != "extra_forbidden":
        what, remedy = special_words(path, line, branch) or (what, remedy)
    if kind == "extra_forbidden":
        what = "this key is not known"
        is_own = branch is not None and len(path) == branch.at + 1
        keys = list(branch.model.model_fields) if branch and is_own else known_keys(path[:-1], of)
        remedy = suggest(str(path[-1]), keys)
        if path[0] == "orchestrator" and path[-1] in ("tools", "max_turns"):
            what = "the orchestrator plans, reviews and answers, and has no tools"
            remedy = "give them to an agent"
    elif kind in NO_KIND:
        what, remedy = NO_KIND[kind]
    elif kind == "missing":
        remedy = f"add `{path[-1]}:`"
    elif kind != "string_unicode" and path and path[-1] == "output":
        what, remedy = "this is not an output", "use `text`, `findings`, or a JSON Schema"
    # The path of a webhook is often its key.
    is_hook = path == ("notify_url",) and "://" in str(line["input"])
    is_value = line["input"] not in path[-1:]  # and not the name
    is_secret = is_hook or (is_value and not SECRET_KEYS.isdisjoint(path[2:]))
    given = "" if kind in ("missing", "extra_forbidden") or is_secret else _shown(line["input"])
    return Problem(field=spell(path)[:300], value=given, what=what, remedy=remedy)


def _without_branches(path: tuple[str | int, ...], branch: Branch | None) -> tuple[str | int, ...]:
    """Removes the branches that pydantic tried: of `output` a name and a schema, of `run`, `tools`
    and `tool_servers` the kinds, of `env` a list and a mapping."""
    if branch is not None:
        path = (*path[: branch.at], *path[branch.at + 1 :])
        if branch.kinds is PROGRAMS and "env" in path[3:]:
            return path[: path.index("env") + 1]
        if path[branch.at :] == ("built_in",):
            return path[: branch.at]  # the name stands for the whole entry
        return path
    if "output" in path:
        return path[: path.index("output") + 1]
    return path


def _as_yaml(kind: str, value: Any) -> str:
    if kind == "string_type":
        return "put it in quotes" if isinstance(value, bool | int | float) else ""
    return _AS_YAML.get(kind, "")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value) if isinstance(value, str | list | dict) else str(value)
    text = without_url_secrets(text)
    return text if len(text) <= 80 else f"{text[:77]}…"


def spell(path: Sequence[str | int]) -> str:
    """The path as text, on one line: `tasks[1].ask`."""
    text = "".join(
        f"[{part}]" if isinstance(part, int) else f".{shown(str(part), MAX_KEY)}" for part in path
    )
    return text.removeprefix(".") or "the file"


def suggest(name: str, known: Sequence[str]) -> str:
    """A remedy: the closest known name, or the list of known ones."""
    if close := nearest(name, known):
        return f"did you mean `{close}`?"
    return f"known here: {', '.join(known)}" if known else "leave it out"


def known_keys(path: Sequence[str | int], of: type[BaseModel] = Team) -> list[str]:
    """The keys of the contract at a path."""
    model: type[BaseModel] | None = of
    for part in path:
        if model is None:
            return []
        if isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part])
    return list(model.model_fields) if model else []


def _model_in(field: FieldInfo) -> type[BaseModel] | None:
    pending = [field.annotation]
    while pending:
        kind = pending.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
        pending.extend(get_args(kind))
    return None
