"""The next execution of a run starts with everything that the run knows."""

import dataclasses
import json
import typing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.contracts.approvals import ApprovalKind
from durable_agent_team.contracts.call import AccountRef, Rejected, Usage
from durable_agent_team.contracts.control import Approve
from durable_agent_team.contracts.conversation import Entry, ToolMessage, Turn
from durable_agent_team.contracts.conversation_view import ToolCallStatus
from durable_agent_team.contracts.effects import EffectAnswer, EffectDecision
from durable_agent_team.contracts.model_catalog import ModelCatalog, ModelPrice
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import (
    Failure,
    Refusal,
    RunRequest,
    RunStatus,
    TaskStatus,
    Waiting,
)
from durable_agent_team.contracts.run_snapshot import RunSnapshot
from durable_agent_team.contracts.spend import AgentStatus, LedgerAgreement
from durable_agent_team.contracts.team import Agent, Task, Team
from durable_agent_team.contracts.text_ref import reference_to
from durable_agent_team.contracts.tool_kinds import Effects
from durable_agent_team.rules.briefing import PlanForm
from workflows.state.agent_account import AgentAccount
from workflows.state.charges import Charges, Use
from workflows.state.conversation import ConversationState
from workflows.state.open_approval import OpenApproval
from workflows.state.open_call import Issued, OpenCall
from workflows.state.plan_progress import PlanProgress
from workflows.state.planning_terms import PlanningTerms
from workflows.state.program_scope import ProgramScope
from workflows.state.progress import Progress
from workflows.state.snapshot import UnreadableSnapshot, progress_of, snapshot_of
from workflows.state.task_log import TaskLog
from workflows.state.task_schedule import Schedule
from workflows.state.tool_work import ToolCallState, ToolWork
from workflows.state.usage_totals import UsageTotals

STATE = (
    *(Progress, AgentAccount, Charges, PlanProgress, TaskLog, OpenCall, Issued, PlanningTerms),
    *(ProgramScope, ConversationState, ToolWork, ToolCallState, OpenApproval, UsageTotals),
)
MADE_AGAIN = {
    ("OpenCall", "request"): "made from the plan, and compared with `Issued.digest`",
    ("OpenCall", "caller"): "it is in `Issued`",
    ("OpenCall", "conversation"): "it is in `Progress.conversations`",
    ("Progress", "tools_in_flight"): "those that may run again do; of others there are none",
    ("OpenApproval", "content"): "it is in the conversation, the plan, or the call",
    ("OpenApproval", "check"): "made from the agent's tools",
}
UNSET = {name for _, name in MADE_AGAIN}
AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
FAILURE = Failure(type="BudgetExhausted", message="no money", required_usd=Decimal("0.1"))


