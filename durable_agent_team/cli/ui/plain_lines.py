"""Following without a terminal: one line for each thing that is new."""

from datetime import UTC, datetime

from durable_agent_team.cli.output import elapsed, usd, utc_minute
from durable_agent_team.cli.ui.run_tables import failure_text, waiting_text
from durable_agent_team.contracts.run import RunState, RunStatus, TaskState, TaskStatus

QUIET = {TaskStatus.WAITING, TaskStatus.READY}
"""Where every task begins: no news."""


class PlainLines:
    """Remembers what it said, and says what is new."""

    def __init__(self) -> None:
        self._status: RunStatus | None = None
        self._paused = False
        self._until: datetime | None = None
        self._tasks: dict[str, TaskStatus] = {}
        self._asked: set[tuple[str, datetime]] = set()
        self._refused = 0

    def news(self, state: RunState) -> list[str]:
        """The lines that this state adds, each with the time of day (UTC)."""
        lines = [line for task in state.tasks for line in self._task(task)]
        if state.status != self._status:
            self._status = state.status
            lines.insert(0, f"{state.team}: {state.status}")
        if state.paused != self._paused:
            self._paused = state.paused
            lines.append("paused: no new call starts" if state.paused else "goes on")
        if state.deadline != self._until:
            self._until = state.deadline
            lines.append(_until(state.deadline))
        for each in state.waiting:
            if (each.subject, each.since) not in self._asked:
                why, how = waiting_text(each)
                lines += [why, f"  to wake it: {how}"]
        self._asked = {(each.subject, each.since) for each in state.waiting}
        new = state.refusals[self._refused :]
        lines += [f"refused {each.message}: {each.problem}" for each in new]
        self._refused = len(state.refusals)
        return [f"{datetime.now(UTC):%H:%M:%S} {line}" for line in lines]

    def _task(self, task: TaskState) -> list[str]:
        before = self._tasks.get(task.id)
        self._tasks[task.id] = task.status
        if task.status == before or (before is None and task.status in QUIET):
            return []
        text = f"{task.id} ({task.agent}): {task.status}"
        if task.status == TaskStatus.DONE:
            text += f" in {elapsed(task.started_at, task.ended_at)}"
            text += (
                f", {task.calls} call{'s' if task.calls != 1 else ''}, {usd(task.spent_usd)} USD"
            )
        elif task.failure:
            text += f": {failure_text(task.failure)}"
        return [text]


def _until(deadline: datetime | None) -> str:
    if deadline is None:
        return "there is no deadline any more"
    return f"from {utc_minute(deadline)} on nothing new starts"
