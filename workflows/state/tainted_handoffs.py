"""Notes which hand-offs, and which asks of reviews, may hold something from outside: what reads
them is tainted, too."""

from collections.abc import Collection, Iterable

from durable_agent_team.contracts.team import Task
from durable_agent_team.rules.revision import is_added
from durable_agent_team.rules.tools.taint import hands_on_taint, may_be_tainted
from workflows.state.progress import Progress


def note_handoff(progress: Progress, task_id: str) -> None:
    """A task has its hand-off. In a team without tools nobody asks."""
    if not _matters(progress):
        return
    task = progress.tasks.schedule.tasks[task_id]
    agent = progress.team.agents[task.agent]
    if hands_on_taint(task, agent, progress.tainted_tasks, progress.tainted_asks):
        progress.tainted_tasks.add(task_id)


def note_taken_over(progress: Progress, task_ids: Collection[str]) -> None:
    """Hand-offs of another run, whose conversations are not known: until nothing is added, as a
    task may stand before those that it depends on."""
    if not _matters(progress):
        return
    tasks = progress.tasks.schedule.tasks
    # Its reviews may have read what is not in the plan any more, or is made anew in this run.
    progress.tainted_asks.update(filter(is_added, tasks))
    count = -1
    while count != len(progress.tainted_tasks):
        count = len(progress.tainted_tasks)
        for task_id in task_ids:
            agent = progress.team.agents[tasks[task_id].agent]
            tainted, asks = progress.tainted_tasks, progress.tainted_asks
            if may_be_tainted(tasks[task_id], agent, tainted, asks):
                progress.tainted_tasks.add(task_id)


def note_added(progress: Progress, tasks: Iterable[Task]) -> None:
    """A review has added these tasks, after it had read all hand-offs so far."""
    if progress.tainted_tasks:
        progress.tainted_asks.update(task.id for task in tasks)


def _matters(progress: Progress) -> bool:
    return any(agent.tools for agent in progress.team.agents.values())
