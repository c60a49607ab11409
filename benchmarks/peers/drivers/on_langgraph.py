"""LangGraph with its asynchronous SQLite checkpointer: a node for each task, an edge for each need.

The graph runs in super-steps: what is ready starts together, and nothing new starts before all of
it is done. `durability` stays at its default, `async`.
"""

# mypy: disable-error-code="import-not-found"
# The packages are in the peer's own environment.

import operator
from typing import Annotated, Any, TypedDict

import aiosqlite
import httpx
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from benchmarks.peers.drivers.wire import Job, Options, Task, chat, http_client, prompt, serve

PERSON = "person"


class State(TypedDict):
    answers: Annotated[dict[str, str], operator.or_]


class LangGraph:
    """Compiled once for each shape of job."""

    def __init__(self, http: httpx.AsyncClient, upstream: str, saver: AsyncSqliteSaver) -> None:
        self._http = http
        self._upstream = upstream
        self._saver = saver
        self._graphs: dict[tuple[Job, bool], Any] = {}

    async def run(self, job: Job, run_id: str) -> None:
        await self._all(job, run_id, {"answers": {}})

    async def resume(self, job: Job, run_id: str) -> None:
        """Invoked with no input, the same thread continues from its last checkpoint."""
        await self._all(job, run_id, None)

    async def open(self, job: Job, run_id: str) -> None:
        """Returns when the thread is interrupted: from then on it is rows in the database."""
        result = await self._invoke(job, run_id, {"answers": {}}, waits=True)
        assert "__interrupt__" in result

    async def answer(self, job: Job, run_id: str) -> None:
        await self._all(job, run_id, Command(resume=True), waits=True)

    async def _all(self, job: Job, run_id: str, given: Any, *, waits: bool = False) -> None:
        result = await self._invoke(job, run_id, given, waits=waits)
        assert len(result["answers"]) == len(job)

    async def _invoke(self, job: Job, run_id: str, given: Any, *, waits: bool) -> Any:
        shape = (job, waits)
        if shape not in self._graphs:
            self._graphs[shape] = self._compile(job, waits=waits)
        config = {"configurable": {"thread_id": run_id}, "recursion_limit": 1_000}
        return await self._graphs[shape].ainvoke(given, config)

    def _compile(self, job: Job, *, waits: bool) -> Any:
        """`waits`: the run needs an approval before the last call."""
        graph = StateGraph(State)
        needed = {name for task in job for name in task.depends_on}
        if waits:
            graph.add_node(PERSON, _ask)
            graph.add_edge(PERSON, job[-1].id)
        for task in job:
            graph.add_node(task.id, self._node(task))
            needs = list(task.depends_on)
            to = PERSON if waits and task is job[-1] else task.id
            graph.add_edge(needs if len(needs) > 1 else (needs or [START])[0], to)
            if task.id not in needed:
                graph.add_edge(task.id, END)
        return graph.compile(checkpointer=self._saver)

    def _node(self, task: Task) -> Any:
        async def node(state: State) -> State:
            text = await chat(self._http, self._upstream, prompt(task, state["answers"]))
            return {"answers": {task.id: text}}

        return node


async def _ask(state: State) -> State:
    interrupt("May it be written?")
    return {"answers": {}}


async def make(options: Options) -> LangGraph:
    connection = await aiosqlite.connect(options.folder / "langgraph.db")
    saver = AsyncSqliteSaver(connection)
    await saver.setup()  # switches the write-ahead log on
    await connection.execute("PRAGMA synchronous=1")
    return LangGraph(http_client(options.transport, options.api_key), options.upstream, saver)


if __name__ == "__main__":
    serve(make, ("langgraph", "langgraph-checkpoint-sqlite", "httpx"))
