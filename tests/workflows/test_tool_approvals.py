"""A person approves, rejects or edits a tool's call, a task, a hand-off and an expensive call."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner

from durable_agent_team.client.run_executions import read_executions
from durable_agent_team.contracts.approvals import ApprovalKind, ApprovalsPage, PendingApproval
from durable_agent_team.contracts.arguments_check import ArgumentsCheck, ArgumentsVerdict
from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.run import RunReport, RunState, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from tests.support.fakes import FakeWorld
from tests.support.run_reports import report_of
from tests.support.sandbox import run_worker, strict_runner
from tests.support.tools import ToolWorld, calls
from tests.workflows.runs import start_on, started, team
from tests.workflows.test_tool_effects import once, tool_team, waits
from workflows.continuation import EVENTS_MEMO

ALWAYS = {"python": "shop:refund", "effects": "once", "approve": "always"}
CALL = ("refund", {"amount": 5})


async def pending(handle: WorkflowHandle[Any, Any], **query: Any) -> PendingApproval:
    page = ApprovalsPage.model_validate(await handle.query("approvals", query))
    (found,) = page.approvals
    return found


async def refusal(
    handle: WorkflowHandle[Any, Any], answer: dict[str, Any], name: str = "approve"
) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(name, answer)
    assert isinstance(refused.value.cause, ApplicationError)
    return refused.value.cause.message


async def test_it_is_shown_in_full_and_made_once_it_is_approved(client: Client) -> None:
    world = ToolWorld(once(CALL))
    async with started(client, world, {"team": tool_team(ALWAYS)}) as handle:
        state = await waits(handle, "work:1.1")
        assert state.tasks[0].status is TaskStatus.PARKED
        assert '{"amount": 5}' in state.waiting[0].reason
        assert " work:1.1 --since " in state.waiting[0].command
        shown = await pending(handle)
        assert (shown.kind, shown.agent, shown.task) == (ApprovalKind.TOOL, "clerk", "work")
        assert json.loads(str(shown.content)) == {"amount": 5}
        assert world.orders == []
        wrong = {"subject": "work:1.1", "approved": True, "sha256": "0" * 64}
        assert shown.sha256 in await refusal(handle, wrong)
        right = {"subject": "work:1.1", "approved": True, "sha256": shown.sha256}
        await handle.execute_update("approve", right)
        report: RunReport = await handle.result()
        assert "nothing of this name waits" in await refusal_of_closed(handle, right)
    assert [each.arguments for each in world.orders] == ['{"amount": 5}']
    assert report.status is RunStatus.COMPLETED


async def refusal_of_closed(handle: WorkflowHandle[Any, Any], answer: dict[str, Any]) -> str:
    """An ended run refuses in the server's words."""
    with pytest.raises(Exception):  # noqa: B017, PT011
        await handle.execute_update("approve", answer)
    return "nothing of this name waits"


async def test_the_note_of_a_rejection_reaches_the_model(client: Client) -> None:
    world = ToolWorld(once(CALL))
    async with started(client, world, {"team": tool_team(ALWAYS)}) as handle:
        await waits(handle, "work:1.1")
        no = {"kind": "approve", "subject": "work:1.1", "approved": False, "note": "ask Ada first"}
        await handle.signal("adjust", {**no, "by": "ann@desk"})
        report: RunReport = await handle.result()
        state = RunState.model_validate(await handle.query("state"))
        details = await handle.query("__temporal_workflow_metadata", result_type=Any)
    assert world.orders == []
    assert state.decisions == report.decisions
    [decided] = report.decisions
    assert (decided.decision, decided.by, decided.note) == ("rejected", "ann@desk", no["note"])
    assert "work:1.1: rejected by ann@desk at " in str(details)
    assert "ask Ada first" in (report.outcomes[0].output or "")


ONE_REFUND = {**ALWAYS, "required": True, "max_calls": 1}


def refunds_again(call: CallRequest) -> Any:
    """Asks for half of it, once the whole has brought no money."""
    assert call.conversation is not None
    results = [each.text for entry in call.conversation.entries for each in entry.results]
    if results and not results[-1].startswith("Not run"):
        return results[-1]
    return calls(("refund", {"amount": 10 - 5 * len(results)}))


