"""What waits for a person: its commands are enough, and its agents are parked."""

from datetime import UTC, datetime
from decimal import Decimal

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import Failure, Waiting
from durable_agent_team.contracts.spend import AgentStatus
from durable_agent_team.contracts.team import Task
from workflows.people.parking import wake_command
from workflows.state.agent_account import AgentAccount
from workflows.state.charges import Use
from workflows.state.progress import Progress
from workflows.state.reports import run_state, spend_report
from workflows.state.ui_details import details

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def working(size: int) -> Progress:
    progress = Progress("run", NOW)
    tasks = tuple(Task(id=f"t{n}", agent="one", ask="List the prices.") for n in range(size))
    progress.tasks.adopt(Plan(tasks=tasks, result="t0"))
    return progress


def poor(*required: str) -> Progress:
    """Calls of one agent that were refused, with what each can cost at most."""
    progress = working(len(required))
    account = progress.accounts["one"] = AgentAccount("one", "m", Decimal("0.010"))
    account.charges.add("before", Use.USEFUL, Decimal("0.004"))
    for task_id, usd in zip(progress.tasks.schedule.tasks, required, strict=True):
        failure = Failure(
            type=ErrorType.BUDGET_EXHAUSTED,
            message="no money",
            required_usd=Decimal(usd),
            remaining_usd=Decimal("0.006"),
        )
        command = wake_command("run", task_id, account, failure)
        found = Waiting(subject=task_id, agent="one", reason="no", command=command, since=NOW)
        progress.park(found.model_copy(update=failure.model_dump(exclude={"message"})))
    return progress


def test_the_command_for_what_waits_for_money_is_enough_for_all_that_wait_for_it() -> None:
    [alone] = run_state(poor("0.007"), 1).waiting
    assert alone.command.endswith(" budget run one 0.011"), "0.004 spent, and 0.007"
    progress = poor("0.007", "0.008", "0.009")
    commands = {each.command for each in run_state(progress, 1).waiting}
    assert len(commands) == 1
    assert commands.pop().endswith(" budget run one 0.028"), "0.004, and all three"
    assert "budget run one 0.028" in details(progress)


def test_the_command_is_never_for_a_lower_limit_than_the_agent_has() -> None:
    progress = poor("0.007", "0.008")
    progress.accounts["one"].budget_usd = Decimal(5)
    for each in run_state(progress, 1).waiting:
        assert Decimal(each.command.split()[-1]) >= 5


def test_an_agent_is_parked_while_something_of_it_waits_and_it_does_nothing_else() -> None:
    progress = working(2)
    account = progress.accounts["one"] = AgentAccount("one", "m", Decimal(1))
    progress.park(Waiting(subject="t0", agent="one", reason="no", command="c", since=NOW))
    account.begin("other", Decimal("0.1"))
    assert spend_report(progress).agents[0].status is AgentStatus.WORKING
    account.fail("other", Decimal(0), may_be_billed=False)
    assert spend_report(progress).agents[0].status is AgentStatus.PARKED
    assert "- **one** · parked · " in details(progress)
    progress.unpark("t0")
    assert spend_report(progress).agents[0].status is AgentStatus.IDLE
