"""The jobs that both sides do: as a team for us, and as plain asyncio with httpx."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import httpx

from benchmarks.upstream import MODEL, latency, latency_seconds
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Agent, OrchestratorAgent, Task, Team

Shape = Literal["accounts", "tasks"]
"""N agents with an account and one task each, or one agent with N tasks on its one account."""

PLAN, BRIEF = "plan", "brief"
BUDGET = Decimal(1_000)
INSTRUCTIONS = "Report only what the source says. Answer briefly."


def fan(
    calls: int, latency_ms: int, shape: Shape, *, answer: str = "", synthesis: bool = True
) -> Team:
    """A plan, `calls` tasks in parallel that read it, then one that reads all their answers.

    Without `synthesis` the tasks in parallel are all there is.
    """
    ends_ms = latency_ms if synthesis else None
    return spread([latency_ms] * calls, ends_ms, shape, answer=answer)


def spread(
    latencies_ms: Sequence[int], ends_ms: int | None, shape: Shape, *, answer: str = ""
) -> Team:
    """The same, with a latency for each of the parallel tasks, and one for plan and synthesis.

    `answer` is a marker of the parallel tasks, by which the upstream makes long answers.
    """
    own = shape == "accounts"
    before = () if ends_ms is None else (PLAN,)
    tasks = [
        Task(
            id=f"t{i}",
            agent=f"a{i}" if own else "a0",
            ask=f"Question {i}. {latency(latency_ms)}{answer}",
            depends_on=before,
        )
        for i, latency_ms in enumerate(latencies_ms)
    ]
    agents = {task.agent: make_agent() for task in tasks}
    if ends_ms is None:
        return make_team(agents, tasks, result="t0")
    agents["editor"] = make_agent()
    asked = tuple(task.id for task in tasks)
    plan = Task(id=PLAN, agent="editor", ask=f"Plan the work. {latency(ends_ms)}")
    ask = f"Write the brief. {latency(ends_ms)}"
    brief = Task(id=BRIEF, agent="editor", ask=ask, depends_on=asked)
    return make_team(agents, [plan, *tasks, brief], result=BRIEF)


def chains(lengths: Sequence[tuple[int, int]], *, synthesis: bool = True) -> Team:
    """One chain of tasks for each (tasks, milliseconds a task), and a synthesis of their ends."""
    tasks: list[Task] = []
    ends: list[str] = []
    for chain, (length, milliseconds) in enumerate(lengths):
        before: tuple[str, ...] = ()
        for step in range(length):
            task_id = f"c{chain}-{step}"
            ask = f"Step {step} of {chain}. {latency(milliseconds)}"
            tasks.append(Task(id=task_id, agent="a0", ask=ask, depends_on=before))
            before = (task_id,)
        ends += before
    agents = {"a0": make_agent()}
    if not synthesis:
        return make_team(agents, tasks, result=ends[0], window=len(lengths))
    agents["editor"] = make_agent()
    ask = f"Write the brief. {latency(500)}"
    tasks.append(Task(id=BRIEF, agent="editor", ask=ask, depends_on=tuple(ends)))
    return make_team(agents, tasks, result=BRIEF)


def critical_path_seconds(team: Team) -> float:
    """The sum of the latencies on the longest way through the graph: nothing can be faster."""
    ends: dict[str, float] = {}
    for task in team.tasks:  # written in an order in which dependencies come first
        begin = max((ends[name] for name in task.depends_on), default=0.0)
        ends[task.id] = begin + latency_seconds(task.ask)
    return max(ends.values())


async def plain(team: Team, http: httpx.AsyncClient, url: str) -> None:
    """The same graph and the same prompts: a task starts when its dependencies are done."""
    answers: dict[str, asyncio.Task[str]] = {}

    async def work(task: Task) -> str:
        inputs = [f"{name}:\n{await answers[name]}" for name in task.depends_on]
        body = {
            "model": MODEL,
            "max_tokens": 512,
            "temperature": 0,
            "messages": [
                {"role": "system", "content": INSTRUCTIONS},
                {"role": "user", "content": "\n\n".join([*inputs, task.ask])},
            ],
        }
        response = await http.post(f"{url}/chat/completions", json=body)
        response.raise_for_status()
        text: str = response.json()["choices"][0]["message"]["content"]
        return text

    for task in team.tasks:
        answers[task.id] = asyncio.create_task(work(task))
    await asyncio.gather(*answers.values())


def request(team: Team) -> RunRequest:
    return RunRequest(team=team, goal="Brief the board.")


def make_agent() -> Agent:
    """One with money for everything that is measured."""
    return Agent(role="Analyst", instructions=INSTRUCTIONS, model=MODEL, budget_usd=BUDGET)


def make_team(
    agents: dict[str, Agent], tasks: Sequence[Task], *, result: str, window: int | None = None
) -> Team:
    """Every call at once if the graph lets it; the answer is the last task's own.

    `window` where the graph is narrower than it is long: the heartbeat timeout follows it.
    """
    return Team(
        name="bench",
        orchestrator=OrchestratorAgent(model=MODEL, budget_usd=BUDGET),
        agents=agents,
        tasks=tuple(tasks),
        result=result,
        final="handoff",
        max_parallel=window or min(500, len(tasks)),
        max_tasks=len(tasks),
    )
