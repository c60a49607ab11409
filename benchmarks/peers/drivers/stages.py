"""A job as chains of calls, in stages: for engines that want a fixed order of starts."""

from typing import Any

from benchmarks.peers.drivers.wire import Job

Stages = list[list[list[dict[str, Any]]]]
"""Stage, chain, call."""


def in_stages(job: Job) -> Stages:
    """The job as chains, in stages: a chain begins after every chain that it needs."""
    uses = [name for task in job for name in task.depends_on]
    chains: dict[str, list[dict[str, Any]]] = {}
    stage_of: dict[str, int] = {}
    for task in job:
        needs = task.depends_on
        if len(needs) == 1 and uses.count(needs[0]) == 1:
            chains[task.id] = [*chains.pop(needs[0]), vars(task)]
            stage_of[task.id] = stage_of[needs[0]]
        else:
            chains[task.id] = [vars(task)]
            stage_of[task.id] = max((stage_of[name] + 1 for name in needs), default=0)
    stages: Stages = [[] for _ in range(max(stage_of.values()) + 1)]
    for end, chain in chains.items():
        stages[stage_of[end]].append(chain)
    return stages
