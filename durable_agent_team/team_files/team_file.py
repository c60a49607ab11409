"""Reads a team file and its documents as a `RunRequest`, or reports every problem at once."""

import re
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from durable_agent_team.contracts.call import MAX_SOURCE
from durable_agent_team.contracts.output_schema import equal_schemas, schema_problem
from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import MAX_DOCUMENTS, Team
from durable_agent_team.rules.nearest_names import nearest
from durable_agent_team.rules.pydantic_messages import shown
from durable_agent_team.rules.value_limits import START, value_problem
from durable_agent_team.team_files.error_messages import in_words, spell, suggest
from durable_agent_team.team_files.program_paths import (
    NO_URL,
    is_web_address,
    program_problems,
    with_absolute_paths,
)
from durable_agent_team.team_files.salvage import salvaged_request
from durable_agent_team.team_files.tool_paths import tool_path_problems, with_absolute_tools
from durable_agent_team.team_files.yaml_document import Document, read_yaml
from durable_agent_team.team_files.yaml_file import (
    MAX_FILE,
    FileProblem,
    TeamFileError,
    Unreadable,
    YamlFile,
    read_text,
)

MAX_BESIDE = 1_000
"""Files among which a similar name is looked for."""
MAX_ALL = 100_000_000
"""Bytes of all documents, which are read into memory. What fits into a start without a store of
large texts is `rules.size_limits`."""
SHORTER = "shorten it, or split it into several documents"
Inputs = Sequence[tuple[str, str]]

__all__ = ["FileProblem", "Inputs", "TeamFileError", "in_team_file", "load_team"]


def load_team(path: str | Path, goal: str | None = None, inputs: Inputs = ()) -> RunRequest:
    """Reads a team file, and all documents that it names. Raises `TeamFileError`.

    `goal` overrides the one in the file. `inputs` are (task, file) pairs: documents to add to a
    task's inputs, under their paths as given here.

    >>> request = load_team("teams/market_brief.yaml")
    >>> request.team.name, len(request.team.tasks), sorted(request.sources)[0]
    ('market-brief', 4, 'sources/competitors.md')
    """
    return _TeamFile(Path(path)).request(goal, inputs)


def in_team_file(path: str | Path, problems: Sequence[Problem]) -> list[FileProblem]:
    """Problems of the team as a whole, each with the file's name and the line that it is about.

    Rules know a team, and not its file, which is read once more for the lines. A file that has
    become unreadable in the meantime has none.
    """
    document = Document()
    if problems:
        with suppress(Unreadable, yaml.YAMLError, RecursionError, ValueError):
            document = read_yaml(read_text(Path(path), MAX_FILE))
    return [
        FileProblem(str(path), document.line(_path_of(each.field, document.value)), each)
        for each in problems
    ]


def _path_of(field: str, raw: Any) -> tuple[str | int, ...]:
    """The path in the file of a field as rules spell it: `tasks.ID.ask`, `agents.a.tools[0]`."""
    parts = re.findall(r"\[(\d+)\]|([^.\[\]]+)", field)
    path: list[str | int] = [int(index) if index else name for index, name in parts]
    tasks = raw.get("tasks") if isinstance(raw, dict) else None
    if path[:1] == ["tasks"] and len(path) > 1 and isinstance(tasks, list):
        # Of two tasks with the same id, the second one is the mistake.
        ids = [task.get("id") if isinstance(task, dict) else None for task in tasks]
        index = next((at for at in reversed(range(len(ids))) if ids[at] == path[1]), None)
        path[1:2] = [] if index is None else [index]
    return tuple(path)


