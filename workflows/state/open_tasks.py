"""How many tasks wait, run and are parked, of all runs in this worker's memory, while somebody
asks. Passed through the sandbox: the process has one, whichever run writes into it.

Not Temporal's own gauges: those keep what the last run said, and the sum over runs is wanted. Not
counted up and down either: a run that moves to another worker would be counted on both. What is
written here is a run's state as a whole, also while its history is replayed.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from durable_agent_team.contracts.run import TaskStatus
from durable_agent_team.contracts.telemetry_labels import TEAM

STATE = "agent_team.task.state"
OPEN = (TaskStatus.WAITING, TaskStatus.READY, TaskStatus.RUNNING, TaskStatus.PARKED)
MAX_TEAMS = 500


class OpenTasks:
    """By Temporal run id. Written by workflow threads, read by the one that sends metrics."""

    def __init__(self) -> None:
        self.watched = False
        self._runs: dict[str, tuple[str, Counter[TaskStatus]]] = {}
        self._teams: list[str] = []

    def show(self, run_id: str, team: str, statuses: Iterable[TaskStatus]) -> None:
        """The state of a run's tasks as it is now."""
        if self.watched:
            self._runs[run_id] = (team, Counter(statuses))

    def forget(self, run_id: str) -> None:
        """The run ended here, or has left this worker."""
        self._runs.pop(run_id, None)

    def totals(self) -> Iterator[tuple[Mapping[str, str], int]]:
        """A count for each team and open state; zero too, or the last one would seem to last."""
        teams = {team: Counter[TaskStatus]() for team in self._teams}
        for team, counts in list(self._runs.values()):
            teams.setdefault(team, Counter()).update(counts)
        self._teams = list(teams)[-MAX_TEAMS:]
        for team in self._teams:
            for state in OPEN:
                yield {TEAM: team, STATE: str(state)}, teams[team][state]


OPEN_TASKS = OpenTasks()