def filled() -> Progress:
    """A state in which no field has its default."""
    agent = Agent(role="Researcher", budget_usd=Decimal(1))
    tasks = tuple(Task(id=name, agent="a", ask=f"Do {name}.") for name in ("x", "y"))
    team = Team(name="t", goal="Go.", agents={"a": agent}, tasks=tasks)
    account = AgentAccount("a", "m", Decimal(1), in_flight={"k1": Decimal("0.01"), "k2": None})
    account.charges.issued["k1"] = "x"
    account.charges.add("k1", Use.FAILED, Decimal("0.002"))
    account.charges.settled_usd = Decimal("0.5")
    account.lost["k3"], account.status = None, AgentStatus.WORKING
    account.unanswered.add("k3")
    account.seen_usd = account.possibly_billed_usd = Decimal("0.25")
    for name in ("failures_in_row", "calls", "failed_calls"):
        setattr(account, name, 3)
    account.possibly_billed_calls = 2
    account.usage.add_program("s1", Usage(prompt_tokens=3, completion_tokens=3))
    progress = Progress("run", AT, RunRequest(team=team), status=RunStatus.WORKING)
    progress.tasks.adopt(Plan(tasks=tasks, result="y"))
    progress.tasks.started("x", AT)
    progress.tasks.done("x", "text", AT)
    progress.tasks.handoffs["x"] = reference_to("a long text")
    progress.tasks.failed("y", FAILURE, AT)
    progress.tasks.added.add("y")
    issued = Issued("k1", "m", 5, agent, "0" * 64)
    rejected = Rejected(answer="bad", reasons=("too short",))
    progress.open_calls["x"] = OpenCall("a", 2, rejected, 4, 1, FAILURE, issued)
    progress.accounts["a"] = account
    answer = EffectAnswer(effect="send:1", decision=EffectDecision.SKIP)
    progress.scopes["x"] = scope = ProgramScope("s1", "a", effect_answers=(answer,))
    account.replayable["s1"] = Decimal("0.3")
    ref = AccountRef(agent="a", account_id="i", sealed_key="s")
    progress.account_refs["a"] = ref
    waiting = Waiting(subject="y", reason="r", command="c", since=AT, until=AT)
    progress.waiting["y"] = waiting
    progress.notified.add("y")
    progress.approval = Approve(subject="plan", approved=True)
    progress.refusals.append(Refusal(at=AT, message="m", problem="p"))
    progress.capabilities = Capabilities(replay=True)
    progress.catalog = ModelCatalog(models=(ModelPrice(model="m"),), priced=True)
    progress.paused = progress.stopping = progress.unpublished = True
    progress.cancel_reason, progress.failure = "why", FAILURE
    progress.give_answer("shown", (reference_to("whole"),))
    progress.deadline, progress.for_approval, progress.reviews = AT, "plan", 1
    progress.planning = PlanningTerms(PlanForm.WHOLE, {"a": Decimal("0.5")})
    progress.ledger_usd, progress.ledger_agrees = Decimal(1), LedgerAgreement.YES
    progress.call_seconds, progress.execution = 1.5, 7
    said = ConversationState("c1", "a", [Entry(turn=Turn(content="I look.", calls=()))])
    said.base = "0" * 64
    progress.conversations["x"] = said
    work = progress.tool_work["c1"] = ToolWork("x", "a", "c1")
    work.made["pay"] = work.equal["0"] = 1
    tool = work.calls["1.1"] = ToolCallState("pay", status=ToolCallStatus.PARKED)
    tool.parked_after = tool.unknown = FAILURE
    tool.decision, tool.effects = EffectDecision.RESULT, Effects.ONCE
    tool.result = ToolMessage(id="i", name="pay", text="paid")
    asked = OpenApproval(ApprovalKind.TOOL, "pay", "0" * 64, AT, answer=progress.approval)
    progress.approvals["x:1.1"] = asked
    progress.tainted_tasks.add("x")
    progress.slow_tools.add("pay")
    log, call = progress.tasks.logs["x"], progress.open_calls["x"]
    parts: list[Any] = [progress, account, account.charges, account.usage, progress.tasks, log]
    for part in (*parts, call, scope, said, work, tool, asked):
        _fill_the_rest(part)
    return progress


def _fill_the_rest(part: Any) -> None:
    """Fields of simple types that are not set above: newer ones than this test."""
    values = {bool: True, int: 5, float: 1.5, str: "x", Decimal: Decimal("0.1"), datetime: AT}
    hints = typing.get_type_hints(type(part), include_extras=True)
    for field in dataclasses.fields(part):
        if getattr(part, field.name) == field.default and field.name not in UNSET:
            kinds = (hints[field.name], *typing.get_args(hints[field.name]))
            found = [values[each] for each in kinds if each in values]
            if found:
                setattr(part, field.name, found[0])


def test_everything_is_carried() -> None:
    before = filled()
    after = progress_of(snapshot_of(before))
    assert _values(after) == {**_values(before), "execution": 8}


