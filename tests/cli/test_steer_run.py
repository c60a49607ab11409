"""`cancel`, `budget`, `pause` and the other commands that steer a run."""

import asyncio
import json
from decimal import Decimal

import pytest
from temporalio.client import Client

from durable_agent_team.contracts.control import BudgetAdjusted
from durable_agent_team.contracts.run import RunReport, RunStatus
from tests.cli.support import Starter, new_id
from tests.support.fakes import FakeWorld


async def test_cancel_stops_a_run_which_then_reports(
    starter: Starter, held: str, world: FakeWorld
) -> None:
    ended = await starter("cancel", held, "--reason", "too dear")
    assert ended.code == 0, ended.err
    assert held in ended.out
    ended = await starter("result", held)
    assert ended.code == 1
    assert "cancelled: too dear" in ended.out
    report = RunReport.model_validate_json((await starter("result", held, "--json")).out)
    assert report.status is RunStatus.CANCELLED
    assert all(book.status == "disabled" for book in world.books.values())


async def test_cancel_of_an_ended_run_says_so(starter: Starter, world: FakeWorld) -> None:
    run = new_id()
    assert (await starter("run", starter.team(), "--id", run)).code == 0
    ended = await starter("cancel", run)
    assert ended.code == 2
    assert "has ended" in ended.err
    assert f"starter.py result {run}" in ended.err


async def test_a_budget_is_in_force_when_the_command_returns(
    starter: Starter, held: str, world: FakeWorld
) -> None:
    ended = await starter("budget", held, "research", "2.5", "--json")
    assert ended.code == 0, ended.err
    assert BudgetAdjusted.model_validate_json(ended.out).budget_usd == Decimal("2.5")
    assert world.books["research"].budget == Decimal("2.5")
    ended = await starter("budget", held, "research", "$3")
    assert "budget 3.000000 USD" in ended.out


@pytest.mark.parametrize(
    ("agent", "usd", "printed"),
    [
        ("nobody", "2", "nobody"),
        ("research", "lots", "USD = lots"),
        ("research", "0", "USD = 0"),
        ("research", "-- -1", "USD = -1"),
        ("research", "0.0000001", "USD = 0.0000001"),
        ("research", "NaN", "USD = NaN"),
        ("Research!", "1", "AGENT = Research!"),
    ],
)
async def test_a_wrong_budget_is_refused_with_its_value(
    starter: Starter, held: str, agent: str, usd: str, printed: str
) -> None:
    dashes = ["--"] if usd.startswith("-- ") else []
    ended = await starter("budget", *dashes, held, agent, usd.removeprefix("-- "))
    assert ended.code == 2, ended.err
    assert printed in ended.err
    assert "Traceback" not in ended.err


async def test_a_budget_without_a_worker_ends_with_3(starter: Starter, client: Client) -> None:
    run = new_id()
    assert (await starter("start", starter.team(), "--id", run)).code == 0
    try:
        ended = await starter("budget", run, "research", "2")
    finally:
        await client.get_workflow_handle(run).terminate()
    assert ended.code == 3
    assert "worker" in ended.err


async def test_a_cancel_needs_no_worker(starter: Starter, client: Client) -> None:
    run = new_id()
    assert (await starter("start", starter.team(), "--id", run)).code == 0
    try:
        ended = await starter("cancel", run, "--reason", "never mind", "--json")
    finally:
        await client.get_workflow_handle(run).terminate()
    assert ended.code == 0
    assert json.loads(ended.out) == {"reason": "never mind"}


async def test_a_paused_run_is_shown_as_paused_and_continues_when_resumed(
    starter: Starter, held: str
) -> None:
    ended = await starter("pause", held)
    assert ended.code == 0, ended.err
    assert f"starter.py resume {held}" in ended.out
    assert "(paused)" in (await starter("state", held)).out
    assert (await starter("resume", held, "--json")).out == "{}\n"
    assert "(paused)" not in (await starter("state", held)).out


async def test_a_cancelled_task_ends_alone(starter: Starter, held: str, world: FakeWorld) -> None:
    ended = await starter("cancel-task", held, "prices", "--reason", "not needed")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("prices: ")
    async with asyncio.timeout(60):
        while "Cancelled: not needed" not in (await starter("state", held)).out:
            await asyncio.sleep(0.2)
    assert "facts" in (await starter("state", held)).out
    again = await starter("cancel-task", held, "prices")
    assert again.code == 2
    assert "nothing to cancel" in again.err


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["retry", "RUN", "nothing"], "task = 'nothing'"),
        (["retry", "RUN", "x" * 201], "(201 characters)"),
        (["cancel-task", "RUN", "nothing"], "no such task"),
        (["approve", "RUN", "plan"], "waiting: nothing"),
        (["approve", "RUN", "plan", "--note", "x" * 1001], "--note = x"),
        (["transfer", "RUN", "research", "nobody", "1"], "nobody"),
        (["transfer", "RUN", "research", "editor", "9"], "research has only"),
        (["transfer", "RUN", "research", "editor", "some"], "USD = some"),
        (["transfer", "RUN", "Research!", "editor", "1"], "FROM = Research!"),
        (["cancel", "RUN", "--reason", "x" * 1001], "--reason = x"),
    ],
)
async def test_an_invalid_value_is_refused_and_printed(
    starter: Starter, held: str, words: list[str], printed: str
) -> None:
    ended = await starter(*(held if word == "RUN" else word for word in words))
    assert ended.code == 2, ended.out
    assert printed in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("words", [["pause"], ["resume"], ["retry", "facts"], ["approve", "plan"]])
async def test_an_ended_run_refuses_every_command(
    starter: Starter, world: FakeWorld, words: list[str]
) -> None:
    run = new_id()
    assert (await starter("run", starter.team(), "--id", run)).code == 0
    ended = await starter(words[0], run, *words[1:])
    assert ended.code == 2
    assert "has ended" in ended.err