async def test_a_rejected_call_is_none_of_the_calls_that_a_tool_may_have(client: Client) -> None:
    """The note asks for another one, and there may be only one."""
    world = ToolWorld(refunds_again)
    async with started(client, world, {"team": tool_team(ONE_REFUND)}) as handle:
        await waits(handle, "work:1.1")
        no = {"subject": "work:1.1", "approved": False, "note": "half of it"}
        await handle.execute_update("approve", no)
        await waits(handle, "work:2.1")
        await handle.execute_update("approve", {"subject": "work:2.1", "approved": True})
        report: RunReport = await handle.result()
    assert report.outcomes[0].output == "result of 2.1"
    assert [json.loads(each.arguments) for each in world.orders] == [{"amount": 5}]


async def test_nobody_is_asked_again_where_nobody_has_answered(skipping: Client) -> None:
    world = ToolWorld(refunds_again)
    given = tool_team({**ONE_REFUND, "approval_timeout_seconds": 3600})
    async with started(skipping, world, {"team": given}) as handle:
        report = await report_of(handle)
    assert report.status is RunStatus.FAILED
    assert [each.subject for each in report.decisions] == ["work:1.1"]


async def test_edited_arguments_are_checked_and_used(client: Client) -> None:
    world = ToolWorld(once(CALL))
    async with started(client, world, {"team": tool_team(ALWAYS)}) as handle:
        await waits(handle, "work:1.1")
        edit = {"subject": "work:1.1", "approved": True}
        wrong = await refusal(handle, {**edit, "arguments": '{"amount": "much"}'})
        assert "a number is expected" in wrong
        assert "a JSON object" in await refusal(handle, {**edit, "arguments": "[1]"})
        await handle.execute_update("approve", {**edit, "arguments": '{"amount": 3}'})
        await handle.result()
    assert [json.loads(each.arguments) for each in world.orders] == [{"amount": 3}]
    assert [each.edited for each in world.orders] == [True]


async def test_arguments_may_be_written_as_an_object(client: Client) -> None:
    world = ToolWorld(once(CALL))
    async with started(client, world, {"team": tool_team(ALWAYS)}) as handle:
        await waits(handle, "work:1.1")
        edit = {"subject": "work:1.1", "approved": True, "arguments": {"amount": 3, "to": "Åse"}}
        await handle.execute_update("approve", edit)
        await handle.result()
    assert [json.loads(each.arguments) for each in world.orders] == [{"amount": 3, "to": "Åse"}]


async def test_who_comes_second_learns_who_decided(client: Client) -> None:
    """And whoever takes the wrong command learns what waits, with its command."""
    world = ToolWorld(once(CALL))
    more = [{"id": "other", "agent": "clerk", "ask": "Wait.", "approve": "before"}]
    changed = tool_team(ALWAYS)
    changed["tasks"] = [*changed["tasks"], *more]
    async with started(client, world, {"team": changed}) as handle:
        await waits(handle, "work:1.1", "other")
        approve = f"approve {handle.id} work:1.1 --since "
        yes = {"subject": "work:1.1", "approved": True}
        assert approve in await refusal(handle, {**yes, "subject": "work"})
        assert f"state {handle.id}` has" in await refusal(handle, {**yes, "subject": "nothing"})
        for name, payload in (
            ("retry_task", {"task": "work"}),
            ("retry_task", {"task": "work:1.1"}),
            ("answer", {"task": "work:1.1", "decision": "retry"}),
            ("answer", {"task": "work", "decision": "skip"}),
            ("cancel_task", {"task": "work:1.1"}),
        ):
            told = await refusal(handle, payload, name)
            assert "work:1.1 waits for approval" in told
            assert approve in told
        await handle.execute_update("approve", {**yes, "by": "ann@desk"})
        second = await refusal(handle, {**yes, "approved": False, "note": "no"})
        assert "any more: approved by ann@desk at 20" in second
        await handle.execute_update("approve", {"subject": "other", "approved": False})
        await handle.result()
    assert len(world.orders) == 1


@pytest.mark.parametrize("sent", ["before the limit", "after the limit", "not"])
async def test_at_the_limit_a_decision_that_is_there_counts(client: Client, sent: str) -> None:
    """No worker runs when the limit passes."""
    limited = {**ALWAYS, "approval_timeout_seconds": 4}
    yes = {"kind": "approve", "subject": "work:1.1", "approved": True, "by": "ann@desk"}
    world = ToolWorld(once(CALL))
    queue = f"orchestrator-{uuid.uuid4()}"
    async with on_queue(client, world, queue):
        handle = await start_on(client, queue, {"team": tool_team(limited)})
        until = (await waits(handle, "work:1.1")).waiting[0].until
    assert until is not None
    if sent == "before the limit":
        await handle.signal("adjust", yes)
    await asyncio.sleep((until - datetime.now(UTC)).total_seconds() + 1)
    if sent == "after the limit":
        await handle.signal("adjust", yes)
    async with on_queue(client, world, queue):
        report: RunReport = await handle.result()
    [decided] = report.decisions
    assert decided.by == ("the time limit" if sent == "not" else "ann@desk")
    assert len(world.orders) == (sent != "not")


