"""The tables of the live view: tasks and agents, fitted to the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from durable_agent_team.cli.output import clip_middle, usd
from durable_agent_team.cli.ui.graph_layers import fitting, layered
from durable_agent_team.cli.ui.run_tables import after_text, task_time
from durable_agent_team.cli.word_wrap import clip_words
from durable_agent_team.contracts.run import RunState, TaskState, TaskStatus
from durable_agent_team.contracts.spend import AgentSpend, AgentStatus, SpendReport
from durable_agent_team.rules.counts import more
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
MAX_ID, LEAST_ID = 40, 8
"""Letters of a task's id: the most that there are, and those of a very narrow terminal."""
GLYPH_SPACE = "✓ "
AFTER = 16
"""Columns that the dependencies need at least, and where they begin about."""
AFTER_FROM = 80


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
    shown = fitting(rows, _with_last(len(rows), room))
    columns, step, room_of_id = _fitted(shown, width, ended)
    table = _table(columns, width)
    for task, depth in shown:
        cells_of = _task_row(task, depth * step, ended, columns, width, room_of_id)
        _add(table, columns, width, cells_of)
    if len(shown) < len(rows):
        return Group(table, Text(f"… and {more(len(rows) - len(shown), 'task', 'tasks')}", "dim"))
    return table


def _with_last(count: int, room: int) -> int:
    """One row more where only one is left out: it takes the line that would say so."""
    return count if count == room + 1 else room


def _fitted(
    rows: Sequence[tuple[TaskState, int]], width: int, ended: datetime | None
) -> tuple[tuple[Column, ...], int, int]:
    """The columns to show, the spaces for each step of depth, and the letters of an id. Ids are
    whole wherever a smaller indent, or a table without agents and calls, leaves room for that."""
    kept = tuple(each for each in TASK_COLUMNS if width >= each.from_width)
    for dropped in ((), ("agent",), ("agent", "calls")):
        columns = tuple(each for each in kept if each.head not in dropped)
        for step in (2, 1, 0):
            cells_of = [_task_row(task, depth * step, ended, columns) for task, depth in rows]
            fixed = [n for n, each in enumerate(columns) if each.head != "after"]
            needed = [max((row[n].cell_len for row in cells_of), default=0) for n in fixed]
            heads = [len(columns[n].head) for n in fixed]
            spare = 2 * len(fixed) - 2 + (AFTER if len(fixed) < len(columns) else 0)
            over = sum(map(max, needed, heads)) + spare - width
            if over <= 0:
                return columns, step, MAX_ID
    return columns, 0, max(needed[0] - len(GLYPH_SPACE) - over, LEAST_ID)


def _task_row(
    task: TaskState,
    indent: int,
    ended: datetime | None,
    columns: Sequence[Column],
    width: int = 0,
    room_of_id: int = MAX_ID,
) -> list[Text]:
    """`indent` in spaces. Of the dependencies, as many names as fit whole."""
    glyph, style = GLYPHS[task.status]
    cells = [
        one_line(
            f"{glyph} {clip_middle(task.id, room_of_id)}", style, indent=" " * min(indent, 12)
        ),
        one_line(task.agent),
        Text("reused" if task.reused_from is not None else task.step or task.status.value, style),
        Text(task_time(task, ended)),
        Text(str(task.calls) if task.calls else ""),
        Text(usd(task.spent_usd) if task.spent_usd else ""),
        one_line(clip_words(after_text(task), max(width - AFTER_FROM, AFTER)) if width else ""),
    ]
    heads = [each.head for each in columns]
    return [cell for cell, each in zip(cells, TASK_COLUMNS, strict=True) if each.head in heads]


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
    room = _with_last(len(order), room)
    table = _table(AGENT_COLUMNS, width)
    for agent in order[:room]:
        _add(table, AGENT_COLUMNS, width, _agent_row(agent))
    if len(order) > room:
        return Group(table, one_line(_left_out(order[:room], order[room:]), "dim"))
    return table


def _left_out(shown: Sequence[AgentSpend], others: Sequence[AgentSpend]) -> str:
    """How many agents have no row, and the one of them that has spent more than any other agent."""
    text = f"… and {more(len(others), 'agent', 'agents')}"
    most = max(others, key=lambda each: each.spent_usd)
    if most.spent_usd > max(each.spent_usd for each in shown):
        text += f"; {most.agent} has spent the most, {usd(most.spent_usd)} USD"
    return text


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
