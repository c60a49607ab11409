"""The tables of the live view: tasks and agents, fitted to the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from durable_agent_team.cli.output import elapsed, usd
from durable_agent_team.cli.ui.graph_layers import fitting, layered
from durable_agent_team.cli.ui.run_tables import after_text
from durable_agent_team.contracts.run import RunState, TaskState, TaskStatus
from durable_agent_team.contracts.spend import AgentSpend, AgentStatus, SpendReport
from durable_agent_team.rules.safe_text import one_line as escaped

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
STUCK = (AgentStatus.EXHAUSTED, AgentStatus.PARKED)
BAR = 12


@dataclass(frozen=True)
class Column:
    """One column of a table, and the width of the terminal from which it is shown."""

    head: str
    from_width: int = 0
    figures: bool = False
    shrinks: bool = False
    style: str = ""


TASK_COLUMNS = (
    Column("task", shrinks=True),
    Column("agent", 64, shrinks=True),
    Column("state"),
    Column("time", 48, figures=True),
    Column("calls", 64, figures=True),
    Column("USD", figures=True),
    Column("after", 100, shrinks=True, style="dim"),
)
AGENT_COLUMNS = (
    Column("agent", shrinks=True),
    Column("spent of budget", 76),
    Column("USD", figures=True),
    Column("of", figures=True),
    Column("calls", 60, figures=True),
    Column("state", 48),
)


def task_table(state: RunState, room: int, width: int, ended: datetime | None) -> RenderableType:
    """The most urgent tasks, at most `room` of them, indented by their depth."""
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
        one_line(f"{glyph} {task.id}", style, indent="  " * min(depth, 6)),
        one_line(task.agent),
        Text("reused" if task.reused_from is not None else task.status.value, style),
        Text(elapsed(task.started_at, task.ended_at or ended)),
        Text(str(task.calls) if task.calls else ""),
        Text(usd(task.spent_usd) if task.spent_usd else ""),
        one_line(after_text(task)),
    ]


def _table(columns: Sequence[Column], width: int) -> Table:
    """On a narrow terminal names shrink first, then whole columns are left out."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for each in columns:
        if width >= each.from_width:
            table.add_column(
                each.head,
                justify="right" if each.figures else "left",
                no_wrap=not each.shrinks,
                overflow="ellipsis",
                style=each.style,
            )
    return table


def _add(table: Table, columns: Sequence[Column], width: int, cells: Sequence[Text]) -> None:
    pairs = zip(columns, cells, strict=True)
    table.add_row(*(cell for column, cell in pairs if width >= column.from_width))


def one_line(text: str, style: str = "", indent: str = "") -> Text:
    """One line that rich clips at its column: it knows the characters that take two cells.

    Rich writes control characters as they are, so they are escaped here."""
    flat = escaped(" ".join(text.split()))
    return Text(f"{indent}{flat}", style, no_wrap=True, overflow="ellipsis")


def agent_table(spend: SpendReport, room: int, width: int) -> RenderableType:
    """The agents that need attention first, at most `room` of them, with their spend."""
    order = sorted(spend.agents, key=_urgency)
    table = _table(AGENT_COLUMNS, width)
    for agent in order[:room]:
        _add(table, AGENT_COLUMNS, width, _agent_row(agent))
    if len(order) > room:
        return Group(table, Text(f"… and {len(order) - room} more agents", "dim"))
    return table


def _urgency(agent: AgentSpend) -> int:
    """Stuck agents first, then those at work, then those without a call."""
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
        one_line(agent.agent),
        bar(agent.spent_usd, agent.reserved_usd, agent.budget_usd),
        Text(usd(agent.spent_usd)),
        Text(usd(agent.budget_usd), "dim"),
        Text(calls, "red" if agent.failed_calls else ""),
        Text(agent.status.value, "bold red" if agent.status in STUCK else ""),
    ]


def bar(spent: Decimal, reserved: Decimal, budget: Decimal, width: int = BAR) -> Text:
    """Spent, reserved and left. Any spending is visible, and only a spent budget is full."""
    share = Decimal(width) / budget if budget else Decimal(0)
    full = min(width, max(int(spent * share), 1 if spent else 0))
    if spent < budget:
        full = min(full, width - 1)
    held = min(width - full, max(int(reserved * share), 1 if reserved else 0))
    text = Text("█" * full, "green" if spent * 10 < budget * 8 else "red")
    text.append("▒" * held, "yellow")
    text.append("░" * (width - full - held), "dim")
    return text
