"""The live view: what it draws at 80 and at 140 columns, and in a real terminal."""

import asyncio
import io
import os
import pty
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from durable_agent_team.cli.ui.graph_layers import depths, fitting, layered
from durable_agent_team.cli.ui.live_tables import bar
from durable_agent_team.cli.ui.live_view import LiveView
from durable_agent_team.cli.ui.watch_run import Snapshot
from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.contracts.run import (
    Failure,
    RunState,
    RunStatus,
    TaskState,
    TaskStatus,
    Waiting,
)
from durable_agent_team.contracts.spend import (
    AgentSpend,
    AgentStatus,
    LedgerAgreement,
    SpendReport,
    Totals,
)
from tests.cli.support import ROOT, Starter, new_id
from tests.support.fakes import FakeWorld

NOW = datetime.now(UTC)


def task(id: str, status: TaskStatus, *after: str, failure: Failure | None = None) -> TaskState:
    now = datetime.now(UTC)
    began = None if status is TaskStatus.WAITING else now - timedelta(seconds=65)
    ended = now if status in (TaskStatus.DONE, TaskStatus.FAILED) else None
    return TaskState(
        id=id, agent="research", status=status, depends_on=after, calls=1,
        spent_usd=Decimal("0.000123"), started_at=began, ended_at=ended, failure=failure,
    )  # fmt: skip


def state(*tasks: TaskState, waiting: tuple[Waiting, ...] = ()) -> RunState:
    return RunState(
        workflow_id="r1", team="brief", goal="Decide " * 60, status=RunStatus.WORKING,
        paused=False, cancel_reason=None, tasks=tasks, tasks_total=len(tasks), page=1,
        waiting=waiting, refusals=(), failure=None,
    )  # fmt: skip


def drawn(sight: Snapshot, width: int, height: int = 40) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True)
    view = LiveView("r1", NOW - timedelta(seconds=70), console)
    view.show(sight)
    with console.capture() as capture:
        console.print(view.render())
    lines = capture.get().splitlines()
    return ["".join(_unstyled(line)) for line in lines]


def _unstyled(line: str) -> list[str]:
    parts = line.split("\x1b[")
    return [parts[0], *(part.partition("m")[2] for part in parts[1:])]


REFUSED = Failure(
    type="BudgetExhausted", message="no money " * 30,
    required_usd=Decimal("0.5"), remaining_usd=Decimal("0.1"),
)  # fmt: skip


@pytest.mark.parametrize("width", [80, 140])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    waits = Waiting(subject="plan", reason="please look", command="approve r1", since=NOW)
    seen = state(
        task("a" * 40, TaskStatus.DONE),
        task("b", TaskStatus.FAILED, "a" * 40, failure=REFUSED),
        task("c", TaskStatus.WAITING, "b"),
        waiting=(waits,),
    )
    picture = drawn(Snapshot(seen, None, "no worker answers; waiting for one"), width)
    assert max(map(len, picture)) <= width
    text = "\n".join(picture)
    for expected in (
        "brief · working",
        "✗ b",
        "BudgetExhausted",
        "approve r1",
        "no worker answers",
    ):
        assert expected in text
    assert ("after" in text) == (width >= 100)


LONG = tuple(f"{name}-{'x' * 38}"[:40] for name in "abc")


@pytest.mark.parametrize("width", [40, 64, 80, 140])
def test_long_names_are_clipped_and_figures_are_not(width: int) -> None:
    tasks = [task(LONG[0], TaskStatus.DONE), task(LONG[1], TaskStatus.RUNNING, LONG[0], LONG[2])]
    spend = spent(*(agent(name, AgentStatus.WORKING, calls=14) for name in LONG))
    picture = drawn(Snapshot(state(*tasks), spend), width)
    assert max(map(len, picture)) <= width
    rows = [line for line in picture if "✓ a-x" in line or "▶ b-x" in line]
    assert len(rows) == 2
    for row in rows:
        assert "0.000123" in row
        assert ("1 m 05 s" in row) == (width > 40), "it has less to show, and shows that whole"
    rows = [line for line in picture if "0.004321" in line]
    assert len(rows) == len(LONG)
    for row in rows:
        assert "1.000000" in row
        assert ("14 (2 failed)" in row) == (width > 40)


@pytest.mark.parametrize("width", [50, 60, 68])
def test_names_that_differ_at_their_end_still_differ_where_they_are_cut(width: int) -> None:
    names = [f"a-task-with-a-long-name-and-its-number-{n}" for n in "12"]
    picture = drawn(Snapshot(state(*(task(each, TaskStatus.DONE) for each in names)), None), width)
    rows = [line for line in picture if "✓ a-task" in line]
    assert [row.split()[1][-8:] for row in rows] == ["number-1", "number-2"]
    assert max(map(len, picture)) <= width


def test_a_goal_of_wide_characters_takes_one_line() -> None:
    seen = state(task("a", TaskStatus.DONE)).model_copy(update={"goal": "市場" * 40})
    picture = drawn(Snapshot(seen), 80)
    assert picture[2].startswith("task")


