"""A durable, budgeted multi-agent orchestrator: start and control runs of a team from Python.

>>> from durable_agent_team import connect, load_team, start_run
>>> client = await connect()
>>> run = await start_run(client, load_team("teams/market_brief.yaml"))
>>> (await run.result()).answer
'{"findings": []}'

`connect` reads `.env` and the environment. `load_team` reads a team file and checks it. `start_run`
returns a handle (`durable_agent_team.client.run_handle.RunHandle`) whose methods watch the run,
change it and wait for its report; `get_run` returns the handle of an earlier run, and `list_runs`
the open runs, then the last that ended. `rerun` continues a run that has ended. All exceptions are
in `durable_agent_team.client.exceptions`, `durable_agent_team.team_files.team_file`
(`TeamFileError`) and `durable_agent_team.process.settings` (`SettingsError`).

The names are loaded when they are first used: the workflow sandbox imports
`durable_agent_team.contracts`, and must not load a client with it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from durable_agent_team.client.connection import connect
    from durable_agent_team.client.runs import get_run, list_runs, rerun, start_run
    from durable_agent_team.team_files.team_file import load_team

__all__ = ["connect", "get_run", "list_runs", "load_team", "rerun", "start_run"]


def __getattr__(name: str) -> Any:
    match name:
        case "connect":
            home = "client.connection"
        case "get_run" | "list_runs" | "rerun" | "start_run":
            home = "client.runs"
        case "load_team":
            home = "team_files.team_file"
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
