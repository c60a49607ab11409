"""Parked tasks and approvals: shown to every follower, and continued by the printed command."""

import asyncio
import json
import shlex
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest_asyncio
from temporalio.exceptions import ApplicationError

from durable_agent_team.cli.output import utc_minute
from durable_agent_team.cli.ui.plain_lines import PlainLines
from durable_agent_team.cli.ui.watch_run import Snapshot
from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunReport, RunState, RunStatus, TaskStatus, Waiting
from tests.cli.support import TEAM, Starter, lines, new_id
from tests.cli.test_live import NOW, drawn, state, task
from tests.support.fakes import FakeWorld
from tests.support.printed_commands import without_since

POOR = TEAM.replace("Editor, budget_usd: 1", "Editor, budget_usd: 0.005")


async def parked(starter: Starter, run: str) -> RunState:
    """The run's state, once something waits in it."""
    async with asyncio.timeout(30):
        while True:
            ended = await starter("state", run, "--json")
            seen = RunState.model_validate_json(ended.out) if ended.code == 0 else None
            if seen is not None and seen.waiting:
                return seen


@pytest_asyncio.fixture(loop_scope="session")
async def poor(starter: Starter, world: FakeWorld) -> AsyncIterator[str]:
    """A run whose editor has not enough money."""
    run = new_id()
    ended = await starter("start", starter.team(POOR), "--id", run)
    assert ended.code == 0, ended.err
    yield run
    await starter("cancel", run)
    await starter("result", run)


def arguments(command: str) -> list[str]:
    """Of a command as it is printed."""
    python, script, *rest = shlex.split(command)
    assert (Path(python).name, script) == ("python", "starter.py")
    return rest


def end_of(command: str) -> str:
    """Without the program, which is printed as it was called."""
    return command.partition("starter.py ")[2]


async def test_the_printed_command_wakes_a_task_parked_for_its_budget(
    starter: Starter, poor: str
) -> None:
    (waiting,) = (await parked(starter, poor)).waiting
    assert arguments(waiting.command)[:4] == ["budget", "--raise-only", poor, "editor"]
    shown = (await starter("state", poor)).out
    assert end_of(waiting.command) in shown
    assert waiting.until is not None
    assert f"USD) until {utc_minute(waiting.until)}" in shown
    assert "(required 0.010000 USD, remaining 0.005000 USD)" in shown
    ended = await starter(*arguments(waiting.command))
    assert ended.code == 0, ended.err
    result = await starter("result", poor, "--json")
    assert result.code == 0, result.err
    assert RunReport.model_validate_json(result.out).status is RunStatus.COMPLETED


async def test_a_transfer_wakes_it_too_and_shows_both_limits(
    starter: Starter, poor: str, world: FakeWorld
) -> None:
    await parked(starter, poor)
    ended = await starter("transfer", poor, "research", "editor", "0.5")
    assert ended.code == 0, ended.err
    first, second = lines(ended.out)
    assert first.startswith("research: budget 0.500000 USD")
    assert second.startswith("editor: budget 0.505000 USD")
    assert (await starter("result", poor)).code == 0
    assert world.books["research"].budget == Decimal("0.5")


async def test_plain_lines_report_a_parked_task_once(starter: Starter, poor: str) -> None:
    (waiting,) = (await parked(starter, poor)).waiting
    watching = await starter.begin("watch", poor)
    assert watching.stdout is not None
    printed = ""
    async with asyncio.timeout(60):
        while end_of(waiting.command) not in printed:
            printed += (await watching.stdout.readline()).decode()
    assert "text waits (required" in printed
    assert (await starter(*arguments(waiting.command))).code == 0
    ended = await starter.end(watching)
    assert ended.code == 0, ended.err
    assert end_of(waiting.command) not in ended.out


async def test_json_lines_contain_what_waits(starter: Starter, poor: str) -> None:
    (waiting,) = (await parked(starter, poor)).waiting
    watching = await starter.begin("watch", poor, "--json")
    assert watching.stdout is not None
    line = await asyncio.wait_for(watching.stdout.readline(), 60)
    assert json.loads(line)["waiting"][0]["command"] == waiting.command
    watching.kill()
    await watching.wait()


def test_the_live_view_shows_the_deadline_and_the_command() -> None:
    waits = Waiting(
        subject="text", agent="editor", reason="editor: no money", command="python starter.py x",
        since=NOW, until=datetime(2030, 1, 2, 3, 4, tzinfo=UTC),
    )  # fmt: skip
    picture = "\n".join(
        drawn(Snapshot(state(task("text", TaskStatus.PARKED), waiting=(waits,))), 80)
    )
    assert "? text waits until 2030-01-02 03:04 UTC: editor: no money" in picture
    assert "  python starter.py x" in picture
    assert "‖ text" in picture


def test_every_status_of_a_task_can_be_drawn() -> None:
    tasks = [task(f"t-{status.value}", status) for status in TaskStatus]
    for height in (24, 9):
        picture = "\n".join(drawn(Snapshot(state(*tasks)), 80, height))
        assert "t-running" in picture
        assert "t-parked" in picture


