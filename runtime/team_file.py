"""A team file: YAML in, a `RunRequest` out, or every problem at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from contracts.calls import MAX_SOURCE
from contracts.output_schema import schema_problem
from contracts.plan import Problem
from contracts.run import RunRequest
from contracts.team import Team
from runtime.plain_words import shown
from runtime.team_words import in_words, spell, suggest
from runtime.team_yaml import Document, read_yaml

MAX_ALL = 1_500_000
"""Bytes of the whole request: Temporal takes 2 MB, and the team itself needs room."""
MAX_FILE = 1_000_000
Inputs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class FileProblem:
    """A problem, and where it stands. `line` counts from 1; None for what has no line."""

    file: str
    line: int | None
    problem: Problem

    def __str__(self) -> str:
        file = shown(self.file, 300)
        where = file if self.line is None else f"{file}:{self.line}"
        return f"{where}: {self.problem}"


class TeamFileError(Exception):
    """Everything that is wrong with a team file, at once."""

    def __init__(self, problems: Sequence[FileProblem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def load_team(path: str | Path, goal: str | None = None, inputs: Inputs = ()) -> RunRequest:
    """Reads a team and all the documents that it names; raises `TeamFileError`.

    `goal` overrides the file's own. `inputs` are (task, file) pairs: documents that are added to
    a task's inputs, their names being the paths as they were given.
    """
    return _Reading(Path(path)).request(goal, inputs)


class _Reading:
    """One reading of one file; collects problems until there is nothing more to find."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.document = Document()
        self.problems: list[FileProblem] = []

    def add(self, field: str, what: str, remedy: str = "", value: str = "") -> None:
        self.problems.append(
            FileProblem(
                str(self.path), None, Problem(field=field, value=value, what=what, remedy=remedy)
            )
        )

    def at(self, where: tuple[str | int, ...], problem: Problem) -> None:
        self.problems.append(FileProblem(str(self.path), self.document.line(where), problem))

    def request(self, goal: str | None, inputs: Inputs) -> RunRequest:
        raw = self._parse()
        extra = self._add_inputs(raw, inputs)
        if goal is not None and not 1 <= len(goal) <= 4_000:
            self.add("--goal", f"{len(goal)} characters", "use 1 to 4000 characters")
        team = self._team(raw)
        sources = self._sources(raw, extra)
        if self.problems or team is None:
            raise TeamFileError(self.problems)
        request = RunRequest(team=team, sources=sources)
        return request if goal is None else request.model_copy(update={"goal": goal})

    def _parse(self) -> dict[str, Any]:
        """The file as plain values. What is no YAML, or no mapping, ends the reading."""
        try:
            self.document = read_yaml(_text(self.path, MAX_FILE))
        except _Unreadable as error:
            self.add("team file", *error.args)
            raise TeamFileError(self.problems) from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            what = str(getattr(error, "problem", None) or error).splitlines()[0]
            problem = Problem(field="YAML", what=what, remedy="mind indentation, colons and quotes")
            line = mark.line + 1 if mark else None
            raise TeamFileError([FileProblem(str(self.path), line, problem)]) from None
        except RecursionError:
            self.add("YAML", "is nested too deeply", "a team needs no more than ten levels")
            raise TeamFileError(self.problems) from None
        except ValueError as error:
            # Only a number of thousands of digits comes here; Python says how to allow those.
            what = str(error).partition(";")[0][:200]
            self.add("YAML", what[:1].lower() + what[1:], "write a smaller number")
            raise TeamFileError(self.problems) from None
        if not isinstance(self.document.value, dict):
            self.add("the file", "holds no team", "start with `name:`, `goal:` and `agents:`")
            raise TeamFileError(self.problems)
        for where, line in self.document.duplicates:
            problem = Problem(
                field=spell(where), what="this key is there twice", remedy="keep one of them"
            )
            self.problems.append(FileProblem(str(self.path), line, problem))
        return self.document.value

    def _team(self, raw: dict[str, Any]) -> Team | None:
        try:
            team = Team.model_validate(raw)
        except ValidationError as error:
            for where, problem in in_words(error):
                self.at(where, problem)
            return None
        for index, task in enumerate(team.tasks):
            found = schema_problem(task.output) if isinstance(task.output, dict) else None
            if found is not None:
                path = ("tasks", index, "output")
                self.at(path, found.model_copy(update={"field": spell(path)}))
        return team

    def _add_inputs(self, raw: dict[str, Any], inputs: Inputs) -> dict[str, Path]:
        """Puts `--input` files into their tasks; answers with where each is read from."""
        tasks = raw.get("tasks")
        by_id = {
            task["id"]: task
            for task in (tasks if isinstance(tasks, list) else [])
            if isinstance(task, dict) and isinstance(task.get("id"), str)
        }
        extra: dict[str, Path] = {}
        beside = {name for _, name in _named_inputs(raw)}
        for name, file in inputs:
            if name not in by_id:
                remedy = suggest(name, list(by_id)) if by_id else "the team names no tasks"
                self.add("--input", "no such task", remedy, f"{name}={file}")
                continue
            if file in beside and Path(file).resolve() != (self.path.parent / file).resolve():
                what = "the team file gives this name to another file"
                self.add("--input", what, "write its path differently", f"{name}={file}")
                continue
            named = by_id[name].get("inputs") or []
            if isinstance(named, list) and file not in named:
                by_id[name]["inputs"] = [*named, file]
            extra[file] = Path(file)
        return extra

    def _sources(self, raw: dict[str, Any], extra: dict[str, Path]) -> dict[str, str]:
        """The texts of all inputs, keyed by the names written in the file."""
        sources: dict[str, str] = {}
        tried: set[str] = set()
        for where, name in _named_inputs(raw):
            if name in tried:
                continue
            tried.add(name)
            try:
                sources[name] = _text(extra.get(name, self.path.parent / name), MAX_SOURCE)
            except _Unreadable as error:
                what, remedy = error.args
                problem = Problem(
                    field=spell(where), value=shown(name, 200), what=what, remedy=remedy
                )
                self.at(where, problem)
        size = sum(len(text.encode()) for text in sources.values())
        if size > MAX_ALL:
            self.add(
                "inputs",
                f"{size:,} bytes in all, and {MAX_ALL:,} are the most",
                "shorten them, or split the work over several runs",
            )
        return sources