@pytest.mark.parametrize("width", [60, 80, 200])
def test_words_are_whole_and_progress_is_counted(width: int) -> None:
    words = "the answer broke its schema: quotation missing in paragraph seventeen of the contract"
    told = Failure(type="CheckFailed", message=words)
    tasks = [task(f"t{n}", TaskStatus.DONE) for n in range(28)]
    tasks += [task(f"u{n}", TaskStatus.RUNNING) for n in range(12)]
    tasks += [task("supplier-contract-duties", TaskStatus.FAILED, failure=told)]
    picture = drawn(Snapshot(state(*tasks), spent(agent("a", AgentStatus.WORKING))), width)
    text = " ".join(" ".join(picture).split())
    assert "28 of 41 done" in text
    assert "total 1.000000 of 9.000000 USD" in text
    assert f"✗ supplier-contract-duties: CheckFailed: {words}" in text
    assert any("✗ supplier-contract-duties " in line for line in picture), "id whole"
    assert max(map(len, picture)) <= width


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_command_is_on_one_line(width: int) -> None:
    """In what is drawn, or above it, where the terminal itself breaks a line that is too wide."""
    command = f".venv/bin/python starter.py budget {'brief-' * 8}1 price-analyst 0.103300"
    waits = Waiting(subject="t0", reason="no money", command=command, since=NOW)
    console = Console(file=io.StringIO(), width=width, height=40, force_terminal=True)
    view = LiveView("r1", NOW, console)
    seen = Snapshot(state(task("t0", TaskStatus.PARKED), waiting=(waits,)))
    with console.capture() as capture:
        view.show(seen)
        view.show(seen)
        console.print(view.render())
    shown = ["".join(_unstyled(line)).strip() for line in capture.get().splitlines()]
    assert shown.count(command) == 1


def test_working_and_waiting_agents_are_shown_first() -> None:
    many = [agent(f"a{n}", AgentStatus.IDLE, calls=1) for n in range(40)]
    many[37] = agent("a37", AgentStatus.WORKING, calls=1)
    many[38] = agent("a38", AgentStatus.PARKED)
    text = "\n".join(
        drawn(Snapshot(state(task("a", TaskStatus.DONE)), spent(*many)), 80, height=24)
    )
    assert "a37" in text
    assert "a38" in text
    assert "more agents" in text


def agent(name: str, status: AgentStatus, calls: int = 0) -> AgentSpend:
    zero = Decimal(0)
    return AgentSpend(
        agent=name, model="m", status=status, budget_usd=Decimal(1), spent_usd=Decimal("0.004321"),
        remaining_usd=Decimal(1), reserved_usd=Decimal("0.1"), useful_usd=zero, repairs_usd=zero,
        failed_attempts_usd=zero, discarded_usd=zero, estimated_charges=0, calls=calls,
        failed_calls=min(calls, 2), prompt_tokens=1, completion_tokens=1,
    )  # fmt: skip


def spent(*agents: AgentSpend) -> SpendReport:
    total = Totals(
        budget_usd=Decimal(9), spent_usd=Decimal(1), remaining_usd=Decimal(8),
        reserved_usd=Decimal(1), calls=1, failed_calls=0, prompt_tokens=1, completion_tokens=1,
    )  # fmt: skip
    return SpendReport(
        workflow_id="r1", agents=agents, total=total, ledger_usd=None,
        ledger_agrees=LedgerAgreement.OPEN, capabilities=Capabilities(),
    )  # fmt: skip


@pytest.mark.parametrize(("width", "height"), [(40, 10), (80, 12), (80, 24)])
def test_a_short_terminal_shows_what_waits_and_what_it_has_cost(width: int, height: int) -> None:
    waits = tuple(
        Waiting(subject=each, reason="no money", command=f"pay {each}", since=NOW) for each in "ab"
    )
    tasks = [task(each, TaskStatus.PARKED) for each in "abcdef"]
    spend = spent(*(agent(f"agent-{n}", AgentStatus.PARKED) for n in range(6)))
    picture = drawn(Snapshot(state(*tasks, waiting=waits), spend), width, height)
    assert len(picture) <= height
    text = "\n".join(picture)
    for expected in ("brief · working", "total 1.000000 of", "? a waits", "pay a", "? b", "pay b"):
        assert expected in text
    assert ("agent-0" in text) == (height >= 24)


def test_a_task_that_was_cancelled_has_its_own_mark() -> None:
    why = Failure(type="Cancelled", message="not needed")
    tasks = (
        task("a", TaskStatus.CANCELLED, failure=why),
        task("b", TaskStatus.FAILED, failure=why),
    )
    text = "\n".join(drawn(Snapshot(state(*tasks)), 80))
    assert "– a: Cancelled: not needed" in text
    assert "✗ b: Cancelled: not needed" in text