def test_an_accounts_usage_is_carried_as_workers_of_earlier_versions_read_it() -> None:
    before = filled()
    account = json.loads(snapshot_of(before).json_state())["accounts"]["a"]
    totals = {each.name for each in dataclasses.fields(UsageTotals)}
    assert totals < account.keys()
    assert "usage" not in account
    assert (account["prompt_tokens"], account["estimated_charges"]) == (3, 5)
    del account["cached_tokens"]
    assert progress_of(of_accounts(before, account)).accounts["a"].usage.cached_tokens == 0


def of_accounts(progress: Progress, account: dict[str, Any]) -> RunSnapshot:
    """The snapshot with another account."""
    state = json.loads(snapshot_of(progress).json_state())
    state["accounts"]["a"] = account
    return RunSnapshot.of(8, json.dumps(state).encode())


def test_state_is_in_fields_alone() -> None:
    """What is set anywhere else, or is not serialised, would be lost on the way."""
    parts: list[Any] = [filled(), *filled().accounts.values(), *filled().open_calls.values()]
    parts += [filled().tasks, parts[1].charges, parts[1].usage, *filled().tasks.logs.values()]
    for part in parts:
        assert set(vars(part)) == {each.name for each in dataclasses.fields(part)}
    for kind in STATE:
        hints = typing.get_type_hints(kind, include_extras=True)
        left_out = {
            (kind.__name__, name)
            for name, hint in hints.items()
            if any(getattr(each, "exclude", None) for each in getattr(hint, "__metadata__", ()))
        }
        assert left_out <= set(MADE_AGAIN)


@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(TaskStatus)))
def test_a_graph_is_rebuilt_from_the_plan_and_the_statuses(status: dict[str, TaskStatus]) -> None:
    """Done, waiting or blocked in any combination: it is ready for what is ready."""
    tasks = tuple(
        Task(id=each, agent="x", ask="y", depends_on=tuple("abcdef"[:number])[-2:])
        for number, each in enumerate("abcdef")
    )
    again = Schedule.of(tasks, status)
    assert {**again.status, **status} == again.status
    open_tasks = again.start()
    for task in tasks:
        ended = {"done", "skipped", "failed", "blocked", "cancelled"}
        is_free = all(again.status[each] in ended for each in task.depends_on)
        assert (task.id in open_tasks) == (is_free and again.status[task.id] not in ended)


@pytest.mark.parametrize("state", ["", "no base64!", "aGVsbG8=", "eJwDAAAAAAE="])
def test_a_broken_state_is_an_error_of_its_own(state: str) -> None:
    with pytest.raises(UnreadableSnapshot):
        progress_of(RunSnapshot(execution=2, state=state))


def test_a_state_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = snapshot_of(filled())
    monkeypatch.setattr("durable_agent_team.contracts.run_snapshot.LARGEST_STATE", 100)
    with pytest.raises(UnreadableSnapshot, match="more than 100 bytes"):
        progress_of(snapshot)


def test_ended_calls_are_carried_as_sums() -> None:
    """Their keys are not known any more; a ledger with all lines agrees, and adds nothing."""
    account = filled().accounts["a"]
    spent, by_task = account.spent_usd, dict(account.charges.by_task)
    account.in_flight.clear()
    account.lost.clear()
    account.unanswered.clear()
    account.continue_with({"k9"})
    assert (account.spent_usd, account.charges.by_task) == (spent, by_task)
    assert account.charges.by_key == {}
    assert account.charges.issued == {}
    assert account.charges.settled_usd == Decimal("0.502")


def _values(progress: Progress) -> dict[str, Any]:
    values = {each.name: getattr(progress, each.name) for each in dataclasses.fields(progress)}
    assert progress.request is not None
    team = progress.request.team.model_copy(update={"tasks": ()})
    values["request"] = progress.request.model_copy(update={"team": team})
    tasks = {each.name: getattr(progress.tasks, each.name) for each in dataclasses.fields(
        progress.tasks)}  # fmt: skip
    values["tasks"] = {**tasks, "schedule": progress.tasks.schedule.status}
    return values
