"""Reads a YAML file as plain values, and collects its problems with their lines."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.rules.pydantic_messages import shown
from durable_agent_team.team_files.error_messages import spell
from durable_agent_team.team_files.regular_file import NotAFile, read_regular
from durable_agent_team.team_files.yaml_document import Document, read_yaml

MAX_FILE = 2_000_000


@dataclass(frozen=True)
class FileProblem:
    """A problem and its location. `line` counts from 1; None if the problem has no line."""

    file: str
    line: int | None
    problem: Problem

    def __str__(self) -> str:
        file = shown(self.file, 300)
        where = file if self.line is None else f"{file}:{self.line}"
        return f"{where}: {self.problem}"


class TeamFileError(Exception):
    """All problems of a team or task file. For a team, `partial` is the start input without what is
    wrong, if enough is left, and `raw` the file as plain values."""

    def __init__(
        self,
        problems: Sequence[FileProblem],
        partial: RunRequest | None = None,
        raw: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
        self.partial = partial
        self.raw = raw or {}


class YamlFile:
    """One file that is being read, and the problems found so far."""

    def __init__(self, path: Path | None) -> None:
        """None for standard input."""
        self.path = path
        self.name = "standard input" if path is None else str(path)
        self.document = Document()
        self.problems: list[FileProblem] = []

    def add(self, field: str, what: str, remedy: str = "", value: str = "") -> None:
        self.problems.append(
            FileProblem(
                self.name, None, Problem(field=field, value=value, what=what, remedy=remedy)
            )
        )

    def at(self, where: tuple[str | int, ...], problem: Problem) -> None:
        self.problems.append(FileProblem(self.name, self.document.line(where), problem))

    def parse(self, what: str, hint: str) -> dict[str, Any]:
        """Returns the file as plain values. Raises `TeamFileError` unless it is a YAML mapping.

        `what` is the expected content, and `hint` says how it starts.
        """
        try:
            self.document = read_yaml(self._text())
        except Unreadable as error:
            self.add(f"{what} file", *error.args)
            raise TeamFileError(self.problems) from None
        except yaml.YAMLError as error:
            line, told, remedy = _yaml_words(error)
            problem = Problem(field="YAML", what=told, remedy=remedy)
            raise TeamFileError([FileProblem(self.name, line, problem)]) from None
        except RecursionError:
            self.add("YAML", "is nested too deeply", f"a {what} needs no more than ten levels")
            raise TeamFileError(self.problems) from None
        except ValueError as error:
            # Only a number of thousands of digits: the rest of the message is how to allow it.
            message = str(error).partition(";")[0][:200]
            self.add("YAML", message[:1].lower() + message[1:], "write a smaller number")
            raise TeamFileError(self.problems) from None
        if not isinstance(self.document.value, dict):
            self.add("the file", f"does not contain a {what}", hint)
            raise TeamFileError(self.problems)
        for where, line in self.document.duplicates:
            problem = Problem(
                field=spell(where), what="this key is there twice", remedy="keep one of them"
            )
            self.problems.append(FileProblem(self.name, line, problem))
        return self.document.value

    def _text(self) -> str:
        if self.path is not None:
            return read_text(self.path, MAX_FILE)
        if sys.stdin is None:
            raise Unreadable("standard input is closed", "name a file")
        try:
            raw = sys.stdin.buffer.read(4 * MAX_FILE + 1)
        except OSError as error:
            why = error.strerror or "it cannot be used"
            raise Unreadable(f"standard input cannot be read: {why}", "name a file") from None
        return _decode(raw, MAX_FILE, self.name)


_YAML_REMEDIES: Final = (
    ("character '\\t'", "indent with spaces: YAML takes no tabs"),
    ("cannot start any token", "put the text in quotes"),
    (
        "mapping values are not allowed",
        "put a text that contains `: ` in quotes; a key needs a space after its colon",
    ),
    ("could not find expected ':'", "write `key: value`, with a space after the colon"),
    ("undefined alias", "put a text that begins with `*` in quotes"),
    ("constructor for the tag", "put a text that begins with `!` in quotes"),
    ("does not fit the tag", "leave the tag out, or write a value of its kind"),
    ("or refers to itself", "write values out instead of using aliases"),
    ("with all that it stands for", "use fewer tasks, smaller schemas, or fewer aliases"),
)
_OPENED: Final = {"while parsing a flow mapping": "{", "while parsing a flow sequence": "["}


def _yaml_words(error: yaml.YAMLError) -> tuple[int | None, str, str]:
    """The line of an error, what is wrong, and a remedy. The parser notices only further down that
    a bracket or a quotation mark is not closed: the place where it is opened is named."""
    told = str(getattr(error, "problem", None) or error).splitlines()[0]
    mark, opened = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    line = mark.line + 1 if mark else None
    context = getattr(error, "context", None)
    if opened is not None and context == "while scanning a quoted scalar":
        return opened.line + 1, "a quotation mark is not closed", "close it in the same text"
    if opened is not None and context in _OPENED and line != opened.line + 1:
        bracket = f"the `{_OPENED[context]}` of line {opened.line + 1}"
        return line, told, f"close {bracket}, or put a comma between its entries"
    found = (remedy for words, remedy in _YAML_REMEDIES if words in told)
    return line, told, next(found, "mind indentation, colons and quotes")


class Unreadable(Exception):
    """A file cannot be used. The arguments are the problem and the remedy."""


def read_text(file: Path, limit: int, shorter: str = "shorten it") -> str:
    """Returns a regular file's text of `limit` characters at most. Raises `Unreadable`, with
    `shorter` as the remedy for a longer one."""
    name = shown(str(file), 200)
    try:
        return _decode(read_regular(file, 4 * limit + 1), limit, name, shorter)
    except NotAFile as error:
        what = f"{name} is a {error}, and only a file is read"
        raise Unreadable(what, "write its content into a file") from None
    except FileNotFoundError:
        raise Unreadable(f"there is no file {name}", "check the path") from None
    except OSError as error:
        raise Unreadable(f"{name} cannot be read ({error.strerror})", _remedy(error)) from None
    except ValueError:  # a NUL in the name
        raise Unreadable(f"no file can have the name {name}", "check the path") from None


def _decode(content: bytes, limit: int, name: str, shorter: str = "shorten it") -> str:
    if len(content) > 4 * limit:
        raise Unreadable(f"more than {limit:,} characters", shorter)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"{name} is not UTF-8 text (byte {error.start})"
        raise Unreadable(what, "convert it to plain text in UTF-8") from None
    if len(text) > limit:
        raise Unreadable(f"{len(text):,} characters, the maximum is {limit:,}", shorter)
    return text


def _remedy(error: OSError) -> str:
    if isinstance(error, IsADirectoryError):
        return "name a file in it"
    if isinstance(error, PermissionError):
        return "make it readable for you: chmod u+r"
    return "check the path"
