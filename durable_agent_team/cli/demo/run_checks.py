"""Pure: what the demo promises, and whether a run kept it. Every one of these can fail."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from durable_agent_team.cli.demo.run_evidence import Evidence
from durable_agent_team.cli.output import usd
from durable_agent_team.contracts.call import Purpose
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.names import ORCHESTRATOR_AGENT
from durable_agent_team.contracts.run import RunReport, RunState, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from durable_agent_team.contracts.team import Team
from durable_agent_team.rules.validation import contains_goal


@dataclass(frozen=True)
class Promise:
    """Something that was promised, whether it was kept, and what was seen."""

    text: str
    kept: bool
    seen: str = ""


@dataclass(frozen=True)
class Crash:
    """The moment of the kill: what the run had recorded, and what became of the worker."""

    before: RunState
    old_pid: int
    new_pid: int | None


def finished(report: RunReport) -> Iterator[Promise]:
    """Of every act: an answer, and money that adds up."""
    seen = str(report.failure.message) if report.failure else report.status.value
    done = report.status is RunStatus.COMPLETED and bool((report.answer or "").strip())
    yield Promise("the run completed with an answer", done, seen)


def money_adds_up(report: RunReport, evidence: Evidence) -> Iterator[Promise]:
    """The run's own sum, against the gateway's ledger, account by account and line by line."""
    own, ledger = report.spend.total.spent_usd, evidence.ledger_usd
    agreed = report.spend.ledger_agrees is LedgerAgreement.YES
    yield Promise(
        "the run's own sum equals the gateway's ledger, to the micro-dollar",
        own == ledger and agreed and own > 0,
        f"{usd(own)} and {usd(ledger)} USD; the run says: {report.spend.ledger_agrees.value}",
    )
    apart = [
        each.agent
        for each in report.spend.agents
        if each.spent_usd != evidence.account(each.agent).charged_usd
    ]
    yield Promise("so does every agent's", not apart, ", ".join(apart))
    twice = [str(key) for key, times in Counter(evidence.charged_keys).items() if times > 1]
    yield Promise("no call was charged twice", not twice, ", ".join(twice))
    over = [each.agent for each in evidence.accounts if each.charged_usd > each.budget_usd]
    yield Promise("no account was overspent", not over, ", ".join(over))


def goal_stays_home(goal: str, evidence: Evidence) -> Iterator[Promise]:
    """The orchestrator has the goal in every call, and nobody else has it in any."""
    told, untold = [], []
    for call in (each.request for each in evidence.calls):
        own = call.purpose is not Purpose.WORK
        texts = (call.system, call.ask, call.goal or "")
        if own and call.goal != goal:
            untold.append(call.task)
        if not own and (call.goal or any(contains_goal(text, goal) for text in texts)):
            told.append(call.task)
    yield Promise(
        "the goal was in every prompt of the orchestrator and in no other",
        bool(evidence.calls) and not told and not untold,
        ", ".join(told + untold),
    )


def nothing_lost(crash: Crash | None, report: RunReport, evidence: Evidence) -> Iterator[Promise]:
    """What the killed worker had recorded stayed as it was; the run went on without a person."""
    if crash is None:
        yield Promise("the worker was killed in the middle", False, "the run was over too soon")
        return
    yield Promise(
        f"worker {crash.old_pid} was killed in the middle, another one took over",
        crash.new_pid is not None and crash.new_pid != crash.old_pid,
        f"new pid {crash.new_pid}",
    )
    after = {outcome.task.id: outcome.task for outcome in report.outcomes}
    paid = Counter(evidence.charged_keys)
    changed = []
    for task in (each for each in crash.before.tasks if each.status is TaskStatus.DONE):
        calls = evidence.of_task(task.id)
        once = all(paid[call.request.idempotency_key] == 1 for call in calls)
        if after.get(task.id) != task or len(calls) != task.calls or not once:
            changed.append(task.id)
    yield Promise(
        "what was done before stayed done, and was not paid again", not changed, ", ".join(changed)
    )
    recorded = {call.request.idempotency_key for call in evidence.calls}
    stray = [str(key) for key in paid if key not in recorded]
    missing = [call.request.task for call in evidence.calls if call.result is None]
    yield Promise(
        "every call, the ones in flight too, has one answer and one charge",
        not stray and not missing and len(paid) == len(recorded),
        ", ".join(stray + missing),
    )


def planned_well(team: Team, report: RunReport, evidence: Evidence) -> Iterator[Promise]:
    """The orchestrator made the plan: several agents, side by side, within the team's limit."""
    tasks = [outcome.task for outcome in report.outcomes]
    agents = {task.agent for task in tasks}
    plans = [call for call in evidence.calls if call.request.purpose is Purpose.PLAN]
    yield Promise(
        "the orchestrator decomposed the goal itself",
        bool(plans) and 1 < len(tasks) <= team.max_tasks and len(agents) > 1,
        f"{len(plans)} planning calls, {len(tasks)} tasks, {len(agents)} agents",
    )
    yield Promise(
        "more than one task could start at once",
        sum(not task.depends_on for task in tasks) > 1,
    )
    yield Promise("every planned task was done", all(t.status is TaskStatus.DONE for t in tasks))


def refused_alone(
    agent: str, team: Team, report: RunReport, evidence: Evidence
) -> Iterator[Promise]:
    """One agent was refused before a token was made; nobody else's account was touched by it."""
    tasks = [outcome.task for outcome in report.outcomes]
    failures = [task.failure for task in tasks if task.agent == agent and task.failure]
    exact = [
        failure
        for failure in failures
        if failure.type == ErrorType.BUDGET_EXHAUSTED
        and failure.required_usd is not None
        and failure.remaining_usd is not None
        and failure.required_usd > failure.remaining_usd
    ]
    yield Promise(
        f"{agent} was refused, with what was required and what remained",
        bool(exact),
        "; ".join(failure.type for failure in failures) or "no failure",
    )
    mine = evidence.account(agent)
    yield Promise(
        "the refused call cost nothing",
        mine.spent_usd == 0 and not mine.charges,
        usd(mine.spent_usd),
    )
    limits = {name: each.budget_usd for name, each in team.agents.items()}
    limits[ORCHESTRATOR_AGENT] = team.orchestrator.budget_usd
    own = {call.request.idempotency_key: call.request.account.agent for call in evidence.calls}
    touched = [
        account.agent
        for account in evidence.accounts
        if account.agent != agent
        and (
            account.budget_usd != limits[account.agent]
            or any(own.get(line.idempotency_key or "") != account.agent for line in account.charges)
        )
    ]
    yield Promise(
        "every other agent's balance is its budget less its own calls",
        not touched,
        ", ".join(touched),
    )
    rest = [task.id for task in tasks if task.agent != agent and task.status is not TaskStatus.DONE]
    yield Promise("the others finished", not rest, ", ".join(rest))
