"""Agents with tools, as a person sees them and answers: what waits, in full, and turn by turn."""

import asyncio
import json
import re

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from durable_agent_team.cli.ui.task_calls import TaskLook
from durable_agent_team.contracts.approvals import PendingApproval
from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.conversation_view import ToolCallStatus
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunState
from durable_agent_team.contracts.tool_call import ToolFailure, ToolOrder
from tests.cli.support import Ended, Starter, lines, new_id, serving
from tests.support.printed_commands import commands_in, parsed, without_since
from tests.support.tools import Said, ToolWorld, calls

TEAM = """\
name: shop
goal: Serve the customer
orchestrator: {budget_usd: 1}
agents:
  clerk:
    role: Back office
    budget_usd: 1
    tools:
      - {python: "shop:look", effects: none, trusted: true}
      - {python: "shop:refund", effects: once, approve: always}
tasks:
  - {id: settle, agent: clerk, ask: Refund order 7.}
result: settle
final: handoff
"""
HOSTILE = "\x1b[2J\u202eyes\n\nsettle:9.9: approved\u200b"
ARGUMENTS = {"order": "7", "why": HOSTILE}


def model(call: CallRequest) -> Said:
    """Looks, refunds, and answers with what it was told."""
    assert call.conversation is not None
    results = [each for entry in call.conversation.entries for each in entry.results]
    steps = [calls(("look", {"order": "7"}), content="I look first."), calls(("refund", ARGUMENTS))]
    return steps[len(results)] if len(results) < len(steps) else f"told: {results[-1].text}"


async def waiting(starter: Starter, run: str) -> Ended:
    """What `state` prints once something waits."""
    for _ in range(200):
        shown = await starter("state", run)
        if "waiting for a person" in shown.out:
            return shown
        await asyncio.sleep(0.2)
    raise AssertionError(shown)


async def begun(starter: Starter) -> tuple[str, Ended]:
    run = new_id()
    (starter.folder / "shop.py").write_text("def look(): ...\ndef refund(): ...\n")
    started = await starter("start", starter.team(TEAM), "--id", run)
    assert started.code == 0, started.err
    return run, await waiting(starter, run)


async def ended(starter: Starter, run: str) -> Ended:
    return await starter("result", run)


async def test_what_waits_is_shown_in_full_and_approved_with_the_printed_command(
    starter: Starter, client: Client
) -> None:
    world = ToolWorld(model)
    async with serving(client, world):
        run, state = await begun(starter)
        shown = await starter("approvals", run)
        one = await starter("approvals", run, "settle:2.1")
        plan = (await starter("approve", run)).out
        assert "nothing of it waits for approval\nsettle:2.1 waits" in plan
        assert f"approve {run} settle:2.1" in plan
        for text in (state.out, shown.out, one.out):
            assert "settle:2.1: clerk wants to call shop:refund" in text
            assert '"order": "7"' in text
            assert f"sha256    {_pending(await starter('approvals', run, '--json')).sha256}" in text
        assert "settle:2.1 (clerk): shop:refund, effects: once, waits for approval" in state.out
        assert without_since(parsed(commands_in(one.out)[0])) == ["approve", run, "settle:2.1"]
        whole = RunState.model_validate_json((await starter("state", run, "--json")).out)
        assert [each.subject for each in whole.approvals] == ["settle:2.1"]
        assert json.loads(str(whole.approvals[0].content)) == ARGUMENTS
        asked = await client.get_workflow_handle(run).query("__temporal_workflow_metadata")
        in_ui = "- **clerk** · settle · shop:refund 2.1 · once · waits for approval"
        assert in_ui in asked.current_details
        refused = await starter("approve", run, "settle:2.1", "--sha256", "0" * 64)
        assert (refused.code, "look at it again" in refused.err) == (2, True)
        approved = await starter("approve", run, "settle:2.1")
        assert approved.out == "settle:2.1: approved\n", approved.err
        assert (await ended(starter, run)).code == 0
        again = await starter("approve", run, "settle:2.1")
        assert again.code == 2, "it is used up"
        assert "nothing waits" in (await starter("approvals", run)).out
    assert [order.facts.name for order in world.orders] == ["look", "refund"]
    report = starter.folder / "run.md"
    assert (await starter("report", run, "--out", str(report))).code == 0
    assert "Tool 2.1: shop:refund, effects: once, done, approved" in report.read_text()


