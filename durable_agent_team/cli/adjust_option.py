"""The option `--adjust`: one setting of a new run, as a change to its team."""

from typing import Any

from durable_agent_team.cli.control_message import build_message, parse_amount
from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.contracts.changes import AdjustAgent, AdjustRun
from durable_agent_team.contracts.control import AdjustBudget
from durable_agent_team.rules.pydantic_messages import shown
from durable_agent_team.rules.team_changes import TeamChange

AGENT_KEYS = ("model", "instructions", "timeout_seconds", "max_attempts", "max_tokens")
RUN_KEYS = ("max_parallel", "budget_usd")
OPTION = "--adjust"


def parse_adjustment(given: str) -> TeamChange:
    """`AGENT.KEY=VALUE`, or `KEY=VALUE` for the whole run. Raises `CommandError`."""
    name, equals, value = given.partition("=")
    agent, dot, key = name.rpartition(".")
    if not equals or not key or (dot and not agent):
        what = f"{OPTION} = {shown(given)}: not AGENT.KEY=VALUE or KEY=VALUE"
        raise _refused(what, "write --adjust research.model=gpt-4o-mini")
    label = f"{OPTION} {name}"
    amount: Any = parse_amount(value, label) if key == "budget_usd" else value
    if agent and key in AGENT_KEYS:
        fields = {"agent": agent, key: value}
        return build_message(AdjustAgent, {"agent": OPTION, key: label}, **fields)
    if agent and key == "budget_usd":
        fields = {"agent": agent, key: amount}
        return build_message(AdjustBudget, {"agent": OPTION, key: label}, **fields)
    if not agent and key in RUN_KEYS:
        return build_message(AdjustRun, {key: label}, **{key: amount})
    if not agent and key == "deadline":
        what = f"{OPTION} {name}: a deadline is set on a run that has started"
        raise _refused(what, "`limits RUN --deadline TIME` sets it")
    known = f"AGENT.{', AGENT.'.join((*AGENT_KEYS, 'budget_usd'))}, {', '.join(RUN_KEYS)}"
    raise _refused(f"{OPTION} {shown(name)}: no such setting", f"one of: {known}")


def _refused(problem: str, remedy: str) -> CommandError:
    return CommandError(ExitCode.INVALID_INPUT, f"{problem} ({remedy})")
