"""The live view of a run on a terminal: tasks, agents, failures, and what waits."""

import sys
from datetime import datetime
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from durable_agent_team.cli.output import elapsed, flat, usd, utc_minute
from durable_agent_team.cli.ui.live_tables import GLYPHS, agent_table, task_table
from durable_agent_team.cli.ui.retry_text import retrying_text
from durable_agent_team.cli.ui.run_tables import (
    failure_text,
    tool_call_text,
    waiting_text,
)
from durable_agent_team.cli.ui.spend_table import possibly_billed_text
from durable_agent_team.cli.ui.watch_run import Snapshot
from durable_agent_team.cli.word_wrap import cells, clip_words, wrap_line
from durable_agent_team.contracts.conversation_view import ToolCallStatus
from durable_agent_team.contracts.run import (
    Failure,
    RunReport,
    RunState,
    RunStatus,
    TaskState,
    TaskStatus,
)
from durable_agent_team.contracts.spend import SpendReport
from durable_agent_team.rules import safe_text
from durable_agent_team.rules.counts import counted, more

STATUS_STYLES = {
    RunStatus.COMPLETED: "bold green",
    RunStatus.FAILED: "bold red",
    RunStatus.TERMINATED: "bold red",
    RunStatus.TIMED_OUT: "bold red",
    RunStatus.CANCELLED: "bold yellow",
}


IN_WORK = (ToolCallStatus.RUNNING, ToolCallStatus.READY)
"""Calls of tools that wait for nobody; the others are listed with what waits."""
MOST_NOTES = 5
LEAST_TABLE = 8
"""Lines that notes leave to the tasks."""
SHORT_TABLE = 6
"""Lines of three tasks: in a terminal without room for them and the agents, these are left out."""
INDENT = "  "
Note = tuple[str, str, str]
"""A text, its style, and the command that answers it, if there is one."""


