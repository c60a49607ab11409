"""The environment of a server's process and the headers of its requests: what the team file names,
with the worker's values. They are resolved here, and nowhere else."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from activities.programs.child_environment import LOCALE, NEVER, PATH, other_name_for_key
from activities.programs.secret_scrubber import SECRET_NAME, SecretScrubber
from activities.tools.exceptions import ToolUnreachable
from durable_agent_team.contracts.tool_kinds import CommandServer, ToolServer, UrlServer

_REFERENCE: Final = re.compile(r"(?:(?P<word>\S+) )?\$(?P<name>\w+)")
_FILE: Final = re.compile(r"\.{0,2}/\S*")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e\t]*")


def server_environment(server: CommandServer, worker: Mapping[str, str]) -> dict[str, str]:
    """PATH, HOME and LANG as the worker has them, and what `env` names: nothing else. Raises
    `ToolUnreachable`."""
    given = {"PATH": worker.get("PATH") or PATH, "LANG": worker.get("LANG") or LOCALE}
    if home := worker.get("HOME"):
        given["HOME"] = home
    named = {name: _resolved("env", name, source, worker) for name, source in server.env.items()}
    return given | named


def server_headers(server: UrlServer, worker: Mapping[str, str]) -> dict[str, str]:
    """What `headers` names, stripped of white space around it. Raises `ToolUnreachable`."""
    headers = {
        name: _resolved("headers", name, source, worker).strip()
        for name, source in server.headers.items()
    }
    for name, value in headers.items():
        if not _HEADER_VALUE.fullmatch(value):
            raise ToolUnreachable(
                f"the variable that `headers` names for {name} has a line break, or a character"
                " that no header can have: correct it where the worker is started"
            )
    return headers


def scrubber(server: ToolServer, worker: Mapping[str, str]) -> SecretScrubber:
    """Finds the values of what `env` and `headers` name. A path is none, unless its variable's name
    says that it is a secret."""
    return SecretScrubber(_secrets(server, worker))


def _secrets(server: ToolServer, worker: Mapping[str, str]) -> Iterable[str]:
    if isinstance(server, UrlServer):
        for source in server.headers.values():
            value = worker.get(_name(source), "").strip()
            yield value
            yield value.rpartition(" ")[2]
        return
    for name, source in server.env.items():
        value = worker.get(_name(source), "")
        is_named_so = SECRET_NAME.search(name) or SECRET_NAME.search(source)
        if is_named_so or not _FILE.fullmatch(value):
            yield value


def _name(source: str) -> str:
    found = _REFERENCE.fullmatch(source)
    return found["name"] if found else ""


def _resolved(key: str, name: str, source: str, worker: Mapping[str, str]) -> str:
    found = _REFERENCE.fullmatch(source)
    if found is None or found["name"] in NEVER:
        raise ToolUnreachable(
            f"`{key}` of the server names {source}, which no server gets: with it, it could spend"
            " the money of every agent"
        )
    if found["name"] not in worker:
        raise ToolUnreachable(
            f"`{key}` of the server names {source} for {name}, which the worker's environment does"
            " not have: set it where the worker is started, and start it again"
            + other_name_for_key(key, name, found["name"], found["word"] or "")
        )
    value = worker[found["name"]]
    return f"{found['word']} {value}" if found["word"] else value
