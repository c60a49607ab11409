"""The live view of a run on a terminal: tasks, agents, failures, and what waits."""

import sys
from datetime import datetime
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from durable_agent_team.cli.output import elapsed, usd, utc_minute
from durable_agent_team.cli.ui.live_tables import agent_table, one_line, task_table
from durable_agent_team.cli.ui.retry_text import retrying_text
from durable_agent_team.cli.ui.run_tables import (
    failure_lines,
    failure_text,
    possibly_billed_text,
    waiting_text,
)
from durable_agent_team.cli.ui.watch_run import Snapshot
from durable_agent_team.contracts.run import RunReport, RunState, RunStatus
from durable_agent_team.contracts.spend import SpendReport
from durable_agent_team.rules import safe_text

STATUS_STYLES = {
    RunStatus.COMPLETED: "bold green",
    RunStatus.FAILED: "bold red",
    RunStatus.TERMINATED: "bold red",
    RunStatus.TIMED_OUT: "bold red",
    RunStatus.CANCELLED: "bold yellow",
}


class LiveView:
    """Draws the last snapshot four times a second, so that durations count up."""

    def __init__(self, run: str, since: datetime, console: Console | None = None) -> None:
        self._run = safe_text.one_line(run)
        self._seen = Snapshot()
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

    def show(self, seen: Snapshot) -> None:
        """Draws this snapshot from now on."""
        self._seen = seen

    def end(self, state: RunState, report: RunReport) -> None:
        """Draws the end of the run."""
        self._since, self._ended = report.started_at, report.ended_at
        self._seen = Snapshot(state, report.spend)

    def render(self) -> RenderableType:
        """The view, fitted to the size of the terminal."""
        state, spend = self._seen.state, self._seen.spend
        trouble = [Text(f"! {self._seen.trouble}", "bold yellow")] if self._seen.trouble else []
        if state is None:
            return Group(Text(f"run {self._run}: waiting for its first state"), *trouble)
        width, height = self._console.size
        below: list[RenderableType] = [*trouble, *_notes(state)]
        if spend is not None:
            below = [
                Text(),
                agent_table(spend, max(3, height // 3), width),
                *_totals(spend),
                *below,
            ]
        taken = 5 + len(below) + (min(len(spend.agents), max(3, height // 3)) if spend else 0)
        tasks = task_table(state, max(3, height - taken), width, self._ended)
        return Group(*self._head(state, width), tasks, *below)

    def _head(self, state: RunState, width: int) -> list[RenderableType]:
        took = elapsed(self._since, self._ended)
        head = Text(f"{safe_text.one_line(state.team)} · ", "bold")
        head.append(state.status.value, STATUS_STYLES.get(state.status, "bold cyan"))
        if state.paused:
            head.append(" · paused", "bold yellow")
        if state.deadline is not None:
            head.append(f" · until {utc_minute(state.deadline)}", "yellow")
        head.append(f" · {took} · run {self._run}", "dim")
        head.truncate(width)
        return [head, one_line(state.goal, "italic")]


def _totals(spend: SpendReport) -> list[RenderableType]:
    total = spend.total
    calls = f"{total.calls} call{'s' if total.calls != 1 else ''}"
    text = f"total {usd(total.spent_usd)} of {usd(total.budget_usd)} USD in {calls}"
    if total.reserved_usd:
        text += f", {usd(total.reserved_usd)} reserved"
    lines: list[RenderableType] = [Text(text, "bold")]
    if total.possibly_billed_calls:
        given_up = possibly_billed_text(total.possibly_billed_calls, total.possibly_billed_usd)
        lines.append(one_line(given_up, "bold yellow"))
    return lines


def _notes(state: RunState) -> list[RenderableType]:
    failed = failure_lines(state.tasks)
    if state.failure:
        failed.append(f"the run: {failure_text(state.failure)}")
    lines: list[RenderableType] = [one_line(f"✗ {line}", "red") for line in failed[:5]]
    if len(failed) > 5:
        lines.append(Text(f"… and {len(failed) - 5} more failures", "red"))
    if state.cancel_reason is not None:
        lines.append(one_line(f"cancelled: {state.cancel_reason}", "yellow"))
    for call in state.retrying[:5]:
        lines.append(one_line(f"~ {retrying_text(call)}", "yellow"))
    if len(state.retrying) > 5:
        lines.append(Text(f"… and {len(state.retrying) - 5} more are attempted again", "yellow"))
    for each in state.waiting[:5]:
        why, how = waiting_text(each)
        lines.append(one_line(f"? {why}", "bold yellow"))
        lines.append(Text(f"  {safe_text.one_line(how)}", "yellow"))
    if len(state.waiting) > 5:
        lines.append(Text(f"… and {len(state.waiting) - 5} more wait", "bold yellow"))
    return lines
