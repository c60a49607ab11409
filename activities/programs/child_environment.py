"""The environment of a program: only documented names, and nothing else of the worker's."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from activities.programs.exceptions import ProgramError
from activities.programs.runner import Scope
from durable_agent_team.contracts.error_types import ErrorType

PASSED_ON: Final = ("PATH", "LANG", "LC_ALL")
"""As the worker has them."""
NEVER: Final = frozenset(
    {"ATXP_API_KEY", "SEALING_KEY", "TEMPORAL_API_KEY", "GATEWAY_PARENT_KEY", "GATEWAY_SECRET"}
)
"""Variables of the worker with which a program could spend the money of every agent."""
OURS: Final = "AGENT_"
LOCALE: Final = "C.UTF-8"
PATH: Final = "/usr/local/bin:/usr/bin:/bin"


def program_environment(
    scope: Scope,
    model: str,
    wanted: Mapping[str, str],
    worker: Mapping[str, str],
    home: Path,
    report: Path,
    modules: list[str],
) -> dict[str, str]:
    """`wanted` maps names in the program's environment to those in the worker's; `modules` are
    where it imports from. Raises `ProgramError` where the worker does not have one, or must not
    give it."""
    return base_environment(worker, home, modules) | {
        **named_variables(wanted, worker),
        "AGENT_BASE_URL": scope.base_url,
        "AGENT_API_KEY": scope.key.get_secret_value(),
        "AGENT_MODEL": model,
        "AGENT_SCOPE": scope.name,
        "AGENT_ATTEMPT": str(scope.attempt),
        "AGENT_GATEWAY_URL": scope.gateway_url,
        "AGENT_REPORT": str(report),
    }


def base_environment(worker: Mapping[str, str], home: Path, modules: list[str]) -> dict[str, str]:
    """What every child of the worker's has, whatever its team file says."""
    environment = {"PATH": PATH}
    environment |= {name: worker[name] for name in PASSED_ON if worker.get(name)}
    if "LANG" not in environment and "LC_ALL" not in environment:
        environment["LANG"] = LOCALE
    return environment | {
        "HOME": str(home),
        "TMPDIR": str(home),
        "PYTHONPATH": os.pathsep.join(modules),
    }


def named_variables(
    wanted: Mapping[str, str], worker: Mapping[str, str], key: str = "run.env"
) -> dict[str, str]:
    """The variables that a team file names, with the worker's values. `key` is where it names them.
    Raises `ProgramError`."""
    for name, source in wanted.items():
        if source in NEVER:
            raise _wrong(
                f"`{key}` names {source}, which no program gets: with it, it could spend the"
                " money of every agent. Its own key is in AGENT_API_KEY"
            )
        if name.startswith(OURS):
            raise _wrong(
                f"`{key}` sets {name}, and names that begin with {OURS} are the worker's: take"
                " another name in the team file"
            )
        if source not in worker:
            raise _wrong(_missing(name, source, key))
    return {name: worker[source] for name, source in wanted.items()}


def _missing(name: str, source: str, key: str) -> str:
    text = (
        f"`{key}` names {source}, which the worker's environment does not have: set it where the"
        " worker is started, and start it again"
    )
    return text + other_name_for_key("env", name, source)


def other_name_for_key(key: str, name: str, source: str, word: str = "") -> str:
    """What to write instead of a variable that the local stack keeps from the worker; "" for every
    other one. `word` is what stands before the variable in a header's value."""
    if not source.upper().endswith("_API_KEY"):
        return ""
    other = f"AGENTS_{source}".removesuffix("_API_KEY")
    value = f"{word} ${other}_KEY".lstrip()
    return (
        ". The local stack gives variables that end in _API_KEY to the gateway only: set"
        f" {other}_KEY there, and write `{key}: {{{name}: {value}}}`"
    )


def _wrong(text: str) -> ProgramError:
    return ProgramError(ErrorType.ENVIRONMENT_FAILED, text, final=True)
