"""Finds the commands in what is printed, and parses them as a shell and the command line would."""

import re
import shlex
from contextlib import suppress
from datetime import datetime

from durable_agent_team.cli.command_group import command_group

PROGRAM = r"(?:[^\s`]*python3?(?:\.\d+)? [^\s`]*starter\.py|[^\s`]*durable-agent-team)"
IN_QUOTES = re.compile(rf"`(?={PROGRAM} [a-z])")
ON_A_LINE = re.compile(rf"(?<!\S)({PROGRAM} [a-z].*)$", re.M)


def commands_in(text: str) -> list[str]:
    """Those in backquotes, and those at the end of a line."""
    quoted = [_up_to_its_quote(text[found.end() :]) for found in IN_QUOTES.finditer(text)]
    return quoted + ON_A_LINE.findall(text)


def _up_to_its_quote(text: str) -> str:
    """The shortest beginning before a backquote that is a whole command: an id may contain one."""
    for end in (found.start() for found in re.finditer("`", text)):
        with suppress(ValueError):
            shlex.split(text[:end])
            return text[:end]
    raise AssertionError(f"a command that does not end: {text[:200]}")


def parsed(command: str) -> list[str]:
    """The name and the arguments; raises where a shell or the command line would refuse them."""
    words = shlex.split(command)
    start = next(n for n, word in enumerate(words) if word.endswith(("starter.py", "-agent-team")))
    arguments = words[start + 1 :]
    group = command_group()
    with group.make_context("starter", list(arguments)) as context:
        rest = [*context._protected_args, *context.args]
        name, found, rest = group.resolve_command(context, rest)
        assert name is not None
        with found.make_context(name, rest, parent=context):
            return arguments


def without_since(words: list[str]) -> list[str]:
    """A command of something that waits, without the time since when, which it must have."""
    at = words.index("--since")
    assert datetime.fromisoformat(words[at + 1]).tzinfo is not None
    return [*words[:at], *words[at + 2 :]]
