"""`task`, `charges` and `reconcile`: they read history and ledger, and need no worker."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from durable_agent_team.cli.ui.charge_lines import ChargeLine, Reconciled, charge_lines
from durable_agent_team.cli.ui.task_calls import TaskLook
from durable_agent_team.client.run_history import read_record
from durable_agent_team.contracts.call import CallRequest, CallResult
from durable_agent_team.contracts.ledger import Charge, Ledger
from tests.cli.support import TEAM, Starter, lines, new_id, serving
from tests.cli.test_parked import POOR, parked
from tests.cli.test_start_run import fail_prices
from tests.support.fakes import FakeWorld
from tests.support.packages import Rooms, all_rooms
from tests.support.run_reports import report_of
from tests.support.upstream import Rule

PAYLOAD: dict[str, Any] = {
    "team": {
        "name": "brief",
        "goal": "Decide whether to enter",
        "orchestrator": {"budget_usd": 1},
        "agents": {"research": {"role": "Researcher", "budget_usd": 1}},
        "tasks": [{"id": "facts", "agent": "research", "ask": "List."}],
    }
}


@pytest_asyncio.fixture(loop_scope="session")
async def rooms(client: Client) -> AsyncIterator[Rooms]:
    async with all_rooms(client) as rooms:
        yield rooms


def provider(rooms: Rooms) -> dict[str, str]:
    return {"ATXP_API_URL": rooms.gateway.base_url, "ATXP_API_KEY": rooms.gateway.parent_key}


async def test_a_task_shows_prompt_answer_checks_repairs_and_charges(
    starter: Starter, client: Client
) -> None:
    world = FakeWorld()

    def object_once(call: CallRequest) -> CallResult | None:
        if call.task == "text" and call.rejected is None:
            return world.answer(call, "too short", reasons=("answer is shorter than 20",))
        return None

    world.rule = object_once
    run = new_id()
    async with serving(client, world):
        checked = TEAM.replace("ask: Write it up.", "ask: Write it up., checks: {max_length: 99}")
        assert (await starter("run", starter.team(checked), "--id", run)).code == 0
    ended = await starter("task", run, "text")
    assert ended.code == 0, ended.err
    for expected in (
        "text (editor): 2 calls, 1 of them a repair, 0.020000 USD",
        "ask: Write it up.",
        "input facts: answer of facts",
        "checks: max_length: 99",
        "answer: too short",
        "answer is shorter than 20",
        "call 2 (repair)",
        "passed: yes",
        "charge: 0.010000 USD for 10+5 tokens",
    ):
        assert expected in ended.out
    assert "goal" not in ended.out, "a specialist never saw it"
    look = TaskLook.model_validate_json((await starter("task", run, "answer", "--json")).out)
    assert look.calls[0].goal == "Decide whether to enter the market"
    assert "sealed" not in look.model_dump_json()
    ended = await starter("task", run, "absent")
    assert ended.code == 2
    assert "TASK = absent: no such task (there are: facts, prices, text, answer)" in ended.err


async def test_task_prints_why_a_task_failed_and_that_another_has_no_call(
    starter: Starter, world: FakeWorld
) -> None:
    world.rule = fail_prices
    run = new_id()
    assert (await starter("run", starter.team(), "--id", run)).code == 1
    ended = await starter("task", run, "prices")
    assert "failed: ContextExceeded: no such sheet" in ended.out
    assert (await starter("task", run, "text")).out == "text: no call yet\n"


async def test_charges_prints_every_key_and_agrees_with_the_ledger(
    starter: Starter, rooms: Rooms
) -> None:
    run = new_id()
    await (await rooms.start(PAYLOAD, run)).result()
    ended = await starter("charges", run, "--json", **provider(rooms))
    assert ended.code == 0, ended.err
    found = [ChargeLine.model_validate_json(line) for line in lines(ended.out)]
    assert [each.task for each in found] == ["facts", "answer"]
    assert sum(each.ledger_usd or 0 for each in found) == rooms.ledger_usd() > 0
    assert all(each.amount_usd == each.ledger_usd and not each.note for each in found)
    shown = await starter("charges", run)
    assert "ATXP_API_KEY is not set" in shown.err
    assert all(str(each.idempotency_key) in shown.out for each in found)
    silent = {**provider(rooms), "ATXP_API_URL": "http://127.0.0.1:9/v1"}
    shown = await starter("charges", run, **silent)
    assert shown.code == 0
    assert "was not read: http://127.0.0.1:9/v1" in shown.err
    wrong = await starter("charges", run, **{**provider(rooms), "ATXP_API_KEY": "wrong-key"})
    assert "check ATXP_API_KEY" in wrong.err
    assert "wrong-key" not in wrong.err + wrong.out


async def test_a_difference_from_the_ledger_is_marked(
    client: Client, world: FakeWorld, starter: Starter
) -> None:
    run = new_id()
    assert (await starter("run", starter.team(), "--id", run)).code == 0
    record = await read_record(client, run)
    keys = [call.request.idempotency_key for call in record.calls]
    booked = [Charge(idempotency_key=key, amount_usd=Decimal("0.01")) for key in keys[1:]]
    booked.append(Charge(idempotency_key="other", amount_usd=Decimal(2)))
    owners = {call.request.idempotency_key: call.request.account.agent for call in record.calls}
    ledgers = [
        Ledger(
            agent=ref.agent, account_id=ref.account_id, status="disabled", budget_usd=Decimal(1),
            spent_usd=Decimal(0),
            charges=tuple(
                each for each in booked
                if owners.get(str(each.idempotency_key), "editor") == ref.agent
            ),
        )
        for ref in record.accounts
    ]  # fmt: skip
    notes = {line.idempotency_key: line.note for line in charge_lines(record, ledgers)}
    assert notes == {
        keys[0]: "DIFFERS FROM THE LEDGER",
        **dict.fromkeys(keys[1:], ""),
        "other": "in the ledger, not in this history",
    }


async def test_a_refused_call_repeated_with_its_key_agrees_with_the_ledger(
    starter: Starter, rooms: Rooms
) -> None:
    run = new_id()
    poor = {"research": {"role": "Researcher", "budget_usd": "0.0001", "max_tokens": 100}}
    handle = await rooms.start({"team": {**PAYLOAD["team"], "agents": poor}}, run)
    await parked(starter, run)
    assert (await starter("budget", run, "research", "1")).code == 0
    await handle.result()
    ended = await starter("charges", run, "--json", **provider(rooms))
    refused, paid, answer = [ChargeLine.model_validate_json(line) for line in lines(ended.out)]
    assert refused.idempotency_key == paid.idempotency_key
    assert (refused.note, refused.ledger_usd) == ("BudgetExhausted", Decimal(0))
    assert (paid.note, answer.note) == ("", "")
    assert paid.ledger_usd == paid.amount_usd > 0  # type: ignore[operator]


async def test_an_abandoned_call_that_was_charged_is_not_a_difference(
    starter: Starter, rooms: Rooms
) -> None:
    run = new_id()
    gate = asyncio.Event()
    rooms.upstream.add(Rule(contains="List.", gate=gate))
    handle = await rooms.start(PAYLOAD, run)
    async with asyncio.timeout(60):
        while rooms.upstream.count < 1:
            await asyncio.sleep(0.05)
    assert (await starter("cancel", run)).code == 0
    asyncio.get_running_loop().call_later(2, gate.set)  # the worker has given the call up by then
    await report_of(handle)
    ended = await starter("charges", run, "--json", **provider(rooms))
    (line,) = [ChargeLine.model_validate_json(line) for line in lines(ended.out)]
    assert line.note == "cancelled, read back from the ledger"
    assert line.ledger_usd == rooms.ledger_usd() > 0


async def test_a_timed_out_call_that_was_charged_is_not_a_difference(
    starter: Starter, rooms: Rooms
) -> None:
    """The gateway finishes a call that its client gave up; the run reads its charge."""
    run = new_id()
    gate = asyncio.Event()
    rooms.upstream.add(Rule(contains="List.", gate=gate))
    hasty = {"timeout_seconds": 1, "retry": {"max_attempts": 1}, "on_failure": "fail"}
    agents = {"research": {"role": "Researcher", "budget_usd": "1", **hasty}}
    handle = await rooms.start({"team": {**PAYLOAD["team"], "agents": agents}}, run)
    asyncio.get_running_loop().call_later(3, gate.set)  # the attempt is over by then
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    ended = await starter("charges", run, "--json", **provider(rooms))
    (line,) = [ChargeLine.model_validate_json(line) for line in lines(ended.out)]
    assert line.note == "UpstreamTimeout, read back from the ledger"
    assert line.amount_usd == line.ledger_usd == rooms.ledger_usd() > 0
    unasked = await starter("charges", run)  # without the parent's key: what the run has read
    assert lines(unasked.out)[-1].split()[1] == f"{rooms.ledger_usd():f}"
    assert f"{rooms.ledger_usd():f} USD" in (await starter("task", run, "facts")).out


async def test_reconcile_closes_what_a_terminated_run_left_open(
    starter: Starter, rooms: Rooms
) -> None:
    run = new_id()
    team = {**PAYLOAD["team"], "final": "orchestrator"}
    gate = asyncio.Event()
    rooms.upstream.add(Rule(contains="Decide whether", gate=gate))
    handle = await rooms.start({"team": team}, run)
    async with asyncio.timeout(60):
        while rooms.upstream.count < 2:
            await asyncio.sleep(0.05)
    ended = await starter("reconcile", run, **provider(rooms))
    assert ended.code == 2
    assert "it is still open" in ended.err
    assert (await starter("reconcile", run)).code == 2
    await handle.terminate("by hand")
    asyncio.get_running_loop().call_later(1, gate.set)  # meanwhile, a call is in flight
    ended = await starter("reconcile", run, "--json", **provider(rooms))
    assert ended.code == 0, ended.err
    found = Reconciled.model_validate_json(ended.out)
    assert {each.agent for each in found.accounts} == {"orchestrator", "research"}
    assert {each.status for each in found.accounts} == {"disabled"}
    assert {each.reserved_usd for each in found.accounts} == {Decimal(0)}
    assert found.ledger_usd == rooms.ledger_usd() > 0
    assert [each.note for each in found.charges] == ["", "cut off by the run's end"]
    looked = (await starter("task", run, "answer")).out
    assert "failed: cut off by the run's end" in looked
    assert "in flight" not in looked
    again = await starter("reconcile", run, **provider(rooms))
    assert again.code == 0, "it may be repeated"
    assert f"ledger: {rooms.ledger_usd():.6f} USD in all" in again.out
    silent = {**provider(rooms), "ATXP_API_URL": "http://127.0.0.1:9/v1"}
    assert (await starter("reconcile", run, **silent)).code == 3


async def test_reconcile_of_a_run_without_accounts_says_so(
    starter: Starter, client: Client, rooms: Rooms
) -> None:
    run = new_id()
    assert (await starter("start", starter.team(), "--id", run)).code == 0
    await client.get_workflow_handle(run).terminate("by hand")
    ended = await starter("reconcile", run, **provider(rooms))
    assert ended.code == 0, ended.err
    assert "its history has no accounts" in ended.out


async def test_an_unknown_run_ends_with_2(starter: Starter, client: Client) -> None:
    for words in (["task", "nobody", "x"], ["charges", "nobody"]):
        ended = await starter(*words)
        assert ended.code == 2
        assert "starter.py list" in ended.err


async def test_a_call_in_flight_is_shown(starter: Starter, world: FakeWorld) -> None:
    gate = asyncio.Event()

    async def hold(call: CallRequest) -> None:
        await gate.wait()

    world.rule = hold
    run = new_id()
    assert (await starter("start", starter.team(), "--id", run)).code == 0
    async with asyncio.timeout(60):
        while len(world.calls) < 2:
            await asyncio.sleep(0.05)
    assert "answer: the call is in flight" in (await starter("task", run, "facts")).out
    line = json.loads(lines((await starter("charges", run, "--json")).out)[0])
    assert (line["note"], line["amount_usd"]) == ("in flight", None)
    gate.set()
    assert (await starter("result", run)).code == 0


async def test_the_attempts_of_a_call_are_shown(starter: Starter, world: FakeWorld) -> None:
    """While it waits for the next one, and afterwards."""
    again = asyncio.Event()

    def rule(call: CallRequest) -> None:
        if call.task == "facts" and not again.is_set():
            delay = timedelta(seconds=2)
            raise ApplicationError("slow down", type="RateLimited", next_retry_delay=delay)

    world.rule = rule
    run = new_id()
    assert (await starter("start", starter.team(), "--id", run)).code == 0
    waits = re.compile(r"attempt: \d at \d\d:\d\d:\d\d UTC, after RateLimited: slow down")
    async with asyncio.timeout(60):
        while not waits.search((await starter("task", run, "facts")).out):
            await asyncio.sleep(0.05)
    again.set()
    assert (await starter("result", run)).code == 0
    [call] = json.loads((await starter("task", run, "facts", "--json")).out)["calls"]
    assert call["attempts"] >= 2
    assert (call["attempt_failure"], call["failure"]) == ("RateLimited: slow down", None)


async def test_a_refused_call_that_parked_is_shown_with_its_type(
    starter: Starter, world: FakeWorld
) -> None:
    run = new_id()
    assert (await starter("start", starter.team(POOR), "--id", run)).code == 0
    await parked(starter, run)
    ended = await starter("charges", run)
    assert "BudgetExhausted" in ended.out
    await starter("cancel", run)
    await starter("result", run)