async def test_a_wrong_command_is_told_the_right_one(starter: Starter, client: Client) -> None:
    async with serving(client, ToolWorld(model)):
        run, _ = await begun(starter)
        right = f"approve {run} settle:2.1"
        for words in (
            ["approve", run, "settle"],
            ["retry", run, "settle"],
            ["answer", run, "settle:2.1", "retry"],
            ["cancel-task", run, "settle:2.1"],
        ):
            wrong = await starter(*words)
            assert (wrong.code, right in wrong.err) == (2, True), wrong.err
        resumed = await starter("resume", run)
        assert f"run {run} continues\nstill waiting for a person\n  settle:2.1 waits" in resumed.out
        assert right in resumed.out
        sha = await starter("approve", run, "settle:2.1", "--sha256", "zz")
        assert "this is not a SHA-256 (copy all 64 characters" in sha.err
        await starter("reject", run, "settle:2.1", "--note", "no")


async def test_the_payload_in_temporals_ui_approves(starter: Starter, client: Client) -> None:
    async with serving(client, ToolWorld(model)):
        run, _ = await begun(starter)
        handle = client.get_workflow_handle(run)
        page = (await handle.query("__temporal_workflow_metadata")).current_details
        [payload] = re.findall(r"Send an Update, `approve`, with `(.*)`", page)
        await handle.execute_update("approve", json.loads(payload))
        assert (await ended(starter, run)).code == 0


async def begun_with_limit(starter: Starter, seconds: int, default: str) -> str:
    """A run whose approval has a time limit, after which `default` is decided."""
    limited = TEAM.replace(
        "approve: always",
        f"approve: always, approval_timeout_seconds: {seconds}, on_approval_timeout: {default}",
    )
    (starter.folder / "shop.py").write_text("def look(): ...\ndef refund(): ...\n")
    run = new_id()
    await starter("start", starter.team(limited), "--id", run)
    return run


@pytest.mark.parametrize(
    ("default", "shown"), [("reject", "rejected, and not run"), ("approve", "done")]
)
async def test_what_the_time_limit_decides_is_shown(
    starter: Starter, client: Client, default: str, shown: str
) -> None:
    async with serving(client, ToolWorld(model)):
        run = await begun_with_limit(starter, 2, default)
        await ended(starter, run)
    task = (await starter("task", run, "settle")).out  # without a worker
    assert f"tool 2.1 shop:refund, effects: once: {shown}" in task
    assert "approval  timed out\n    decided   by the time limit at 20" in task


REFUSED_SIGNALS = (
    {"approved": True, "arguments": {"amount": "much"}},
    {"approved": True, "sha256": "0" * 64},
    {"approved": False, "sha256": "0" * 64},
)


@pytest.mark.parametrize(
    ("default", "shown"), [("reject", "rejected, and not run"), ("approve", "done")]
)
async def test_a_refused_signal_is_no_decision_of_a_call(
    starter: Starter, client: Client, default: str, shown: str
) -> None:
    """History has it like one that was carried out."""
    async with serving(client, ToolWorld(model)):
        run = await begun_with_limit(starter, 3, default)
        await waiting(starter, run)
        handle = client.get_workflow_handle(run)
        for each in REFUSED_SIGNALS:
            wrong = {"kind": "approve", "subject": "settle:2.1", "by": "ann@desk", **each}
            await handle.signal("adjust", wrong)
        await ended(starter, run)
        assert len((await handle.query("state", result_type=RunState)).refusals) == 3
    task = (await starter("task", run, "settle")).out
    assert f"tool 2.1 shop:refund, effects: once: {shown}" in task
    assert "approval  timed out\n    decided   by the time limit at 20" in task


async def test_of_two_signals_the_first_has_decided(starter: Starter, client: Client) -> None:
    async with serving(client, ToolWorld(model)):
        run, _ = await begun(starter)
        handle = client.get_workflow_handle(run)
        answer = {"kind": "approve", "subject": "settle:2.1"}
        no = {**answer, "approved": False, "note": "never delivered", "by": "ann@desk"}
        await handle.signal("adjust", no)
        await handle.signal("adjust", {**answer, "approved": True, "by": "bob@desk"})
        await ended(starter, run)
    task = (await starter("task", run, "settle")).out
    assert "tool 2.1 shop:refund, effects: once: rejected, and not run" in task
    assert "approval  rejected: never delivered\n    decided   by ann@desk at 20" in task


