"""LangGraph's functional API: ordinary asyncio around checkpointed tasks, and no super-steps."""

# mypy: disable-error-code="import-not-found, untyped-decorator"
# The packages are in the peer's own environment.

import asyncio
from typing import Any

import aiosqlite
import httpx
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.func import entrypoint, task
from langgraph.types import Command, interrupt

from benchmarks.peers.drivers.wire import (
    Job,
    Options,
    chat,
    http_client,
    parse_job,
    prompt,
    serve,
)


class LangGraphTasks:
    """One entrypoint for every job; a finished task's result is stored with the checkpoint."""

    def __init__(self, http: httpx.AsyncClient, upstream: str, saver: AsyncSqliteSaver) -> None:
        @task
        async def call(text: str) -> str:
            return await chat(http, upstream, text)

        async def answered(job: Job) -> dict[str, str]:
            answers: dict[str, asyncio.Task[str]] = {}

            async def work(one: Any) -> str:
                inputs = {name: await answers[name] for name in one.depends_on}
                answer: str = await call(prompt(one, inputs))
                return answer

            for one in job:
                answers[one.id] = asyncio.create_task(work(one))
            return dict(zip(answers, await asyncio.gather(*answers.values()), strict=True))

        @entrypoint(checkpointer=saver)
        async def workflow(tasks: list[dict[str, Any]]) -> int:
            return len(await answered(parse_job(tasks)))

        @entrypoint(checkpointer=saver)
        async def waiting(tasks: list[dict[str, Any]]) -> int:
            job = parse_job(tasks)
            answers = await answered(job[:-1])
            interrupt("May it be written?")
            answers[job[-1].id] = await call(prompt(job[-1], answers))
            return len(answers)

        self._workflow: Any = workflow
        self._waiting: Any = waiting

    async def run(self, job: Job, run_id: str) -> None:
        await self._invoke([vars(one) for one in job], run_id, len(job))

    async def resume(self, job: Job, run_id: str) -> None:
        """Invoked with no input, the thread runs again, with stored results of finished tasks."""
        await self._invoke(None, run_id, len(job))

    async def open(self, job: Job, run_id: str) -> None:
        """Returns when the thread is interrupted: from then on it is rows in the database."""
        config = {"configurable": {"thread_id": run_id}}
        result = await self._waiting.ainvoke([vars(one) for one in job], config)
        assert "__interrupt__" in result

    async def answer(self, job: Job, run_id: str) -> None:
        config = {"configurable": {"thread_id": run_id}}
        assert await self._waiting.ainvoke(Command(resume=True), config) == len(job)

    async def _invoke(self, given: Any, run_id: str, calls: int) -> None:
        config = {"configurable": {"thread_id": run_id}}
        assert await self._workflow.ainvoke(given, config) == calls


async def make(options: Options) -> LangGraphTasks:
    connection = await aiosqlite.connect(options.folder / "langgraph-tasks.db")
    saver = AsyncSqliteSaver(connection)
    await saver.setup()
    await connection.execute("PRAGMA synchronous=1")
    return LangGraphTasks(http_client(options.transport, options.api_key), options.upstream, saver)


if __name__ == "__main__":
    serve(make, ("langgraph", "langgraph-checkpoint-sqlite", "httpx"))
