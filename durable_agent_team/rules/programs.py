"""Which agents are programs, and what is known of them before they run."""

from collections.abc import Iterator

from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.program_kinds import CommandRun, PythonRun, RemoteRun, Run
from durable_agent_team.contracts.team import Agent, Caller, Team


def run_of(caller: Caller) -> Run | None:
    """Where the program is that this agent is; None for an agent that a model answers for."""
    return caller.run if isinstance(caller, Agent) else None


def programs_of(team: Team) -> dict[str, Run]:
    """The agents that are programs, by name."""
    found = {name: run_of(agent) for name, agent in team.agents.items()}
    return {name: run for name, run in found.items() if run is not None}


def environment_of(run: Run | None) -> str | None:
    """The directory of the environment that is made for the program."""
    return run.environment if isinstance(run, PythonRun) else None


def scope_problems(team: Team, catalog: ModelCatalog) -> Iterator[Problem]:
    """Programs at an endpoint without scopes, where a call that is repeated is paid again."""
    for name, run in programs_of(team).items():
        without_key = isinstance(run, RemoteRun) and not run.send_key
        if catalog.scopes is False and not without_key:
            yield Problem(
                field=f"agents.{name}.run",
                what="ATXP_LLM_URL has no scopes, so the calls of a program could be paid twice",
                remedy="let ATXP_LLM_URL be this project's gateway, which can have that provider"
                " as its upstream",
            )


def place_of(run: Run) -> str:
    """Where the program is, on one line: for people."""
    match run:
        case PythonRun():
            return f"python {run.python}"
        case CommandRun():
            return f"command {' '.join(run.command)}"
        case RemoteRun():
            return f"a2a {run.a2a}"