class LiveView:
    """Draws the last snapshot four times a second, so that durations count up."""

    def __init__(self, run: str, since: datetime, console: Console | None = None) -> None:
        self._run = safe_text.one_line(run)
        self._seen = Snapshot()
        self._ended: datetime | None = None
        self._above: set[str] = set()
        """The commands that are above what is drawn."""
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

    def show(self, seen: Snapshot) -> None:
        """Draws this snapshot from now on. A command that is wider than the terminal is printed
        above, where the terminal itself breaks the line, so that it can be copied as one."""
        for each in seen.state.waiting[:MOST_NOTES] if seen.state else ():
            command = waiting_text(each)[1]
            if not self._fits(command) and command not in self._above:
                self._above.add(command)
                self.print_above(f"{each.subject} waits; to answer:\n{command}")
        self._seen = seen

    def print_above(self, text: str) -> None:
        """Prints a text once, above what is drawn. It stays there."""
        shown = Text(safe_text.terminal_text(text))
        self._live.console.print(shown, soft_wrap=True, markup=False, highlight=False)

    def _fits(self, command: str) -> bool:
        return cells(command) + len(INDENT) <= self._console.size.width

    def end(self, state: RunState, report: RunReport) -> None:
        """Draws the end of the run."""
        self._since, self._ended = report.started_at, report.ended_at
        self._seen = Snapshot(state, report.spend)

    def render(self) -> RenderableType:
        """The view, fitted to the size of the terminal."""
        state, spend = self._seen.state, self._seen.spend
        width, height = self._console.size
        trouble = _wrapped(f"! {self._seen.trouble}", "bold yellow", width, 2)
        trouble = trouble if self._seen.trouble else []
        if state is None:
            return Group(
                *_wrapped(f"run {self._run}: waiting for its first state", "", width, 2), *trouble
            )
        head = self._head(state, width)
        money = _totals(spend, width) if spend is not None else []
        agents = min(len(spend.agents) + 2, max(3, height // 4) + 3) if spend is not None else 0
        lines = height - len(head) - len(money) - len(trouble)
        notes = self._notes(state, width, lines - agents - LEAST_TABLE)
        if spend is not None and lines - agents - len(notes) < SHORT_TABLE:
            # What waits, and what it has cost, before the agents and then the tasks.
            spend, agents = None, 0
            notes = self._notes(state, width, lines - SHORT_TABLE)
        tasks = lines - agents - len(notes) - 3
        parts: list[RenderableType] = [*head]
        if tasks > 0:
            parts.append(task_table(state, tasks, width, self._ended))
        if spend is not None:
            parts += [Text(), agent_table(spend, max(3, height // 4), width)]
        return Group(*parts, *money, *trouble, *notes)

    def _head(self, state: RunState, width: int) -> list[Text]:
        done = sum(task.status is TaskStatus.DONE for task in state.tasks)
        parts = [(safe_text.one_line(state.team), "bold")]
        parts.append((state.status.value, STATUS_STYLES.get(state.status, "bold cyan")))
        if state.paused:
            parts.append(("paused", "bold yellow"))
        if state.tasks:
            parts.append((f"{done} of {state.tasks_total} done", "bold"))
        if state.deadline is not None:
            parts.append((f"until {utc_minute(state.deadline)}", "yellow"))
        parts.append((elapsed(self._since, self._ended), "dim"))
        parts.append((f"run {self._run}", "dim"))
        return [
            *_joined(parts, width),
            Text(clip_words(safe_text.one_line(flat(state.goal)), width), "italic"),
        ]

    def _notes(self, state: RunState, width: int, room: int) -> list[Text]:
        """What failed, is attempted again or waits: in full where there is room for it."""
        for most in (3, 2, 1):
            notes = [line for note in _notes(state) for line in self._note(note, width, most)]
            if len(notes) <= room:
                break
        return notes

    def _note(self, note: Note, width: int, most: int) -> list[Text]:
        text, style, command = note
        lines = _wrapped(text, style, width, most)
        if command and self._fits(command):
            lines.append(Text(f"{INDENT}{command}", "yellow", no_wrap=True))
        elif command:
            lines.append(Text(f"{INDENT}its command is above, and in `state`", "yellow"))
        return lines


def _joined(parts: list[tuple[str, str]], width: int) -> list[Text]:
    """The parts with dots between them, on as many lines as they need."""
    lines = [Text(no_wrap=True, overflow="ellipsis")]
    for text, style in parts:
        if lines[-1] and cells(lines[-1].plain) + 3 + cells(text) > width:
            lines.append(Text(no_wrap=True, overflow="ellipsis"))
        if lines[-1]:
            lines[-1].append(" · ", "dim")
        lines[-1].append(text, style)
    return lines


def _wrapped(text: str, style: str, width: int, most: int) -> list[Text]:
    """Lines broken between words, at most this many; what is left out is marked."""
    lines = wrap_line(safe_text.one_line(flat(text)), width, INDENT)
    if len(lines) > most:
        rest = " ".join(each.strip() for each in lines[most - 1 :])
        indent = INDENT if most > 1 else ""
        lines = [*lines[: most - 1], indent + clip_words(rest, width - len(indent))]
    return [Text(line, style, no_wrap=True, overflow="ellipsis") for line in lines]


def _totals(spend: SpendReport, width: int) -> list[Text]:
    total = spend.total
    calls = counted(total.calls, "call")
    text = f"total {usd(total.spent_usd)} of {usd(total.budget_usd)} USD in {calls}"
    if total.tools_usd:
        text += f" ({usd(total.tools_usd)} for tools)"
    if total.reserved_usd:
        text += f", {usd(total.reserved_usd)} reserved"
    lines = _wrapped(text, "bold", width, 2)
    if total.possibly_billed_calls:
        given_up = possibly_billed_text(total.possibly_billed_calls, total.possibly_billed_usd)
        lines += _wrapped(given_up, "bold yellow", width, 2)
    return lines


def _notes(state: RunState) -> list[Note]:
    failed = [_failure(task, task.failure) for task in state.tasks if task.failure]
    if state.failure:
        failed.append((f"✗ the run: {failure_text(state.failure)}", "red", ""))
    notes: list[Note] = failed[:MOST_NOTES]
    notes += _more(len(failed), "failure", "failures", "red")
    if state.cancel_reason is not None:
        notes.append((f"cancelled: {state.cancel_reason}", "yellow", ""))
    notes += [(f"~ {retrying_text(call)}", "yellow", "") for call in state.retrying[:MOST_NOTES]]
    notes += _more(len(state.retrying), "is attempted again", "are attempted again", "yellow")
    running = [each for each in state.tool_calls if each.status in IN_WORK]
    notes += [(f"» {tool_call_text(call)}", "cyan", "") for call in running[:MOST_NOTES]]
    notes += _more(len(running), "call of a tool", "calls of tools", "cyan")
    for each in state.waiting[:MOST_NOTES]:
        why, how = waiting_text(each)
        notes.append((f"? {why}", "bold yellow", how))
    return notes + _more(len(state.waiting), "waits", "wait", "bold yellow")


def _failure(task: TaskState, failure: Failure) -> Note:
    """With the mark of its row: what a person cancelled has not failed."""
    glyph, style = GLYPHS[task.status]
    return f"{glyph} {task.id}: {failure_text(failure)}", style.removeprefix("bold "), ""


def _more(count: int, one: str, many: str, style: str) -> list[Note]:
    left = count - MOST_NOTES
    return [(f"… and {more(left, one, many)}", style, "")] if left > 0 else []