@pytest.mark.parametrize("default", ["reject", "approve"])
async def test_at_the_limit_an_edit_counts_whose_check_takes_an_activity(
    client: Client, default: str
) -> None:
    """One that is refused leaves it to the default. No worker runs when the limit passes."""
    limited = {**ALWAYS, "approval_timeout_seconds": 3, "on_approval_timeout": default}
    edit = {"kind": "approve", "approved": True, "by": "ann@desk"}
    world = ToolWorld(once(CALL, ("refund", {"amount": 6})))
    queue = f"orchestrator-{uuid.uuid4()}"
    async with on_queue(client, world, queue):
        handle = await start_on(client, queue, {"team": tool_team(limited)})
        until = (await waits(handle, "work:1.1", "work:1.2")).waiting[1].until
    assert until is not None
    await handle.signal("adjust", {**edit, "subject": "work:1.1", "arguments": {"amount": 3}})
    await handle.signal("adjust", {**edit, "subject": "work:1.2", "arguments": {"amount": "no"}})
    await asyncio.sleep((until - datetime.now(UTC)).total_seconds() + 1)
    async with on_queue(client, world, queue):
        report: RunReport = await handle.result()
    decided = {each.subject: (each.decision, each.by) for each in report.decisions}
    word = "approved" if default == "approve" else "rejected"
    assert decided == {"work:1.1": ("edited", "ann@desk"), "work:1.2": (word, "the time limit")}
    made = sorted(json.loads(each.arguments)["amount"] for each in world.orders)
    assert made == ([3, 6] if default == "approve" else [3])


class Unchecked(ToolWorld):
    """No worker comes to the end of a check."""

    @activity.defn
    async def check_arguments(self, check: ArgumentsCheck) -> ArgumentsVerdict:
        raise ApplicationError("the texts are away")


async def test_an_edit_that_cannot_be_checked_is_refused_and_the_run_goes_on(
    client: Client,
) -> None:
    world = Unchecked(once(CALL))
    async with started(client, world, {"team": tool_team(ALWAYS)}) as handle:
        await waits(handle, "work:1.1")
        edit = {"subject": "work:1.1", "approved": True, "arguments": {"amount": 3}}
        assert "could not be checked in time; try again" in await refusal(handle, edit)
        await handle.signal("adjust", {"kind": "approve", **edit})
        while not (state := await waits(handle, "work:1.1")).refusals:
            await asyncio.sleep(0.05)
        assert "try again" in state.refusals[0].problem
        await handle.execute_update("approve", {"subject": "work:1.1", "approved": True})
        report: RunReport = await handle.result()
    assert report.status is RunStatus.COMPLETED
    assert [json.loads(each.arguments) for each in world.orders] == [{"amount": 5}]


@asynccontextmanager
async def on_queue(
    client: Client, world: ToolWorld, queue: str, runner: WorkflowRunner | None = None
) -> AsyncIterator[None]:
    async with run_worker(client, queue, world.activities, workflow_runner=runner):
        yield


class Away(WorkflowRunner):
    """A worker that cannot take up a run that has continued as new, while it is `away`."""

    def __init__(self) -> None:
        self.away = False
        self._runner = strict_runner()

    def prepare_workflow(self, defn: Any) -> None:
        self._runner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        if self.away and det.info.continued_run_id is not None:
            raise RuntimeError("away")
        return self._runner.create_instance(det)


