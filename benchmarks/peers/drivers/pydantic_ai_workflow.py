"""Pydantic AI's workflow: a task starts when its dependencies are done."""

# mypy: disable-error-code="import-not-found, misc, no-any-return"
# The packages are in the peer's own environment.

import asyncio
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic_ai.durable_exec.temporal import PydanticAIWorkflow

    from benchmarks.peers.drivers.pydantic_ai_agent import agent
    from benchmarks.peers.drivers.wire import Task, parse_job, prompt


@workflow.defn
class TeamWorkflow(PydanticAIWorkflow):
    __pydantic_ai_agents__ = (agent,)

    @workflow.run
    async def run(self, tasks: list[dict[str, Any]]) -> int:
        answers: dict[str, asyncio.Task[str]] = {}

        async def work(task: Task) -> str:
            inputs = {name: await answers[name] for name in task.depends_on}
            result = await agent.run(prompt(task, inputs))
            return result.output

        for task in parse_job(tasks):
            answers[task.id] = asyncio.create_task(work(task))
        return len(await asyncio.gather(*answers.values()))