def test_a_row_is_not_left_out_for_a_line_that_says_so() -> None:
    for count in (7, 8, 9):
        spend = spent(*(agent(f"agent-{n}", AgentStatus.IDLE) for n in range(count)))
        text = "\n".join(drawn(Snapshot(state(task("a", TaskStatus.DONE)), spend), 80, 28))
        assert "1 more" not in text
        assert ("more agents" in text) == (count == 9)
        assert text.count("agent-") == (count if count < 9 else 7)


def test_the_agent_that_has_spent_the_most_is_named_where_it_has_no_row() -> None:
    agents = [agent(f"agent-{n}", AgentStatus.WORKING) for n in range(12)]
    agents[-1] = agents[-1].model_copy(update={"spent_usd": Decimal("0.5")})
    seen = state(task("a", TaskStatus.DONE))
    for order, expected in ((agents, True), (agents[::-1], False)):
        text = "\n".join(drawn(Snapshot(seen, spent(*order)), 80, 24))
        assert ("agents; agent-11 has spent the most, 0.500000 USD" in text) is expected


def test_a_running_task_shows_for_how_long() -> None:
    (line,) = [x for x in drawn(Snapshot(state(task("a", TaskStatus.RUNNING))), 80) if "▶ a" in x]
    assert "1 m 05 s" in line


def test_a_plan_higher_than_the_terminal_shows_running_tasks_and_counts_the_others() -> None:
    tasks = [task(f"t{n}", TaskStatus.DONE) for n in range(300)]
    tasks[277] = task("t277", TaskStatus.RUNNING)
    tasks[150] = task("t150", TaskStatus.FAILED, failure=REFUSED)
    picture = drawn(Snapshot(state(*tasks)), 80, height=24)
    text = "\n".join(picture)
    assert len(picture) <= 24
    assert "▶ t277" in text
    assert "✗ t150" in text
    assert "more tasks" in text


GRAPHS = st.lists(st.sets(st.integers(0, 30), max_size=4), max_size=30).map(
    lambda rows: [
        task(f"t{n}", TaskStatus.WAITING, *(f"t{d}" for d in sorted(after) if d < n))
        for n, after in enumerate(rows)
    ]
)


@given(GRAPHS, st.randoms())
def test_every_task_comes_after_its_dependencies(tasks: list[TaskState], order: object) -> None:
    order.shuffle(tasks)  # type: ignore[attr-defined]
    place = {one.id: n for n, (one, _) in enumerate(layered(tasks))}
    assert len(place) == len(tasks)
    deep = depths(tasks)
    for each in tasks:
        for before in each.depends_on:
            assert place[before] < place[each.id]
            assert deep[before] < deep[each.id]


def test_a_chain_of_a_thousand_tasks_is_layered() -> None:
    chain = [task(f"t{n}", TaskStatus.WAITING, f"t{n + 1}") for n in range(999)]
    assert depths([*chain, task("t999", TaskStatus.DONE)])["t0"] == 999
    assert len(fitting(layered(chain), 10)) == 10


@pytest.mark.parametrize(
    ("spent", "reserved", "budget", "drawn_as"),
    [
        ("0", "0", "1", "░░░░"),
        ("0.000001", "0", "1", "█░░░"),
        ("0.5", "0.25", "1", "██▒░"),
        ("0.999999", "0", "1", "███░"),
        ("1", "0", "1", "████"),
        ("0", "0", "0", "░░░░"),
    ],
)
def test_any_spending_is_visible_and_only_a_spent_budget_is_full(
    spent: str, reserved: str, budget: str, drawn_as: str
) -> None:
    assert bar(Decimal(spent), Decimal(reserved), Decimal(budget), 4).plain == drawn_as


async def test_on_a_terminal_a_run_is_drawn_and_ends_with_its_report(
    starter: Starter, world: FakeWorld
) -> None:
    shown = await _run_on_terminal(starter, run := new_id(), TERM="xterm-256color")
    assert "\x1b[" in shown, "drawn, not printed"
    assert "✓ text" in shown
    assert "answer of answer" in shown
    assert f"run {run}: completed" in shown


async def test_a_dumb_terminal_gets_plain_lines(starter: Starter, world: FakeWorld) -> None:
    shown = await _run_on_terminal(starter, run := new_id(), TERM="dumb")
    assert "\x1b[" not in shown
    assert "facts (research): done" in shown
    assert f"run {run}: completed" in shown


async def _run_on_terminal(starter: Starter, run: str, **environment: str) -> str:
    """All output to the terminal."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "starter.py"), "run", starter.team(), "--id", run,
        env=starter.environment(COLUMNS="100", LINES="40", **environment),
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = await asyncio.wait_for(asyncio.to_thread(_read_all, ours), 60)
    assert await process.wait() == 0
    return shown


def _read_all(descriptor: int) -> str:
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # Linux says so when the other end is closed
            part = b""
        if not part:
            os.close(descriptor)
            return b"".join(parts).decode(errors="replace")
        parts.append(part)
