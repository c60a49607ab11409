"""Counts the waiting, running and parked tasks of all runs in this worker's memory, for metrics.

The module is passed through the sandbox, so that all runs of the process write into one object.

Temporal's own gauges would keep the value of the last run that wrote, where the sum over runs is
needed. Counting up and down would count a run on two workers after it moved. So each run writes its
whole state, also while its history is replayed (docs/adr/017).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from durable_agent_team.contracts.run import TaskStatus
from durable_agent_team.contracts.telemetry_labels import TEAM

STATE = "agent_team.task.state"
OPEN = (TaskStatus.WAITING, TaskStatus.READY, TaskStatus.RUNNING, TaskStatus.PARKED)
MAX_TEAMS = 500


class OpenTasks:
    """By Temporal run id. Workflow threads write; the thread that sends metrics reads."""

    def __init__(self) -> None:
        self.watched = False
        self._runs: dict[str, tuple[str, Counter[TaskStatus]]] = {}
        self._teams: list[str] = []

    def show(self, run_id: str, team: str, statuses: Iterable[TaskStatus]) -> None:
        """Replaces the counts of this run, if metrics are on."""
        if self.watched:
            self._runs[run_id] = (team, Counter(statuses))

    def forget(self, run_id: str) -> None:
        """The run has ended, or has left this worker."""
        self._runs.pop(run_id, None)

    def totals(self) -> Iterator[tuple[Mapping[str, str], int]]:
        """A count for each team and open state. Zero is reported too, or the metric would keep its
        last value."""
        teams = {team: Counter[TaskStatus]() for team in self._teams}
        for team, counts in list(self._runs.values()):
            teams.setdefault(team, Counter()).update(counts)
        self._teams = list(teams)[-MAX_TEAMS:]
        for team in self._teams:
            for state in OPEN:
                yield {TEAM: team, STATE: str(state)}, teams[team][state]


OPEN_TASKS = OpenTasks()
