"""Pure: the guarantees that the demo checks on a run. Each of these checks can fail."""

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
from durable_agent_team.rules.goal_check import contains_goal


@dataclass(frozen=True)
class Check:
    """One guarantee, whether the run kept it, and what was seen."""

    text: str
    passed: bool
    seen: str = ""


@dataclass(frozen=True)
class Crash:
    """The kill of the worker: the state of the run just before, and the pids before and after."""

    before: RunState
    old_pid: int
    new_pid: int | None


def completed(report: RunReport) -> Iterator[Check]:
    """The run completed with an answer."""
    seen = str(report.failure.message) if report.failure else report.status.value
    done = report.status is RunStatus.COMPLETED and bool((report.answer or "").strip())
    yield Check("the run completed with an answer", done, seen)


def money_adds_up(report: RunReport, evidence: Evidence) -> Iterator[Check]:
    """The run's spend equals the gateway's ledger, in all and for each account."""
    own, ledger = report.spend.total.spent_usd, evidence.ledger_usd
    agreed = report.spend.ledger_agrees is LedgerAgreement.YES
    yield Check(
        "the run's own sum equals the gateway's ledger, to the micro-dollar",
        own == ledger and agreed and own > 0,
        f"{usd(own)} and {usd(ledger)} USD; the run says: {report.spend.ledger_agrees.value}",
    )
    differing = [
        each.agent
        for each in report.spend.agents
        if each.spent_usd != evidence.account(each.agent).charged_usd
    ]
    yield Check("so does every agent's", not differing, ", ".join(differing))
    twice = [str(key) for key, times in Counter(evidence.charged_keys).items() if times > 1]
    yield Check("no call was charged twice", not twice, ", ".join(twice))
    over = [each.agent for each in evidence.accounts if each.charged_usd > each.budget_usd]
    yield Check("no account was overspent", not over, ", ".join(over))


def goal_only_in_own_prompts(goal: str, evidence: Evidence) -> Iterator[Check]:
    """The orchestrator's prompts contain the goal, and no other agent's does."""
    leaked, missing = [], []
    for call in (each.request for each in evidence.calls):
        own = call.purpose is not Purpose.WORK
        texts = (call.system, call.ask, call.goal or "")
        if own and call.goal != goal:
            missing.append(call.task)
        if not own and (call.goal or any(contains_goal(text, goal) for text in texts)):
            leaked.append(call.task)
    yield Check(
        "the goal was in every prompt of the orchestrator and in no other",
        bool(evidence.calls) and not leaked and not missing,
        ", ".join(leaked + missing),
    )


def nothing_lost(crash: Crash | None, report: RunReport, evidence: Evidence) -> Iterator[Check]:
    """What was recorded before the kill did not change, and nothing was paid for twice."""
    if crash is None:
        yield Check("the worker was killed in the middle of the run", False, "it ended too soon")
        return
    yield Check(
        f"worker {crash.old_pid} was killed in the middle of the run, another one took over",
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
    yield Check(
        "tasks that were done before stayed done, and were not paid for again",
        not changed,
        ", ".join(changed),
    )
    recorded = {call.request.idempotency_key for call in evidence.calls}
    stray = [str(key) for key in paid if key not in recorded]
    missing = [call.request.task for call in evidence.calls if call.result is None]
    yield Check(
        "every call, including those in flight, has one answer and one charge",
        not stray and not missing and len(paid) == len(recorded),
        ", ".join(stray + missing),
    )


def planned(team: Team, report: RunReport, evidence: Evidence) -> Iterator[Check]:
    """The orchestrator made the plan: several agents, in parallel, within the team's limit."""
    tasks = [outcome.task for outcome in report.outcomes]
    agents = {task.agent for task in tasks}
    plans = [call for call in evidence.calls if call.request.purpose is Purpose.PLAN]
    yield Check(
        "the orchestrator decomposed the goal itself",
        bool(plans) and 1 < len(tasks) <= team.max_tasks and len(agents) > 1,
        f"{len(plans)} planning calls, {len(tasks)} tasks, {len(agents)} agents",
    )
    yield Check(
        "more than one task could start at once",
        sum(not task.depends_on for task in tasks) > 1,
    )
    yield Check("every planned task was done", all(t.status is TaskStatus.DONE for t in tasks))


def only_this_agent_refused(
    agent: str, team: Team, report: RunReport, evidence: Evidence
) -> Iterator[Check]:
    """One agent was refused before its call, and no other agent's account was affected."""
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
    yield Check(
        f"{agent} was refused, with what was required and what remained",
        bool(exact),
        "; ".join(failure.type for failure in failures) or "no failure",
    )
    mine = evidence.account(agent)
    yield Check(
        "the refused call cost nothing",
        mine.spent_usd == 0 and not mine.charges,
        usd(mine.spent_usd),
    )
    limits = {name: each.budget_usd for name, each in team.agents.items()}
    limits[ORCHESTRATOR_AGENT] = team.orchestrator.budget_usd
    own = {call.request.idempotency_key: call.request.account.agent for call in evidence.calls}
    affected = [
        account.agent
        for account in evidence.accounts
        if account.agent != agent
        and (
            account.budget_usd != limits[account.agent]
            or any(own.get(line.idempotency_key or "") != account.agent for line in account.charges)
        )
    ]
    yield Check(
        "every other agent's balance is its budget less its own calls",
        not affected,
        ", ".join(affected),
    )
    rest = [task.id for task in tasks if task.agent != agent and task.status is not TaskStatus.DONE]
    yield Check("the others finished", not rest, ", ".join(rest))
