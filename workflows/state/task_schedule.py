"""The task graph of a run: which tasks are waiting, ready, running or ended."""

from collections.abc import Iterable, Mapping, Sequence

from durable_agent_team.contracts.run import TaskStatus
from durable_agent_team.contracts.team import Task

ENDED = frozenset(
    {
        TaskStatus.DONE,
        TaskStatus.SKIPPED,
        TaskStatus.FAILED,
        TaskStatus.BLOCKED,
        TaskStatus.CANCELLED,
    }
)


class Schedule:
    """The status of every task. A task becomes ready once, when its last dependency is done.

    The work is proportional to the edges: completing a task only visits its dependants.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = {task.id: task for task in tasks}
        self.status = {task.id: TaskStatus.WAITING for task in tasks}
        self._missing = {task.id: len(set(task.depends_on)) for task in tasks}
        self._dependants: dict[str, list[str]] = {task.id: [] for task in tasks}
        for task in tasks:
            for dependency in dict.fromkeys(task.depends_on):
                self._dependants[dependency].append(task.id)

    @classmethod
    def of(cls, tasks: Sequence[Task], status: Mapping[str, TaskStatus]) -> "Schedule":
        """The graph with its tasks as far as they were in an earlier execution of the run."""
        schedule = cls(tasks)
        schedule.status |= status
        for task in tasks:
            needs = set(task.depends_on)
            schedule._missing[task.id] = sum(schedule.status[each] not in ENDED for each in needs)
        return schedule

    def start(self) -> list[str]:
        """Returns the tasks without open dependencies, in the order of the plan. Those that had
        started in an earlier execution of the run keep their status."""
        ready = [
            task_id
            for task_id, missing in self._missing.items()
            if not missing and self.status[task_id] not in ENDED
        ]
        for task_id in ready:
            if self.status[task_id] is TaskStatus.WAITING:
                self.status[task_id] = TaskStatus.READY
        return ready

    def add(self, task: Task) -> list[str]:
        """Adds a task; returns its id if it is ready. The caller has checked that its dependencies
        exist, and have not ended in a way that it does not accept."""
        needs = dict.fromkeys(task.depends_on)
        self.tasks[task.id] = task
        self.status[task.id] = TaskStatus.WAITING
        self._dependants[task.id] = []
        for dependency in needs:
            self._dependants[dependency].append(task.id)
        self._missing[task.id] = sum(self.status[each] not in ENDED for each in needs)
        return [] if self._missing[task.id] else self._ready([task.id])

    def resume(self, done: Iterable[str], ended: Mapping[str, TaskStatus]) -> None:
        """Marks the tasks of a revised graph that are done already, or ended otherwise."""
        for task_id in done:
            self.status[task_id] = TaskStatus.DONE
            self._release(task_id, self._dependants[task_id])
        for task_id, status in ended.items():
            if status is TaskStatus.FAILED:
                self.failed(task_id)
            elif status in (TaskStatus.SKIPPED, TaskStatus.CANCELLED):
                self.without(task_id, status)

    def done(self, task_id: str) -> list[str]:
        """Marks a task done; returns the tasks that are ready because of it."""
        self.status[task_id] = TaskStatus.DONE
        return self._ready(self._release(task_id, self._dependants[task_id]))

    def without(self, task_id: str, status: TaskStatus) -> tuple[list[str], list[str]]:
        """Ends a task without a hand-off. Returns the tasks that are ready anyway, because they
        accept missing inputs, and those that can never run."""
        self.status[task_id] = status
        freed: list[str] = []
        blocked: list[str] = []
        frontier = [task_id]
        while frontier:
            ended = frontier.pop()
            open_tasks = [
                each for each in self._dependants[ended] if self.status[each] is TaskStatus.WAITING
            ]
            accepting = [each for each in open_tasks if self._accepts(each)]
            freed += self._release(ended, accepting)
            for dependant in open_tasks:
                if dependant not in accepting:
                    self.status[dependant] = TaskStatus.BLOCKED
                    blocked.append(dependant)
                    frontier.append(dependant)
        return self._ready(freed), blocked

    def retry(self, task_id: str) -> list[str]:
        """Makes a failed task ready again, and unblocks what only it blocked. Returns the other
        tasks that are ready now, because all their dependencies have ended."""
        return self._reopened([task_id])

    def redo(self, task_id: str) -> tuple[list[str], list[str]]:
        """Makes a task that is done ready again; everything behind it waits, however it has ended.
        Returns these, the task first, and the other tasks that are ready now."""
        again = [task_id, *self._behind(task_id)]
        return again, self._reopened(again)

    def _behind(self, task_id: str) -> list[str]:
        """The tasks that depend on this one, directly or not."""
        found: dict[str, None] = {}
        frontier = [task_id]
        while frontier:
            for each in self._dependants[frontier.pop()]:
                if each not in found:
                    found[each] = None
                    frontier.append(each)
        return list(found)

    def _reopened(self, again: Sequence[str]) -> list[str]:
        """Makes the first of these tasks ready, and the others wait. Blocks again what other tasks
        block. Returns the tasks that are ready because all their dependencies have ended."""
        before = dict(self.status)
        for each, status in before.items():
            if status is TaskStatus.BLOCKED:
                self.status[each] = TaskStatus.WAITING
        for each in again:
            self.status[each] = TaskStatus.WAITING
        self.status[again[0]] = TaskStatus.READY
        for each in self._of(TaskStatus.FAILED):
            self.failed(each)
        for each in self._of(TaskStatus.SKIPPED, TaskStatus.CANCELLED):
            self._block_behind(each, accepting=False)
        self._count_missing(before)
        return self._ready([each for each in self._missing if not self._missing[each]])

    def _count_missing(self, before: Mapping[str, TaskStatus]) -> None:
        """Counts again where the count may have changed: for a task that did not wait before, and
        for one with a dependency that is open now and was not, or the other way round. In a plan of
        a thousand tasks that have a hundred dependencies each, these are a few."""
        changed = [each for each, status in self.status.items() if status is not before[each]]
        affected = dict.fromkeys(changed)
        for each in changed:
            if (before[each] in ENDED) != (self.status[each] in ENDED):
                affected.update(dict.fromkeys(self._dependants[each]))
        for each in affected:
            needs = set(self.tasks[each].depends_on)
            self._missing[each] = sum(self.status[need] not in ENDED for need in needs)

    def blockers(self) -> dict[str, str]:
        """For each blocked task, the task whose missing hand-off is the reason that it can never
        run. Looks at each task once, also where they block one another in a long chain."""
        found: dict[str, str] = {}
        for task_id in self._of(TaskStatus.BLOCKED):
            way: list[str] = []
            while task_id not in found:
                way.append(task_id)
                blocker = self._blocking(task_id)
                if self.status[blocker] is not TaskStatus.BLOCKED:
                    found[task_id] = blocker
                task_id = task_id if task_id in found else blocker
            found |= dict.fromkeys(way, found[task_id])
        return found

    def _blocking(self, task_id: str) -> str:
        """The dependency for which a blocked task cannot run: one without a hand-off that it needs;
        if there is none, the first one that is itself blocked."""
        ended = {each: self.status[each] for each in self.tasks[task_id].depends_on}
        for each, status in ended.items():
            missing = status in (TaskStatus.SKIPPED, TaskStatus.CANCELLED)
            if status is TaskStatus.FAILED or (missing and not self._accepts(task_id)):
                return each
        return next(each for each, status in ended.items() if status is TaskStatus.BLOCKED)

    def _of(self, *wanted: TaskStatus) -> list[str]:
        return [task_id for task_id, status in self.status.items() if status in wanted]

    def _block_behind(self, task_id: str, *, accepting: bool) -> list[str]:
        """Blocks and returns the tasks that wait for this one, directly or not: with `accepting`
        all of them, else only those that do not accept missing inputs."""
        blocked: list[str] = []
        frontier = [task_id]
        while frontier:
            for each in self._dependants[frontier.pop()]:
                if self.status[each] is TaskStatus.WAITING and (
                    accepting or not self._accepts(each)
                ):
                    self.status[each] = TaskStatus.BLOCKED
                    blocked.append(each)
                    frontier.append(each)
        return blocked

    def failed(self, task_id: str) -> list[str]:
        """Marks a task failed; returns the tasks that can never run because of it."""
        self.status[task_id] = TaskStatus.FAILED
        return self._block_behind(task_id, accepting=True)

    def cancel_rest(self) -> list[str]:
        """Ends every task that has not ended as cancelled; returns these."""
        rest = [task_id for task_id, status in self.status.items() if status not in ENDED]
        self.status.update(dict.fromkeys(rest, TaskStatus.CANCELLED))
        return rest

    def sinks(self) -> list[str]:
        """The tasks without dependants: the results of a plan that names none."""
        return [task_id for task_id, dependants in self._dependants.items() if not dependants]

    def _accepts(self, task_id: str) -> bool:
        return self.tasks[task_id].missing_inputs == "accept"

    def _release(self, task_id: str, dependants: Iterable[str]) -> list[str]:
        """Counts one dependency as ended; returns the dependants without any left."""
        freed = []
        for dependant in dependants:
            self._missing[dependant] -= 1
            if not self._missing[dependant]:
                freed.append(dependant)
        return freed

    def _ready(self, candidates: Iterable[str]) -> list[str]:
        ready = [each for each in candidates if self.status[each] is TaskStatus.WAITING]
        for task_id in ready:
            self.status[task_id] = TaskStatus.READY
        return ready