async def decided_between_two_executions(
    client: Client, world: ToolWorld
) -> WorkflowHandle[Any, Any]:
    """A run whose time limit for an approval passes before its second execution starts, and after
    the decision has come."""
    limited = {**ALWAYS, "approval_timeout_seconds": 5}
    yes = {"kind": "approve", "subject": "work:1.1", "approved": True, "by": "ann@desk"}
    runner = Away()
    queue = f"orchestrator-{uuid.uuid4()}"
    async with on_queue(client, world, queue, runner):
        handle = await start_on(client, queue, {"team": tool_team(limited)}, memo={EVENTS_MEMO: 40})
        until = (await waits(handle, "work:1.1")).waiting[0].until
        assert until is not None
        runner.away = True
        while len(await read_executions(client, handle.id)) == 1:
            await handle.signal("pause", {})
            await asyncio.sleep(0.05)
        await asyncio.sleep((until - datetime.now(UTC)).total_seconds() + 0.5)
        await handle.signal("resume", {})
        await handle.signal("adjust", yes)
        runner.away = False
        await handle.result()
    return client.get_workflow_handle(handle.id, result_type=RunReport)


async def test_a_decision_counts_at_a_limit_that_passes_between_two_executions(
    client: Client,
) -> None:
    world = ToolWorld(once(CALL))
    handle = await decided_between_two_executions(client, world)
    report: RunReport = await handle.result()
    assert [each.by for each in report.decisions] == ["ann@desk"]
    assert len(world.orders) == 1


@pytest.mark.parametrize(("default", "made"), [("reject", 0), ("approve", 1)])
async def test_after_its_time_the_default_counts(skipping: Client, default: str, made: int) -> None:
    limited = {**ALWAYS, "approval_timeout_seconds": 3600, "on_approval_timeout": default}
    world = ToolWorld(once(CALL))
    async with started(skipping, world, {"team": tool_team(limited)}) as handle:
        report: RunReport = await handle.result()
    assert len(world.orders) == made
    [decided] = report.decisions
    assert (decided.decision[:6], decided.by) == (default[:6], "the time limit")
    if not made:
        assert "nobody approved" in (report.outcomes[0].output or "")
    assert report.ended_at - report.started_at >= timedelta(hours=1)


async def test_several_calls_of_a_turn_wait_each_alone(client: Client) -> None:
    world = ToolWorld(
        once(("refund", {"amount": 1}), ("refund", {"amount": 2}), ("look", {}), ("look", {}))
    )
    look = {"python": "shop:look", "effects": "none"}
    async with started(client, world, {"team": tool_team(ALWAYS, look)}) as handle:
        await waits(handle, "work:1.1", "work:1.2")
        await handle.execute_update("approve", {"subject": "work:1.2", "approved": True})
        await waits(handle, "work:1.1")
        await handle.execute_update("approve", {"subject": "work:1.1", "approved": False})
        report: RunReport = await handle.result()
    made = sorted(each.key.rpartition(":")[2] for each in world.orders)
    assert made == ["1.2", "1.3"], "equal calls run once"
    results = (report.outcomes[0].output or "").split(" | ")
    assert results[0].startswith("Not run: a person rejected")
    assert results[1:] == ["result of 1.2", "result of 1.3", "result of 1.3"]


async def test_a_tool_above_an_amount_and_with_an_unknown_one_waits(client: Client) -> None:
    above = {
        "python": "shop:refund",
        "effects": "once",
        "approve": "above_usd",
        "above_usd": 10,
        "amount": "usd",
        "trusted": True,
    }
    amounts: list[dict[str, Any]] = [
        {"usd": 9},
        {"usd": "11.5"},
        {"usd": "lots"},
        {"usd": 9, "USD": 900},
    ]
    world = ToolWorld(once(*(("refund", each) for each in amounts)))
    async with started(client, world, {"team": tool_team(above)}) as handle:
        await waits(handle, "work:1.2", "work:1.3", "work:1.4")
        page = ApprovalsPage.model_validate(await handle.query("approvals"))
        assert [str(each.amount_usd) for each in page.approvals] == ["11.500000", "None", "None"]
        for subject in ("work:1.2", "work:1.3", "work:1.4"):
            await handle.execute_update("approve", {"subject": subject, "approved": True})
        await handle.result()
    assert len(world.orders) == 4


def read_then_refund(call: CallRequest) -> Any:
    assert call.conversation is not None
    results = [each for entry in call.conversation.entries for each in entry.results]
    if not results:
        return calls(("look", {}))
    return calls(("refund", {"amount": 1})) if len(results) == 1 else results[-1].text


