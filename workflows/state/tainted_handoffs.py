"""Notes which hand-offs may hold something from outside: what reads them is tainted, too."""

from collections.abc import Collection

from durable_agent_team.rules.tools.taint import hands_on_taint, may_be_tainted
from workflows.state.progress import Progress


def note_handoff(progress: Progress, task_id: str) -> None:
    """A task has its hand-off. In a team without tools nobody asks."""
    if not _matters(progress):
        return
    task = progress.tasks.schedule.tasks[task_id]
    agent = progress.team.agents[task.agent]
    if hands_on_taint(task, agent, progress.tainted_tasks):
        progress.tainted_tasks.add(task_id)


def note_taken_over(progress: Progress, task_ids: Collection[str]) -> None:
    """Hand-offs of another run, whose conversations are not known: until nothing is added, as a
    task may stand before those that it depends on."""
    if not _matters(progress):
        return
    tasks = progress.tasks.schedule.tasks
    count = -1
    while count != len(progress.tainted_tasks):
        count = len(progress.tainted_tasks)
        for task_id in task_ids:
            agent = progress.team.agents[tasks[task_id].agent]
            if may_be_tainted(tasks[task_id], agent, progress.tainted_tasks):
                progress.tainted_tasks.add(task_id)


def _matters(progress: Progress) -> bool:
    return any(agent.tools for agent in progress.team.agents.values())
