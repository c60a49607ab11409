"""Finds the commands in what is printed, and parses them as a shell and the command line would."""

import re
import shlex

from durable_agent_team.cli.command_group import command_group

PROGRAM = r"(?:\S*python3?(?:\.\d+)? \S*starter\.py|\S*durable-agent-team)"
IN_QUOTES = re.compile(rf"`({PROGRAM} [a-z].*?)`(?=[\s,;:.)]|$)")
ON_A_LINE = re.compile(rf"^[^`]*?({PROGRAM} [a-z][^`]*)$", re.M)
PLACEHOLDER = re.compile(r"[A-Z]+")


def commands_in(text: str) -> list[str]:
    """Those in backquotes, and those at the end of a line."""
    return IN_QUOTES.findall(text) + ON_A_LINE.findall(text)


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