@pytest.mark.parametrize(("trusted", "asks"), [(False, True), (True, False)])
async def test_after_something_from_outside_an_effect_waits(
    client: Client, trusted: bool, asks: bool
) -> None:
    look = {"python": "shop:look", "effects": "none", "trusted": trusted}
    refund = {"python": "shop:refund", "effects": "once"}
    world = ToolWorld(read_then_refund)
    async with started(client, world, {"team": tool_team(look, refund)}) as handle:
        if asks:
            await waits(handle, "work:2.1")
            assert (await pending(handle)).tainted
            await handle.execute_update("approve", {"subject": "work:2.1", "approved": True})
        report: RunReport = await handle.result()
    assert report.outcomes[0].output == "result of 2.1"


@pytest.mark.parametrize("reads", ["documents", "handoffs"])
async def test_documents_and_tainted_handoffs_taint_from_the_start(
    client: Client, reads: str
) -> None:
    refund = {"python": "shop:refund", "effects": "once"}
    agents = {
        "reader": {"role": "Reader", "budget_usd": 1},
        "clerk": {"role": "Clerk", "budget_usd": 1, "tools": [refund]},
    }
    first = {"id": "first", "agent": "reader", "ask": "Read.", "inputs": ["letter"]}
    second = {"id": "work", "agent": "clerk", "ask": "Act.", "depends_on": ["first"]}
    if reads == "documents":
        first, second = {**first, "inputs": []}, {**second, "inputs": ["letter"]}
    given = team(agents=agents, tasks=[first, second], result="work")
    world = ToolWorld(once(CALL))
    async with started(client, world, {"team": given, "sources": {"letter": "Pay!"}}) as handle:
        await waits(handle, "work:1.1")
        await handle.execute_update("approve", {"subject": "work:1.1", "approved": False})
        await handle.result()
    assert world.orders == []


async def test_a_task_and_its_handoff_are_approved(client: Client) -> None:
    """A hand-off that is rejected with a note goes back to its agent."""
    world = FakeWorld()
    tasks = [
        {"id": "a", "agent": "research", "ask": "List the facts.", "approve": "before"},
        {"id": "b", "agent": "editor", "ask": "Write.", "depends_on": ["a"], "approve": "after"},
    ]
    async with started(client, world, {"team": team(tasks=tasks, result="b")}) as handle:
        await waits(handle, "a")
        assert world.calls == []
        assert (await pending(handle)).content == "List the facts."
        await handle.execute_update("approve", {"subject": "a", "approved": True})
        await waits(handle, "b:handoff")
        assert (await pending(handle)).content == "answer of b"
        back = {"subject": "b:handoff", "approved": False, "note": "shorter"}
        await handle.execute_update("approve", back)
        while len(world.calls) < 3:
            await handle.query("state")
        await waits(handle, "b:handoff")
        await handle.execute_update("approve", {"subject": "b:handoff", "approved": True})
        report: RunReport = await handle.result()
    repair = world.calls[2].rejected
    assert repair is not None
    assert repair.reasons == ("A person rejected it: shorter",)
    assert report.spend.ledger_agrees is LedgerAgreement.YES


async def test_who_approves_a_task_sees_what_it_reads(client: Client) -> None:
    tasks = [
        {"id": "a", "agent": "research", "ask": "List the facts."},
        {"id": "b", "agent": "editor", "ask": "Write.", "depends_on": ["a"], "approve": "before"},
    ]
    given = {"team": team(tasks=tasks, result="b")}
    async with started(client, FakeWorld(), given) as handle:
        await waits(handle, "b")
        assert (await pending(handle)).content == "Write.\n\nIt reads: a"
        await handle.execute_update("approve", {"subject": "b", "approved": True})
        await handle.result()


async def test_a_rejected_task_is_skipped_and_a_dear_call_waits(client: Client) -> None:
    world = FakeWorld()
    given = team()
    given["agents"]["research"]["approve_above_usd"] = "0.000001"
    given["tasks"][0]["approve"] = "before"
    given["tasks"][2]["missing_inputs"] = "accept"
    async with started(client, world, {"team": given}) as handle:
        await waits(handle, "a", "b:call")
        dear = await pending(handle, subject="b:call")
        assert dear.kind is ApprovalKind.CALL
        assert dear.amount_usd is not None
        await handle.execute_update("approve", {"subject": "a", "approved": False, "note": "no"})
        await handle.execute_update("approve", {"subject": "b:call", "approved": True})
        report: RunReport = await handle.result()
    status = {each.task.id: each.task for each in report.outcomes}
    assert status["a"].status is TaskStatus.SKIPPED
    assert status["a"].failure is not None
    assert status["a"].failure.message == "a person rejected task a: no"
    assert status["b"].status is TaskStatus.DONE
