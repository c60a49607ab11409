"""The live view on a terminal: the graph, the agents' money, what failed, what waits."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from durable_agent_team.cli.output import elapsed, usd, utc_minute
from durable_agent_team.cli.ui.graph_layers import fitting, layered
from durable_agent_team.cli.ui.run_tables import (
    after_text,
    failure_lines,
    failure_text,
    waiting_text,
)
from durable_agent_team.cli.ui.watch_run import Snapshot
from durable_agent_team.contracts.run import RunReport, RunState, RunStatus, TaskState, TaskStatus
from durable_agent_team.contracts.spend import AgentSpend, AgentStatus, SpendReport

GLYPHS = {
    TaskStatus.WAITING: ("·", "dim"),
    TaskStatus.READY: ("○", "cyan"),
    TaskStatus.RUNNING: ("▶", "bold cyan"),
    TaskStatus.PARKED: ("‖", "bold yellow"),
    TaskStatus.DONE: ("✓", "green"),
    TaskStatus.SKIPPED: ("»", "yellow"),
    TaskStatus.FAILED: ("✗", "bold red"),
    TaskStatus.BLOCKED: ("⊘", "red"),
    TaskStatus.CANCELLED: ("–", "yellow"),
}
STATUS_STYLES = {
    RunStatus.COMPLETED: "bold green",
    RunStatus.FAILED: "bold red",
    RunStatus.TERMINATED: "bold red",
    RunStatus.TIMED_OUT: "bold red",
    RunStatus.CANCELLED: "bold yellow",
}
STUCK = (AgentStatus.EXHAUSTED, AgentStatus.PARKED)
BAR = 12


@dataclass(frozen=True)
class Column:
    """One column of a table, and how wide the terminal must be to have it."""

    head: str
    from_width: int = 0
    figures: bool = False
    gives_way: bool = False
    style: str = ""


TASK_COLUMNS = (
    Column("task", gives_way=True),
    Column("agent", 64, gives_way=True),
    Column("state"),
    Column("time", 48, figures=True),
    Column("calls", 64, figures=True),
    Column("USD", figures=True),
    Column("after", 100, gives_way=True, style="dim"),
)
AGENT_COLUMNS = (
    Column("agent", gives_way=True),
    Column("spent of budget", 76),
    Column("USD", figures=True),
    Column("of", figures=True),
    Column("calls", 60, figures=True),
    Column("state", 48),
)


class LiveView:
    """Draws what a viewer sees, four times a second, so that durations run."""

    def __init__(self, run: str, since: datetime, console: Console | None = None) -> None:
        self._run = run
        self._sight = Snapshot()
        self._ended: datetime | None = None
        self._since = since
        self._console = console or Console(file=sys.stdout)
        self._live = Live(
            console=self._console,
            get_renderable=self.render,
            refresh_per_second=4,
            vertical_overflow="crop",
        )

    def __enter__(self) -> "LiveView":
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, sight: Snapshot) -> None:
        """What is seen from now on."""
        self._sight = sight

    def end(self, state: RunState, report: RunReport) -> None:
        """The last picture: how it ended."""
        self._since, self._ended = report.started_at, report.ended_at
        self._sight = Snapshot(state, report.spend)

    def render(self) -> RenderableType:
        """The whole picture, fitted to the terminal."""
        state, spend = self._sight.state, self._sight.spend
        trouble = [Text(f"! {self._sight.trouble}", "bold yellow")] if self._sight.trouble else []
        if state is None:
            return Group(Text(f"run {self._run}: waiting for its first news"), *trouble)
        width, height = self._console.size
        below: list[RenderableType] = [*trouble, *_notes(state)]
        if spend is not None:
            below = [Text(), _agents(spend, max(3, height // 3), width), _total(spend), *below]
        taken = 5 + len(below) + (min(len(spend.agents), max(3, height // 3)) if spend else 0)
        tasks = _tasks(state, max(3, height - taken), width, self._ended)
        return Group(*self._head(state, width), tasks, *below)

    def _head(self, state: RunState, width: int) -> list[RenderableType]:
        took = elapsed(self._since, self._ended)
        head = Text(f"{state.team} · ", "bold")
        head.append(state.status.value, STATUS_STYLES.get(state.status, "bold cyan"))
        if state.paused:
            head.append(" · paused", "bold yellow")
        if state.deadline is not None:
            head.append(f" · until {utc_minute(state.deadline)}", "yellow")
        head.append(f" · {took} · run {self._run}", "dim")
        head.truncate(width)
        return [head, _line(state.goal, "italic")]


def _tasks(state: RunState, room: int, width: int, ended: datetime | None) -> RenderableType:
    if not state.tasks:
        return Text("no tasks yet: the orchestrator plans them", "dim")
    rows = layered(state.tasks)
    shown = fitting(rows, room)
    table = _table(TASK_COLUMNS, width)
    for task, depth in shown:
        _add(table, TASK_COLUMNS, width, _task_row(task, depth, ended))
    if len(shown) < len(rows):
        return Group(table, Text(f"… and {len(rows) - len(shown)} more tasks", "dim"))
    return table


def _task_row(task: TaskState, depth: int, ended: datetime | None) -> list[Text]:
    glyph, style = GLYPHS[task.status]
    return [
        _line(f"{glyph} {task.id}", style, indent="  " * min(depth, 6)),
        _line(task.agent),
        Text(task.status.value, style),
        Text(elapsed(task.started_at, task.ended_at or ended)),
        Text(str(task.calls) if task.calls else ""),
        Text(usd(task.spent_usd) if task.spent_usd else ""),
        _line(after_text(task)),
    ]


def _table(columns: Sequence[Column], width: int) -> Table:
    """Where room is short the names give way to the figures; then whole columns do."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for each in columns:
        if width >= each.from_width:
            table.add_column(
                each.head,
                justify="right" if each.figures else "left",
                no_wrap=not each.gives_way,
                overflow="ellipsis",
                style=each.style,
            )
    return table


