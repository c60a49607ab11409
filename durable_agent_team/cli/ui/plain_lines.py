"""Following a run without a terminal, with one line for each change."""

from datetime import UTC, datetime

from durable_agent_team.cli.output import elapsed, flat, usd, utc_minute
from durable_agent_team.cli.ui.retry_text import retrying_text
from durable_agent_team.cli.ui.run_tables import failure_text, waiting_text
from durable_agent_team.contracts.run import RunState, RunStatus, TaskState, TaskStatus
from durable_agent_team.process.called_program import as_called
from durable_agent_team.rules.counts import counted

QUIET = {TaskStatus.WAITING, TaskStatus.READY}
"""Every task begins with these: not worth a line."""


class PlainLines:
    """Compares each state with the one before."""

    def __init__(self) -> None:
        self._status: RunStatus | None = None
        self._paused = False
        self._deadline: datetime | None = None
        self._tasks: dict[str, TaskStatus] = {}
        self._waiting: set[tuple[str, datetime]] = set()
        self._refused = 0
        self._retrying: set[tuple[str, int]] = set()

    def changes(self, state: RunState) -> list[str]:
        """What this state changes, a line each, with the time of day (UTC)."""
        lines = [line for task in state.tasks for line in self._task(task)]
        if state.status != self._status:
            self._status = state.status
            lines.insert(0, f"{state.team}: {state.status}")
        if state.paused != self._paused:
            self._paused = state.paused
            lines.append("paused: no new call starts" if state.paused else "resumed")
        if state.deadline != self._deadline:
            self._deadline = state.deadline
            lines.append(_deadline_line(state.deadline))
        lines += self._attempts(state)
        for each in state.waiting:
            if (each.subject, each.since) not in self._waiting:
                why, how = waiting_text(each)
                lines += [why, f"  to wake it: {how}"]
        self._waiting = {(each.subject, each.since) for each in state.waiting}
        new = state.refusals[self._refused :]
        lines += [f"refused {each.message}: {as_called(flat(each.problem))}" for each in new]
        self._refused = len(state.refusals)
        return [f"{datetime.now(UTC):%H:%M:%S} {line}" for line in lines]

    def _attempts(self, state: RunState) -> list[str]:
        """Calls that wait for another attempt; the attempts themselves are not worth a line."""
        before = self._retrying
        now = {
            (each.subject, each.attempt): each
            for each in state.retrying
            if each.next_at is not None
        }
        self._retrying = set(now)
        return [retrying_text(each) for key, each in now.items() if key not in before]

    def _task(self, task: TaskState) -> list[str]:
        before = self._tasks.get(task.id)
        self._tasks[task.id] = task.status
        if task.status == before or (before is None and task.status in QUIET):
            return []
        text = f"{task.id} ({task.agent}): {task.status}"
        if task.reused_from is not None:
            text += f", taken over from {flat(task.reused_from)}, {usd(task.reused_usd)} USD there"
        elif task.status == TaskStatus.DONE:
            text += f" in {elapsed(task.started_at, task.ended_at)}"
            text += f", {counted(task.calls, 'call')}, {usd(task.spent_usd)} USD"
        elif task.failure:
            text += f": {flat(failure_text(task.failure))}"
        return [text]


def _deadline_line(deadline: datetime | None) -> str:
    if deadline is None:
        return "the deadline was removed"
    return f"nothing new starts after {utc_minute(deadline)}"