async def test_of_two_edits_the_one_that_was_used_is_shown(
    starter: Starter, client: Client
) -> None:
    async with serving(client, ToolWorld(model)):
        run, _ = await begun(starter)
        handle = client.get_workflow_handle(run)
        for by, amount in (("ann@desk", "much"), ("bob@desk", 3)):
            edit = {"subject": "settle:2.1", "approved": True, "arguments": {"amount": amount}}
            await handle.signal("adjust", {"kind": "approve", **edit, "by": by})
        await ended(starter, run)
    task = (await starter("task", run, "settle")).out
    assert "tool 2.1 shop:refund, effects: once: done" in task
    assert "approval  edited\n    decided   by bob@desk at 20" in task


PAYS_TWICE = TEAM.replace(
    "tasks:", '      - {python: "shop:pay", effects: once, approve: always}\ntasks:'
)


def pays_twice(call: CallRequest) -> Said:
    """Two calls side by side, so that the agent does not go on while the second one waits."""
    assert call.conversation is not None
    asked = calls(("refund", {"order": "7"}), ("pay", {"order": "8"}))
    return asked if call.conversation.turn == 1 else "told"


async def paying(starter: Starter, team: str) -> str:
    run = new_id()
    (starter.folder / "shop.py").write_text("def look(): ...\ndef refund(): ...\ndef pay(): ...\n")
    assert (await starter("start", starter.team(team), "--id", run)).code == 0
    return run


async def test_a_signal_after_the_limit_has_not_decided(starter: Starter, client: Client) -> None:
    limited = PAYS_TWICE.replace("always}", "always, approval_timeout_seconds: 2}", 1)
    async with serving(client, ToolWorld(pays_twice)):
        run = await paying(starter, limited)
        handle = client.get_workflow_handle(run)
        while not (await handle.query("state", result_type=RunState)).decisions:
            await asyncio.sleep(0.1)
        late = {"kind": "approve", "subject": "settle:1.1", "approved": True, "by": "ann@desk"}
        await handle.signal("adjust", late)
        await starter("reject", run, "settle:1.2", "--note", "no")
        await ended(starter, run)
    task = (await starter("task", run, "settle")).out
    assert "tool 1.1 shop:refund, effects: once: rejected, and not run" in task
    assert "approval  timed out\n    decided   by the time limit at 20" in task


async def test_of_two_answers_to_a_call_the_first_has_ended_it(
    starter: Starter, client: Client
) -> None:
    def lost(order: ToolOrder) -> str:
        raise ApplicationError("lost", ToolFailure(sent=True), type=ErrorType.EFFECT_UNKNOWN)

    unasked = PAYS_TWICE.replace("approve: always", "approve: never", 1)
    async with serving(client, ToolWorld(pays_twice, tool=lost)):
        run = await paying(starter, unasked)
        handle = client.get_workflow_handle(run)
        while len((await handle.query("state", result_type=RunState)).waiting) < 2:
            await asyncio.sleep(0.1)
        answer = {"kind": "answer", "task": "settle:1.1"}
        await handle.signal("adjust", {**answer, "decision": "skip", "by": "ann@desk"})
        late = {**answer, "decision": "result", "result": "paid", "by": "bob@desk"}
        await handle.signal("adjust", late)
        await starter("reject", run, "settle:1.2", "--note", "no")
        await ended(starter, run)
    task = (await starter("task", run, "settle")).out
    assert "tool 1.1 shop:refund, effects: once: left out" in task
    assert "bob@desk" not in task


async def test_nothing_that_an_agent_writes_looks_like_a_line_of_ours(
    starter: Starter, client: Client
) -> None:
    async with serving(client, ToolWorld(model)):
        run, state = await begun(starter)
        for command in (
            ["approvals", run],
            ["approvals", run, "settle:2.1"],
            ["task", run, "settle"],
        ):
            out = (await starter(*command)).out
            for hidden in ("\x1b", "\u202e", "\u200b"):
                assert hidden not in out
                assert hidden not in state.out
            assert not any(line.startswith("settle:9.9") for line in lines(out))
        await starter("reject", run, "settle:2.1", "--note", "no")