def _add(table: Table, columns: Sequence[Column], width: int, cells: Sequence[Text]) -> None:
    pairs = zip(columns, cells, strict=True)
    table.add_row(*(cell for column, cell in pairs if width >= column.from_width))


def _line(text: str, style: str = "", indent: str = "") -> Text:
    """One line, cut where its place ends: some characters take two columns."""
    flat = " ".join(text.split())
    return Text(f"{indent}{flat}", style, no_wrap=True, overflow="ellipsis")


def _agents(spend: SpendReport, room: int, width: int) -> RenderableType:
    order = sorted(spend.agents, key=_calm)
    table = _table(AGENT_COLUMNS, width)
    for agent in order[:room]:
        _add(table, AGENT_COLUMNS, width, _agent_row(agent))
    if len(order) > room:
        return Group(table, Text(f"… and {len(order) - room} more agents", "dim"))
    return table


def _calm(agent: AgentSpend) -> int:
    """What needs a look comes first, also where there is no room for all."""
    if agent.status in STUCK:
        return 0
    if agent.status == AgentStatus.WORKING:
        return 1
    return 3 if agent.status == AgentStatus.IDLE and not agent.calls else 2


def _agent_row(agent: AgentSpend) -> list[Text]:
    calls = str(agent.calls)
    if agent.failed_calls:
        calls += f" ({agent.failed_calls} failed)"
    return [
        _line(agent.agent),
        bar(agent.spent_usd, agent.reserved_usd, agent.budget_usd),
        Text(usd(agent.spent_usd)),
        Text(usd(agent.budget_usd), "dim"),
        Text(calls, "red" if agent.failed_calls else ""),
        Text(agent.status.value, "bold red" if agent.status in STUCK else ""),
    ]


def bar(spent: Decimal, reserved: Decimal, budget: Decimal, width: int = BAR) -> Text:
    """Spent, held by calls in flight, left: any spending shows, and only all of it is full."""
    share = Decimal(width) / budget if budget else Decimal(0)
    full = min(width, max(int(spent * share), 1 if spent else 0))
    if spent < budget:
        full = min(full, width - 1)
    held = min(width - full, max(int(reserved * share), 1 if reserved else 0))
    text = Text("█" * full, "green" if spent * 10 < budget * 8 else "red")
    text.append("▒" * held, "yellow")
    text.append("░" * (width - full - held), "dim")
    return text


def _total(spend: SpendReport) -> Text:
    total = spend.total
    calls = f"{total.calls} call{'s' if total.calls != 1 else ''}"
    text = f"total {usd(total.spent_usd)} of {usd(total.budget_usd)} USD in {calls}"
    if total.reserved_usd:
        text += f", {usd(total.reserved_usd)} reserved"
    return Text(text, "bold")


def _notes(state: RunState) -> list[RenderableType]:
    failed = failure_lines(state.tasks)
    if state.failure:
        failed.append(f"the run: {failure_text(state.failure)}")
    lines: list[RenderableType] = [_line(f"✗ {line}", "red") for line in failed[:5]]
    if len(failed) > 5:
        lines.append(Text(f"… and {len(failed) - 5} more failures", "red"))
    if state.cancel_reason is not None:
        lines.append(_line(f"cancelled: {state.cancel_reason}", "yellow"))
    for each in state.waiting[:5]:
        why, how = waiting_text(each)
        lines.append(_line(f"? {why}", "bold yellow"))
        lines.append(Text(f"  {how}", "yellow"))
    if len(state.waiting) > 5:
        lines.append(Text(f"… and {len(state.waiting) - 5} more wait", "bold yellow"))
    return lines
