"""Runs of one agent with tools, whose scripted model calls one of them in every turn."""

from typing import Literal

from benchmarks import jobs
from benchmarks.stage import RunBroken
from benchmarks.tools import functions
from benchmarks.upstream import MODEL
from durable_agent_team.contracts.run import RunReport, RunStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from durable_agent_team.contracts.team import Agent, Task, Team
from durable_agent_team.contracts.tool_kinds import ApprovalRule, Effects, PythonTool
from durable_agent_team.process.project_root import PROJECT_ROOT

Function = Literal["look_up", "count"]


def order(function: Function, turns: int, arguments: str = "{}") -> str:
    """The ask, which the model of `tests.support.obedient_model` obeys."""
    return f"@@turns {function} {turns} {arguments}@@"


def team(ask: str, effects: Effects) -> Team:
    """`effects` of both functions; nothing waits for an approval."""
    tools = tuple(
        PythonTool(
            python=f"{functions.__name__}:{name}",
            directory=str(PROJECT_ROOT),
            effects=effects,
            approve=ApprovalRule.NEVER,
        )
        for name in ("look_up", "count")
    )
    agent = Agent(
        role="Analyst",
        instructions=jobs.INSTRUCTIONS,
        model=MODEL,
        budget_usd=jobs.BUDGET,
        tools=tools,
        max_turns=200,
    )
    return jobs.make_team({"a0": agent}, [Task(id="t0", agent="a0", ask=ask)], result="t0")


def check(report: RunReport, turns: int) -> None:
    """Raises `RunBroken` unless all turns were paid, and the answer after them."""
    calls = report.spend.total.calls
    good = (
        report.status is RunStatus.COMPLETED
        and calls == turns + 1
        and report.spend.ledger_agrees is LedgerAgreement.YES
    )
    if not good:
        raise RunBroken(
            f"run {report.workflow_id}: {report.status}, {calls} calls for {turns} turns,"
            f" ledger {report.spend.ledger_agrees}; {report.failure}"
        )
