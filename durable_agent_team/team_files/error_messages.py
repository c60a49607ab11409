"""Turns pydantic's errors about a team file into messages for its author."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.program_kinds import CommandRun, PythonRun, RemoteRun
from durable_agent_team.contracts.team import Team
from durable_agent_team.rules.nearest_names import nearest
from durable_agent_team.rules.pydantic_messages import explain_error

PROGRAMS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {"python": PythonRun, "command": CommandRun, "a2a": RemoteRun}
)


def in_words(
    error: ValidationError, of: type[BaseModel] = Team
) -> list[tuple[tuple[str | int, ...], Problem]]:
    """Returns each problem with its path. Errors of all branches of a union are one problem.

    `of` is the contract that the file does not match.
    """
    found: dict[tuple[str | int, ...], Problem] = {}
    for line in error.errors(include_url=False):
        path = tuple(part for part in line["loc"] if part != "[key]")
        kind = _kind_of_program(path)
        path = _without_branches(path)
        found.setdefault(path, _problem(path, line, of, kind))
    return list(found.items())


def _problem(
    path: tuple[str | int, ...], line: Any, of: type[BaseModel], program: type[BaseModel] | None
) -> Problem:
    kind = line["type"]
    what, remedy = explain_error(line)
    if program is not None and kind != "extra_forbidden":
        what, remedy = _of_program(path, kind) or (what, remedy)
    if kind == "extra_forbidden":
        what = "this key is not known"
        is_run = program is not None and path[-2:-1] == ("run",)
        keys = list(program.model_fields) if program and is_run else known_keys(path[:-1], of)
        remedy = suggest(str(path[-1]), keys)
    elif kind == "no_kind_of_program":
        what = "this is not a program"
        remedy = "give exactly one of `python: module:function`, `command: [...]`, `a2a: URL`"
    elif kind == "missing":
        remedy = f"add `{path[-1]}:`"
    elif kind != "string_unicode" and path and path[-1] == "output":
        what, remedy = "this is not an output", "use `text`, `findings`, or a JSON Schema"
    given = "" if kind in ("missing", "extra_forbidden") else _shown(line["input"])
    return Problem(field=spell(path)[:300], value=given, what=what, remedy=remedy)


def _kind_of_program(path: tuple[str | int, ...]) -> type[BaseModel] | None:
    """The contract of the agent's program, which pydantic names after `run`."""
    if len(path) < 4 or path[0] != "agents" or path[2] != "run":
        return None
    return PROGRAMS.get(str(path[3]))


def _of_program(path: tuple[str | int, ...], kind: str) -> tuple[str, str] | None:
    """What is wrong with a value under `run`, where pydantic's own words say nothing."""
    if path[-1] == "env":
        return (
            "these are not names of environment variables",
            "write a list, such as [TAVILY_KEY], or the program's own names: {KEY: $TAVILY_KEY}",
        )
    if kind != "string_pattern_mismatch":
        return None
    if path[-1] == "python":
        return "this is not a function of a module", "write it like market.crews:research"
    if "headers" in path:
        return "this is not a header from a variable", "write `$NAME`, or `Bearer $NAME`"
    return "this is not an http:// or https:// URL", "write it like https://example.com/agent"


def _without_branches(path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Removes the branches that pydantic tried: of `output` a name and a schema, of `run` the kinds
    of programs, of `env` a list and a mapping."""
    if _kind_of_program(path) is not None:
        path = (*path[:3], *path[4:])
        return path[: path.index("env") + 1] if "env" in path[3:] else path
    if "output" in path:
        return path[: path.index("output") + 1]
    return path


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str | list | dict) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def spell(path: Sequence[str | int]) -> str:
    """The path as text: `tasks[1].ask`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
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