class _Unreadable(Exception):
    """What is wrong with a file, and the remedy."""


def _text(file: Path, limit: int) -> str:
    """A file's text; raises `_Unreadable`. Reads no more than it may, from a pipe or device too."""
    name = shown(str(file), 200)
    try:
        with file.open("rb") as source:
            content = source.read(4 * limit + 1)
        if len(content) > 4 * limit:
            raise _Unreadable(f"more than {limit:,} characters", "shorten it")
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise _Unreadable(f"there is no file {name}", "check the path") from None
    except UnicodeDecodeError as error:
        what = f"{name} is no UTF-8 text (byte {error.start})"
        raise _Unreadable(what, "convert it to plain text in UTF-8") from None
    except OSError as error:
        raise _Unreadable(f"{name} cannot be read ({error.strerror})", _remedy(error)) from None
    except ValueError:  # a NUL in its name
        raise _Unreadable(f"no file can have the name {name}", "check the path") from None
    if len(text) > limit:
        raise _Unreadable(f"{len(text):,} characters, and {limit:,} are the most", "shorten it")
    return text


def _remedy(error: OSError) -> str:
    if isinstance(error, IsADirectoryError):
        return "name a file in it"
    if isinstance(error, PermissionError):
        return "make it readable for you: chmod u+r"
    return "check the path"


def _named_inputs(raw: dict[str, Any]) -> list[tuple[tuple[str | int, ...], str]]:
    """Every document that a team names, with its place; whatever else is wrong with the team."""
    found: list[tuple[tuple[str | int, ...], str]] = []
    for group in ("agents", "tasks"):
        held = raw.get(group)
        if isinstance(held, dict):
            members: list[tuple[str | int, Any]] = list(held.items())
        else:
            members = list(enumerate(held)) if isinstance(held, list) else []
        for key, member in members:
            names = member.get("inputs") if isinstance(member, dict) else None
            for index, name in enumerate(names if isinstance(names, list) else []):
                if isinstance(name, str) and 0 < len(name) <= 200:
                    found.append(((group, key, "inputs", index), name))
    return found
