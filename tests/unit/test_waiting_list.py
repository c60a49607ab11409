"""What waits for a person: its commands are enough, and its agents are parked."""

import json
import shlex
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.names import STARTER
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import Failure, RunRequest, Waiting
from durable_agent_team.contracts.spend import AgentStatus
from durable_agent_team.contracts.team import Agent, OrchestratorAgent, Task, Team
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
        command = wake_command("run", task_id, account, failure, NOW)
        found = Waiting(subject=task_id, agent="one", reason="no", command=command, since=NOW)
        progress.park(found.model_copy(update=failure.model_dump(exclude={"message"})))
    return progress


def test_the_command_for_what_waits_for_money_is_enough_for_all_that_wait_for_it() -> None:
    [alone] = run_state(poor("0.007"), 1).waiting
    assert alone.command.endswith(" budget --raise-only run one 0.011"), "0.004 spent, and 0.007"
    progress = poor("0.007", "0.008", "0.009")
    commands = {each.command for each in run_state(progress, 1).waiting}
    assert len(commands) == 1
    assert commands.pop().endswith(" budget --raise-only run one 0.028"), "0.004, and all three"
    assert "budget --raise-only run one 0.028" in details(progress)


@pytest.mark.parametrize(
    ("team_usd", "command_usd"), [("9", "0.028"), ("0.020", "0.020"), ("0.010", "0.013")]
)
def test_the_command_stays_below_the_limit_of_the_team_where_one_call_can(
    team_usd: str, command_usd: str
) -> None:
    """A higher one would be refused, and nothing would continue."""
    progress = poor("0.007", "0.008", "0.009")
    progress.request = RunRequest(
        team=Team(
            name="t",
            goal="g",
            budget_usd=Decimal(team_usd),
            orchestrator=OrchestratorAgent(),
            agents={"one": Agent(role="One")},
        )
    )
    for each in run_state(progress, 1).waiting:
        assert each.command.endswith(f" budget --raise-only run one {command_usd}")


def test_the_command_is_never_for_a_lower_limit_than_the_agent_has() -> None:
    progress = poor("0.007", "0.008")
    progress.accounts["one"].budget_usd = Decimal(5)
    for each in run_state(progress, 1).waiting:
        assert Decimal(each.command.split()[-1]) >= 5


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        (ErrorType.BUDGET_EXHAUSTED, "t0"),
        (ErrorType.UPSTREAM_OUT_OF_FUNDS, "t0"),
        (ErrorType.BAD_REQUEST, "t0"),
        (ErrorType.EFFECT_UNKNOWN, "t0"),
        (ErrorType.EFFECT_UNKNOWN, "t0:2.1"),
        (ErrorType.INPUT_REQUIRED, "t0"),
        (ErrorType.TOOL_UNAVAILABLE, "t0:2.1"),
    ],
)
def test_the_ui_has_what_to_send_where_there_is_no_shell(kind: ErrorType, subject: str) -> None:
    """It says the same as the command of the starter."""
    progress = working(1)
    account = progress.accounts["one"] = AgentAccount("one", "m", Decimal("0.010"))
    failure = Failure(type=kind, message="no", required_usd=Decimal(1), remaining_usd=Decimal(0))
    command = wake_command("run", subject, account, failure, NOW, is_tool=":" in subject)
    waiting = Waiting(
        subject=subject, agent="one", reason="no", type=kind, command=command, since=NOW
    )
    progress.park(waiting)
    [line] = [each for each in details(progress).splitlines() if "waits for you" in each]
    _, _, here = line.partition(", or here: ")
    name, *arguments = shlex.split(command.removeprefix(STARTER))
    if name == "resume":
        assert arguments == ["--unpaid-only", "run"]
        assert here == 'Send a Signal, `resume`, with `{"unpaid_only": true}`'
        return
    updates = {"budget": "adjust_budget", "retry": "retry_task", "answer": "answer"}
    sent, _, payload = here.partition(", with ")
    assert sent == f"Send an Update, `{updates[name]}`"
    fields = json.loads(payload.strip("`"))
    if name == "budget":
        assert (arguments.pop(0), fields.pop("raise_only")) == ("--raise-only", True)
    given = [each for each in arguments[1:] if each != "--since"]
    assert list(fields.values()) == given


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