class _TeamFile(YamlFile):
    """Reads one team file and collects all its problems."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.folder = path.parent

    def request(self, goal: str | None, inputs: Inputs) -> RunRequest:
        raw = self.parse("team", "start with `name:`, `goal:` and `agents:`")
        extra = self._add_inputs(raw, inputs)
        if goal is not None and not 1 <= len(goal) <= 4_000:
            self.add("--goal", f"{len(goal)} characters", "use 1 to 4000 characters")
        team = self._team(raw)
        sources = self._sources(raw, extra)
        if self.problems or team is None:
            partial = salvaged_request(raw, sources, goal)
            if team is None and partial is not None:
                self._check_surroundings(self._resolved(partial.team))
            raise TeamFileError(self.problems, partial, raw)
        request = RunRequest(team=team, sources=sources)
        return request if goal is None else request.model_copy(update={"goal": goal})

    def _team(self, raw: dict[str, Any]) -> Team | None:
        try:
            team = Team.model_validate(raw)
        except ValidationError as error:
            for where, problem in in_words(error):
                self.at(where, problem)
            self._check_schemas(raw)
            return None
        self._check_schemas(raw)
        team = self._resolved(team)
        self._check_surroundings(team)
        refused = value_problem(raw, START)  # as the run itself does
        if refused is not None and not self.problems:
            self.add("the file", refused)
        return team

    def _resolved(self, team: Team) -> Team:
        """With the paths of its programs and tools as a worker needs them."""
        return with_absolute_tools(with_absolute_paths(team, self.folder), self.folder)

    def _check_surroundings(self, team: Team) -> None:
        """What the team names outside of its file: programs, folders, addresses."""
        if team.notify_url is not None and not is_web_address(team.notify_url):
            what, remedy = NO_URL  # without the value, whose path is often its key
            self.at(("notify_url",), Problem(field="notify_url", what=what, remedy=remedy))
        for where, problem in (*program_problems(team), *tool_path_problems(team)):
            self.at(where, problem)

    def _check_schemas(self, raw: dict[str, Any]) -> None:
        tasks = raw.get("tasks")
        outputs = [
            (index, output)
            for index, task in enumerate(tasks if isinstance(tasks, list) else [])
            if isinstance(output := task.get("output") if isinstance(task, dict) else None, dict)
        ]
        found = {
            index: problem
            for output, indexes in equal_schemas(outputs)
            if (problem := schema_problem(output)) is not None
            for index in indexes
        }
        for index in sorted(found):
            path = ("tasks", index, "output")
            self.at(path, found[index].model_copy(update={"field": spell(path)}))

    def _add_inputs(self, raw: dict[str, Any], inputs: Inputs) -> dict[str, Path]:
        """Adds `--input` files to their tasks; returns the path of each."""
        tasks = raw.get("tasks")
        by_id = {
            task["id"]: task
            for task in (tasks if isinstance(tasks, list) else [])
            if isinstance(task, dict) and isinstance(task.get("id"), str)
        }
        extra: dict[str, Path] = {}
        named_in_file = {name for _, name in _named_inputs(raw)}
        for name, file in inputs:
            if name not in by_id:
                remedy = suggest(name, list(by_id)) if by_id else "the team names no tasks"
                self.add("--input", "no such task", remedy, f"{name}={file}")
                continue
            if file in named_in_file and Path(file).resolve() != (self.folder / file).resolve():
                what = "the team file gives this name to another file"
                self.add("--input", what, "write its path differently", f"{name}={file}")
                continue
            named = by_id[name].get("inputs") or []
            if isinstance(named, list) and file not in named:
                by_id[name]["inputs"] = [*named, file]
            extra[file] = Path(file)
        return extra

    def _document_path(self, name: str) -> Path:
        """The path of a document. It must be inside the team file's folder: the file may come from
        someone else, and its documents are sent to a model. Raises `Unreadable`."""
        folder = self.folder
        with suppress(OSError, ValueError, RuntimeError):  # reading it reports what is wrong
            if not (folder / name).resolve().is_relative_to(folder.resolve()):
                raise Unreadable(
                    "this is outside the team file's folder",
                    "copy it there, or give it with `--input TASK=FILE`",
                )
        return folder / name

    def _similar_file(self, name: str) -> str | None:
        """A file beside the one that is not there, with a similar name."""
        with suppress(OSError, ValueError):
            beside = (self.folder / name).parent.iterdir()
            names = [each.name for each in islice(beside, MAX_BESIDE) if each.is_file()]
            close = nearest(Path(name).name, names)
            return None if close is None else str(Path(name).with_name(close))
        return None

    def _sources(self, raw: dict[str, Any], extra: dict[str, Path]) -> dict[str, str]:
        """The texts of all documents, by their names in the file."""
        sources: dict[str, str] = {}
        tried: set[str] = set()
        for where, name in _named_inputs(raw):
            if name in tried:
                continue
            tried.add(name)
            if len(tried) > MAX_DOCUMENTS:
                continue
            try:
                file = extra.get(name) or self._document_path(name)
                sources[name] = read_text(file, MAX_SOURCE, SHORTER)
            except Unreadable as error:
                what, remedy = error.args
                if what.startswith("there is no file") and (close := self._similar_file(name)):
                    remedy = f"did you mean `{close}`?"
                problem = Problem(
                    field=spell(where), value=shown(name, 200), what=what, remedy=remedy
                )
                self.at(where, problem)
        if len(tried) > MAX_DOCUMENTS:
            self.add(
                "inputs",
                f"{len(tried):,} documents in all, the maximum is {MAX_DOCUMENTS:,}",
                "put several into one file, or split the work over several runs",
            )
        size = sum(len(text.encode()) for text in sources.values())
        if size > MAX_ALL:
            self.add(
                "inputs",
                f"{size:,} bytes in all, the maximum is {MAX_ALL:,}",
                "shorten them, or split the work over several runs",
            )
        return sources


def _named_inputs(raw: dict[str, Any]) -> list[tuple[tuple[str | int, ...], str]]:
    """Every document that a team names, with its path. The team may be invalid otherwise."""
    found: list[tuple[tuple[str | int, ...], str]] = []
    for group in ("agents", "tasks"):
        group_value = raw.get(group)
        if isinstance(group_value, dict):
            members: list[tuple[str | int, Any]] = list(group_value.items())
        else:
            members = list(enumerate(group_value)) if isinstance(group_value, list) else []
        for key, member in members:
            names = member.get("inputs") if isinstance(member, dict) else None
            for index, name in enumerate(names if isinstance(names, list) else []):
                if isinstance(name, str) and 0 < len(name) <= 200:
                    found.append(((group, key, "inputs", index), name))
    return found