def test_a_task_that_parks_again_is_reported_again() -> None:
    said = PlainLines()
    waits = Waiting(subject="a", reason="no money", command="c", since=NOW)
    once = state(task("a", TaskStatus.PARKED), waiting=(waits,))
    later = waits.model_copy(update={"since": datetime.now(UTC)})
    again = once.model_copy(update={"waiting": (later,)})
    assert [len(said.changes(each)) > 0 for each in (once, once, again)] == [True, False, True]


async def test_retry_wakes_what_another_refusal_parked(starter: Starter, world: FakeWorld) -> None:
    refused: list[str] = []

    def once(call: CallRequest) -> None:
        if call.task == "facts" and not refused:
            refused.append(call.task)
            raise ApplicationError("prove it", type=ErrorType.PAYMENT_REQUIRED, non_retryable=True)

    world.rule = once
    run = new_id()
    assert (await starter("start", starter.team(), "--id", run)).code == 0
    (waiting,) = (await parked(starter, run)).waiting
    assert without_since(arguments(waiting.command)) == ["retry", run, "facts"]
    ended = await starter("retry", run, "facts")
    assert (ended.code, ended.out) == (0, "facts: is being tried again\n")
    assert (await starter("result", run)).code == 0


async def test_a_command_that_is_pasted_late_changes_nothing(
    starter: Starter, world: FakeWorld
) -> None:
    """A task that is done would be done again, and paid again, by a retry without `--since`."""
    gate, asked = asyncio.Event(), list[str]()

    async def rule(call: CallRequest) -> None:
        asked.append(call.task or "")
        if asked.count("facts") == 1 and call.task == "facts":
            raise ApplicationError("prove it", type=ErrorType.PAYMENT_REQUIRED, non_retryable=True)
        if call.task == "text":
            await gate.wait()

    world.rule = rule
    run = new_id()
    assert (await starter("start", starter.team(), "--id", run)).code == 0
    (waiting,) = (await parked(starter, run)).waiting
    printed = arguments(waiting.command)
    assert (await starter(*printed)).out == "facts: is being tried again\n"
    while "text" not in asked:
        await asyncio.sleep(0.05)
    ended = await starter(*printed)
    assert ended.code == 2
    assert "does not wait any more, and nothing was changed (now: done;" in ended.err
    assert (await starter("retry", run, "facts", "--since", "noon")).code == 2
    assert asked.count("facts") == 2
    deliberate = await starter("retry", run, "facts")
    assert "facts: is being done again, and so" in deliberate.out
    gate.set()
    assert (await starter("result", run)).code == 0
    assert asked.count("facts") == 3


async def test_a_budget_that_is_pasted_late_lowers_no_limit(
    starter: Starter, poor: str, world: FakeWorld
) -> None:
    (waiting,) = (await parked(starter, poor)).waiting
    printed = arguments(waiting.command)
    hold = asyncio.Event()

    async def held(_: CallRequest) -> None:
        await hold.wait()

    world.rule = held
    assert (await starter("budget", poor, "editor", "0.5")).code == 0
    ended = await starter(*printed)
    assert ended.code == 2
    assert "editor has 0.5 USD already, and nothing was changed" in ended.err
    assert world.books["editor"].budget == Decimal("0.5")
    assert (await starter("budget", poor, "editor", "0.25")).code == 0, "a deliberate one"
    hold.set()
    assert (await starter("result", poor)).code == 0


async def test_what_is_printed_for_an_unpaid_upstream_ends_no_pause(
    starter: Starter, world: FakeWorld
) -> None:
    refused: list[str] = []

    def once(call: CallRequest) -> None:
        if call.task == "facts" and not refused:
            refused.append(call.task)
            known = {"attempts": 1, "counted_attempts": 0, "status": 503, "upstream": "openai"}
            out = ErrorType.UPSTREAM_OUT_OF_FUNDS
            raise ApplicationError("pay first", known, type=out, non_retryable=True)

    world.rule = once
    run = new_id()
    assert (await starter("start", starter.team(), "--id", run)).code == 0
    (waiting,) = (await parked(starter, run)).waiting
    assert (await starter("pause", run)).code == 0
    ended = await starter(*arguments(waiting.command))
    assert ended.code == 0, ended.err
    first, second = lines(ended.out)
    assert first == f"run {run} continues what an unpaid upstream held up"
    assert second.startswith("it is paused, and starts no new call; ")
    assert refused == ["facts"]
    now = RunState.model_validate_json((await starter("state", run, "--json")).out)
    assert now.paused
    assert not now.waiting
    assert (await starter("resume", run)).code == 0
    assert (await starter("result", run)).code == 0


async def test_a_plan_is_approved_by_the_printed_command(
    starter: Starter, world: FakeWorld
) -> None:
    asking = starter.team(TEAM + "approve_plan: true\n", "asking.yaml")
    no = ["--no", "--note", "too dear"]
    for extra, code, printed in ([], 0, "approved"), (no, 1, "rejected"):
        run = new_id()
        assert (await starter("start", asking, "--id", run)).code == 0
        (waiting,) = (await parked(starter, run)).waiting
        assert without_since(arguments(waiting.command)) == ["approve", run, "plan"]
        ended = await starter(*arguments(waiting.command), *extra)
        assert ended.code == 0, ended.err
        assert printed in ended.out
        ended = await starter("result", run)
        assert ended.code == code
        assert ("too dear" in ended.out) == bool(extra)
