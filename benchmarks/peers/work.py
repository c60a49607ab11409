"""The jobs that all engines do, and the same job as a team of ours."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import jobs
from durable_agent_team.contracts.team import Agent, Task, Team

CROSSED = ((12, 200), (12, 200), *((3, 800),) * 4)
"""Chains of many short calls and chains of few long ones: each alone takes 2.4 s."""
LEVEL = ((6, 500), (6, 500), *((3, 200),) * 8)
"""The longest chains have the longest calls, too: waiting at each step costs nothing here."""


@dataclass(frozen=True)
class Call:
    id: str
    ask: str
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """In an order in which dependencies come first."""

    calls: tuple[Call, ...]

    def __len__(self) -> int:
        return len(self.calls)

    def as_json(self) -> list[dict[str, Any]]:
        return [asdict(call) for call in self.calls]

    def critical_path_seconds(self) -> float:
        return jobs.critical_path_seconds(as_team(self, "tasks"))


def fan(calls: int, latency_ms: int) -> Job:
    """A plan, `calls` calls in parallel that read it, and a synthesis that reads all of them."""
    return _job(jobs.fan(calls, latency_ms, "tasks"))


def spread(latencies_ms: Sequence[int], ends_ms: int) -> Job:
    """The same, with a latency for each of the parallel calls."""
    return _job(jobs.spread(latencies_ms, ends_ms, "tasks"))


def chains(lengths: Sequence[tuple[int, int]]) -> Job:
    """One chain of calls for each (calls, milliseconds a call), and a synthesis of their ends."""
    return _job(jobs.chains(lengths))


def _job(team: Team) -> Job:
    return Job(tuple(Call(task.id, task.ask, task.depends_on) for task in team.tasks))


def as_team(job: Job, shape: jobs.Shape) -> Team:
    """`tasks`: all calls by one agent on one account. `accounts`: an agent and account a call."""
    own = shape == "accounts"
    names = {call.id: f"a{i}" if own else "a0" for i, call in enumerate(job.calls)}
    agents: dict[str, Agent] = {name: jobs.make_agent() for name in names.values()}
    tasks = [
        Task(id=call.id, agent=names[call.id], ask=call.ask, depends_on=call.depends_on)
        for call in job.calls
    ]
    return jobs.make_team(agents, tasks, result=job.calls[-1].id)
