"""The headers that go to a remote agent: its own authentication, and with `send_key` its account.

The key of the agent's account goes only to a server that the team file trusts with it: an agent
that pays for its own models has no use for it.
"""

from collections.abc import Mapping

from activities.programs.child_environment import NEVER
from activities.programs.exceptions import ProgramError
from activities.programs.runner import Scope
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.program_kinds import RemoteRun

API_KEY = "Agent-Api-Key"


def remote_headers(
    run: RemoteRun, scope: Scope, model: str, worker: Mapping[str, str]
) -> dict[str, str]:
    """Raises `ProgramError` where the worker lacks a variable, or must not give it."""
    headers = {name: _value(name, reference, worker) for name, reference in run.headers.items()}
    if run.send_key:
        headers |= {
            "Agent-Base-URL": scope.base_url,
            API_KEY: scope.key.get_secret_value(),
            "Agent-Model": model,
            "Agent-Scope": scope.name,
            "Agent-Attempt": str(scope.attempt),
        }
    return headers


def secrets_in(headers: Mapping[str, str]) -> list[str]:
    """The values that the team file takes from the worker, and the key; without their scheme."""
    own = [value for name, value in headers.items() if not name.startswith("Agent-")]
    return [value.rpartition(" ")[2] for value in own] + [headers.get(API_KEY, "")]


def _value(header: str, reference: str, worker: Mapping[str, str]) -> str:
    scheme, _, variable = reference.rpartition("$")
    if variable in NEVER:
        raise _wrong(
            f"`run.headers.{header}` names {variable}, which no agent gets: with it, it could spend"
            " the money of every agent"
        )
    value = worker.get(variable, "")
    if not value:
        raise _wrong(
            f"`run.headers.{header}` names {variable}, which the worker's environment does not"
            " have: set it where the worker is started, and start it again"
        )
    if not value.isascii() or not value.isprintable():
        raise _wrong(
            f"`run.headers.{header}`: the value of {variable} cannot be in an HTTP header: it has"
            " characters other than printable ASCII"
        )
    return scheme + value


def _wrong(text: str) -> ProgramError:
    return ProgramError(ErrorType.ENVIRONMENT_FAILED, text, final=True)