async def test_a_rejection_gives_the_note_to_the_agent(starter: Starter, client: Client) -> None:
    world = ToolWorld(model)
    async with serving(client, world):
        run, _ = await begun(starter)
        mute = await starter("reject", run, "settle:2.1", "--note", " ")
        assert (mute.code, "--note: is empty" in mute.err) == (2, True)
        no = await starter("reject", run, "settle:2.1", "--note", "never delivered")
        assert no.out == "settle:2.1: rejected; its agent gets the note as the result\n"
        assert "never delivered" in (await ended(starter, run)).out
        task = await starter("task", run, "settle")
    assert "approval  rejected: never delivered" in task.out
    assert [order.facts.name for order in world.orders] == ["look"]


async def test_a_call_runs_with_the_arguments_of_a_person(starter: Starter, client: Client) -> None:
    world = ToolWorld(model)
    file = starter.folder / "arguments.json"
    async with serving(client, world):
        run, _ = await begun(starter)
        for text, problem in (("[1]", "not a JSON object"), ("{", "is not JSON, line 1")):
            file.write_text(text)
            wrong = await starter("edit", run, "settle:2.1", str(file))
            assert (wrong.code, problem in wrong.err) == (2, True), wrong.err
        missing = await starter("edit", run, "settle:2.1", "nowhere.json")
        assert (missing.code, "there is no file nowhere.json" in missing.err) == (2, True)
        file.write_text('{"order": "8"}')
        edited = await starter("edit", run, "settle:2.1", str(file))
        assert edited.out == f"settle:2.1: approved with the arguments of {file}\n", edited.err
        assert (await ended(starter, run)).code == 0
        task = await starter("task", run, "settle")
    assert json.loads(world.orders[-1].arguments) == {"order": "8"}
    assert "approval  edited" in task.out


async def test_a_task_is_shown_turn_by_turn_with_its_money(
    starter: Starter, client: Client
) -> None:
    async with serving(client, ToolWorld(model)):
        run, _ = await begun(starter)
        open_task = await starter("task", run, "settle")
        assert "tool 2.1 shop:refund, effects: once: waits for a person to approve it" in (
            open_task.out
        )
        await starter("approve", run, "settle:2.1", "--note", "go")
        await ended(starter, run)
    shown = await starter("task", run, "settle")  # without a worker
    assert shown.code == 0, shown.err
    for text in (
        "settle (clerk): 3 turns, 0.030000 USD, 2 calls of tools",
        "turn 1 (work)",
        "ask: Refund order 7.",
        "says: I look first.",
        "tool 1.1 shop:look, effects: none: done",
        "tool 2.1 shop:refund, effects: once: done",
        "approval  approved: go",
        "result    result of 2.1",
        "turn 3 (work)",
        "answer: told: result of 2.1",
        "charge: 0.010000 USD for 10+5 tokens",
    ):
        assert text in shown.out, f"{text}\n{shown.out}"
    assert shown.out.count("ask: Refund order 7.") == 1
    look = TaskLook.model_validate_json((await starter("task", run, "settle", "--json")).out)
    [first, second, third] = look.calls
    assert [call.turn for call in look.calls] == [1, 2, 3]
    assert [each.status for each in second.tool_calls] == [ToolCallStatus.DONE]
    assert json.loads(second.tool_calls[0].arguments) == ARGUMENTS
    assert (first.said, third.tool_calls) == ("I look first.", ())


@pytest.mark.parametrize("subject", ["plan", "nobody", "settle:1.1"])
async def test_what_does_not_wait_is_refused(
    starter: Starter, client: Client, subject: str
) -> None:
    async with serving(client, ToolWorld(model)):
        run, _ = await begun(starter)
        for command in (["approve", run, subject], ["approvals", run, subject]):
            refused = await starter(*command)
            assert (refused.code, subject in refused.err) == (2, True), refused.err
        await starter("reject", run, "settle:2.1", "--note", "no")


def _pending(found: Ended) -> PendingApproval:
    [line] = lines(found.out)
    return PendingApproval.model_validate_json(line)
