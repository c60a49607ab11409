"""Pydantic AI's workflow: a task starts when its dependencies are done."""

# mypy: disable-error-code="import-not-found, misc, no-any-return"
# The packages are in the peer's own environment.

import asyncio
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic_ai.durable_exec.temporal import PydanticAIWorkflow

    from benchmarks.peers.drivers.pydantic_ai_agent import agent
    from benchmarks.peers.drivers.wire import Job, Task, parse_job, prompt


@workflow.defn
class TeamWorkflow(PydanticAIWorkflow):
    __pydantic_ai_agents__ = (agent,)

    @workflow.run
    async def run(self, tasks: list[dict[str, Any]]) -> int:
        return len(await _answers(parse_job(tasks)))


@workflow.defn
class WaitingWorkflow(PydanticAIWorkflow):
    """All calls but the last; then a signal is waited for."""

    __pydantic_ai_agents__ = (agent,)

    def __init__(self) -> None:
        self._approved = False

    @workflow.run
    async def run(self, tasks: list[dict[str, Any]]) -> int:
        job = parse_job(tasks)
        answers = await _answers(job[:-1])
        await workflow.wait_condition(lambda: self._approved)
        result = await agent.run(prompt(job[-1], answers))
        return len({**answers, job[-1].id: result.output})

    @workflow.signal
    def approve(self) -> None:
        self._approved = True


async def _answers(job: Job) -> dict[str, str]:
    answers: dict[str, asyncio.Task[str]] = {}

    async def work(task: Task) -> str:
        inputs = {name: await answers[name] for name in task.depends_on}
        result = await agent.run(prompt(task, inputs))
        return result.output

    for task in job:
        answers[task.id] = asyncio.create_task(work(task))
    return dict(zip(answers, await asyncio.gather(*answers.values()), strict=True))
