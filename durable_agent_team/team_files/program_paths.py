"""Agents that are programs: their paths become absolute, and what is not there is reported.

A program's paths are relative to the team file. Workers need them at the same place.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.program_kinds import CommandRun, PythonRun, RemoteRun, Run
from durable_agent_team.contracts.team import Team
from durable_agent_team.providers.url_secrets import without_url_secrets
from durable_agent_team.rules.programs import programs_of

LOCK = "requirements.lock"
SECRETS = frozenset(
    {
        "SEALING_KEY",
        "ATXP_API_KEY",
        "TEMPORAL_API_KEY",
        "GATEWAY_PARENT_KEY",
        "GATEWAY_SECRET",
        "UPSTREAM_API_KEY",
    }
)
"""This project's own: whoever has one of them can spend the money of every agent."""
NOT_FOR_AGENTS = "no agent or tool is given this key: it could spend the money of every agent"
NO_URL = ("this is not the address of a web server", "correct its host or its port")
NUL = ("an argument contains a NUL character, which no program can be given", "leave it out")
OURS = ("AGENT_", "GATEWAY_", "UPSTREAM_")
"""What the project's own variables begin with: the worker sets the first ones itself."""

Where = tuple[str | int, ...]


def with_absolute_paths(team: Team, folder: Path) -> Team:
    """The same team, with the paths of its programs as the worker needs them."""
    programs = programs_of(team)
    if not programs:
        return team
    resolved = {
        name: team.agents[name].model_copy(update={"run": _absolute(run, folder.absolute())})
        for name, run in programs.items()
    }
    return team.model_copy(update={"agents": {**team.agents, **resolved}})


def _absolute(run: Run, folder: Path) -> Run:
    if isinstance(run, RemoteRun):
        return run
    directory = joined(folder, run.directory or ".")
    if isinstance(run, PythonRun):
        given = {"environment": str(joined(folder, run.environment))} if run.environment else {}
        return run.model_copy(update={"directory": str(directory), **given})
    program, *arguments = run.command
    if "/" in program:
        program = str(joined(directory, program))
    return run.model_copy(update={"directory": str(directory), "command": (program, *arguments)})


def joined(folder: Path, path: str) -> Path:
    """Without `..`, but not through links: an environment's `bin/python` is one."""
    return Path(os.path.normpath(folder / path))


def program_problems(team: Team) -> Iterator[tuple[Where, Problem]]:
    """What is wrong with the programs of a team whose paths are absolute, with its place."""
    for name, run in programs_of(team).items():
        where = ("agents", name, "run")
        field = f"agents.{name}.run"
        for key, value, what, remedy in _problems(run):
            yield (
                (*where, key),
                Problem(field=f"{field}.{key}", value=value, what=what, remedy=remedy),
            )


def _problems(run: Run) -> Iterator[tuple[str, str, str, str]]:
    if isinstance(run, RemoteRun):
        if not is_web_address(run.a2a):
            yield "a2a", without_url_secrets(run.a2a)[:300], *NO_URL
        for reference in run.headers.values():
            yield from _variable_problems("", reference.rpartition("$")[2], "headers")
        return
    if run.directory is not None and not is_directory(run.directory):
        yield (
            "directory",
            run.directory[:300],
            "there is no such directory",
            "paths are relative to the team file",
        )
    elif isinstance(run, CommandRun) and not is_found(run.command[0]):
        remedy = "paths are relative to `directory`, by default the team file's"
        if "/" not in run.command[0]:
            remedy = "install it, or name its path, such as ./agent.sh"
        yield "command", run.command[0][:300], no_program(run.command[0]), remedy
    elif isinstance(run, CommandRun) and any("\0" in each for each in run.command):
        yield "command", "", *NUL
    if isinstance(run, PythonRun) and run.environment is not None:
        yield from _environment_problems(run.environment)
    for name, source in run.variables.items():
        yield from _variable_problems(name, source)


def _environment_problems(environment: str) -> Iterator[tuple[str, str, str, str]]:
    shown = environment[:300]
    if not is_directory(environment):
        yield (
            "environment",
            shown,
            "there is no such directory",
            f"make it, with a {LOCK}; paths are relative to the team file",
        )
    elif not is_file(Path(environment) / LOCK):
        yield (
            "environment",
            shown,
            f"there is no {LOCK} in it",
            f"write one with `pip-compile --generate-hashes --output-file {LOCK}` or `uv pip"
            f" compile --generate-hashes -o {LOCK}`",
        )


def _variable_problems(
    name: str, source: str, key: str = "env"
) -> Iterator[tuple[str, str, str, str]]:
    if is_secret(source):
        yield (
            key,
            source,
            NOT_FOR_AGENTS,
            "leave it out; the key of its own account is in AGENT_API_KEY",
        )
    elif name.startswith(OURS[0]):
        yield (
            "env",
            name,
            f"names that begin with {OURS[0]} are set by the worker",
            "take another name",
        )


def is_secret(source: str) -> bool:
    """Whether a variable of the worker's is one of this project's own keys."""
    return source in SECRETS or (source.startswith(OURS[1:]) and "KEY" in source)


def is_web_address(url: str) -> bool:
    """Whether a client can be made for it: contracts look at no more than how it begins."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        named = ":" in host or bool(host.encode("idna"))
        return named and parts.port != 0 and url.isprintable()
    except ValueError:
        return False


def is_directory(path: str) -> bool:
    with suppress(OSError, ValueError):
        return Path(path).is_dir()
    return False


def is_file(path: Path) -> bool:
    with suppress(OSError, ValueError):
        return path.is_file()
    return False


def is_found(program: str) -> bool:
    with suppress(OSError, ValueError):
        return shutil.which(program) is not None
    return False


def no_program(program: str) -> str:
    if "/" in program and is_file(Path(program)):
        return "this file cannot be executed (chmod +x)"
    return "there is no such program"
