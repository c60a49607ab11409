"""Plain asyncio with httpx: no state outside the process."""

import asyncio

import httpx

from benchmarks.peers.drivers.wire import Job, Options, Task, chat, http_client, prompt, serve


class Plain:
    """A task starts when its dependencies are done."""

    def __init__(self, http: httpx.AsyncClient, upstream: str) -> None:
        self._http = http
        self._upstream = upstream
        self._waiting: dict[str, tuple[asyncio.Event, asyncio.Task[None]]] = {}

    async def run(self, job: Job, run_id: str) -> None:
        await self._answers(job)

    async def resume(self, job: Job, run_id: str) -> None:
        """Nothing is known of the run: it starts over."""
        await self.run(job, run_id)

    async def open(self, job: Job, run_id: str) -> None:
        """The wait is a task and an event, and ends with the process."""
        said = asyncio.Event()

        async def waits() -> None:
            answers = await self._answers(job[:-1])
            await said.wait()
            await chat(self._http, self._upstream, prompt(job[-1], answers))

        self._waiting[run_id] = said, asyncio.create_task(waits())

    async def answer(self, job: Job, run_id: str) -> None:
        said, run = self._waiting.pop(run_id)
        said.set()
        await run

    async def _answers(self, job: Job) -> dict[str, str]:
        answers: dict[str, asyncio.Task[str]] = {}

        async def work(task: Task) -> str:
            inputs = {name: await answers[name] for name in task.depends_on}
            return await chat(self._http, self._upstream, prompt(task, inputs))

        for task in job:
            answers[task.id] = asyncio.create_task(work(task))
        return dict(zip(answers, await asyncio.gather(*answers.values()), strict=True))


async def make(options: Options) -> Plain:
    return Plain(http_client(options.transport, options.api_key), options.upstream)


if __name__ == "__main__":
    serve(make, ("httpx", "uvloop"))
