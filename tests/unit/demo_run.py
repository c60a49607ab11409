"""A run as the demo sees it, made by hand, that passes every check."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from durable_agent_team.cli.demo.run_checks import Crash
from durable_agent_team.cli.demo.run_evidence import Evidence
from durable_agent_team.client.recorded_calls import RecordedCall
from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.contracts.call import AccountRef, CallRequest, CallResult, Purpose
from durable_agent_team.contracts.ledger import Charge, Ledger
from durable_agent_team.contracts.run import (
    RunReport,
    RunState,
    RunStatus,
    TaskOutcome,
    TaskState,
    TaskStatus,
)
from durable_agent_team.contracts.spend import (
    AgentSpend,
    AgentStatus,
    LedgerAgreement,
    SpendReport,
    Totals,
)
from durable_agent_team.contracts.team import Agent, OrchestratorAgent, Team

GOAL = "Tell the board whether to enter the market."
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CENT = Decimal("0.01")
TEAM = Team(
    name="trial",
    max_tasks=3,
    orchestrator=OrchestratorAgent(budget_usd=Decimal(1)),
    agents={
        "one": Agent(role="One", budget_usd=Decimal(1)),
        "two": Agent(role="Two", budget_usd=Decimal(1)),
    },
)


def task(id: str, agent: str, status: TaskStatus = TaskStatus.DONE, **fields: Any) -> TaskState:
    known: dict[str, Any] = {
        "depends_on": (),
        "calls": 1,
        "spent_usd": CENT,
        "started_at": NOW,
        "ended_at": NOW,
        "failure": None,
    }
    return TaskState(id=id, agent=agent, status=status, **(known | fields))


def report(*tasks: TaskState, own: int = 3, **fields: Any) -> RunReport:
    def spend(agent: str) -> AgentSpend:
        known = {
            "agent": agent,
            "model": "m",
            "status": AgentStatus.CLOSED,
            "budget_usd": 1,
            "spent_usd": CENT,
            "remaining_usd": 1 - CENT,
        }
        return AgentSpend.model_validate({**dict.fromkeys(AgentSpend.model_fields, 0), **known})

    sums = {"budget_usd": 3, "spent_usd": own * CENT, "remaining_usd": 3 - own * CENT}
    total = Totals.model_validate({**dict.fromkeys(Totals.model_fields, 0), **sums})
    agrees = fields.pop("agrees", LedgerAgreement.YES)
    known: dict[str, Any] = {"status": RunStatus.COMPLETED, "answer": "Yes."}
    return RunReport(
        workflow_id="run",
        team="trial",
        goal=GOAL,
        outcomes=tuple(TaskOutcome(task=each) for each in tasks),
        spend=SpendReport(
            workflow_id="run",
            agents=tuple(spend(agent) for agent in ("orchestrator", "one", "two")),
            total=total,
            ledger_usd=3 * CENT,
            ledger_agrees=agrees,
            capabilities=Capabilities(),
        ),
        started_at=NOW,
        ended_at=NOW,
        call_seconds=1,
        **(known | fields),
    )


def call(key: str, agent: str, task: str, **fields: Any) -> RecordedCall:
    known: dict[str, Any] = {"purpose": Purpose.WORK, "ask": "List the prices."}
    request = CallRequest(
        idempotency_key=key,
        account=AccountRef(agent=agent, account_id=agent, sealed_key="sealed"),
        task=task,
        model="m",
        max_tokens=9,
        system="You are careful.",
        **(known | fields),
    )
    result = CallResult(answer="a", cost_usd=CENT, started_at=NOW, seconds=1)
    return RecordedCall(request, result, None, Decimal(0), NOW, NOW)


def account(agent: str, *keys: str, budget: int = 1) -> Ledger:
    return Ledger(
        agent=agent,
        account_id=agent,
        status="disabled",
        budget_usd=Decimal(budget),
        spent_usd=CENT * len(keys),
        charges=tuple(Charge(idempotency_key=key, amount_usd=CENT) for key in keys),
    )


TASKS = (task("a", "one"), task("b", "two"))
PLAN = call("k0", "orchestrator", "plan", purpose=Purpose.PLAN, goal=GOAL)
CALLS = (PLAN, call("k1", "one", "a"), call("k2", "two", "b"))
ACCOUNTS = (account("orchestrator", "k0"), account("one", "k1"), account("two", "k2"))
GOOD = Evidence(ACCOUNTS, CALLS)
BEFORE = RunState(
    workflow_id="run",
    team="trial",
    goal=GOAL,
    status=RunStatus.WORKING,
    paused=False,
    cancel_reason=None,
    tasks=(TASKS[0], task("b", "two", TaskStatus.RUNNING, ended_at=None)),
    tasks_total=2,
    page=1,
    waiting=(),
    refusals=(),
    failure=None,
)
CRASH = Crash(BEFORE, old_pid=7, new_pid=8)
