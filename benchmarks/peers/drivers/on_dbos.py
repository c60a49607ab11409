"""DBOS with SQLite: a workflow a run, a step a call, a child workflow a chain.

Steps get their numbers as they start, so that only steps that start in a fixed order may run side
by side in one workflow: chains beside each other are child workflows, as DBOS advises.
"""

# mypy: disable-error-code="import-not-found, untyped-decorator"
# The packages are in the peer's own environment.

import asyncio
import sqlite3
from typing import Any

import httpx
import sqlalchemy
from dbos import DBOS, DBOSConfig, SetWorkflowID
from sqlalchemy import event

from benchmarks.peers.drivers.stages import Stages, in_stages
from benchmarks.peers.drivers.wire import (
    Job,
    Options,
    chat,
    http_client,
    parse_job,
    prompt,
    serve,
)

DAY_SECONDS = 86_400

_http: httpx.AsyncClient
_upstream: str


@DBOS.step()
async def call(text: str) -> str:
    return await chat(_http, _upstream, text)


@DBOS.workflow()
async def run_chain(tasks: list[dict[str, Any]], answers: dict[str, str]) -> str:
    """Tasks of which each needs the one before."""
    last = ""
    for task in parse_job(tasks):
        last = answers[task.id] = await call(prompt(task, answers))
    return last


@DBOS.workflow()
async def run_team(stages: Stages) -> int:
    return len(await _calls(stages))


@DBOS.workflow()
async def run_waiting(stages: Stages, last: dict[str, Any]) -> int:
    """All calls but the last; then a message is waited for, durably."""
    answers = await _calls(stages)
    assert await DBOS.recv_async(timeout_seconds=DAY_SECONDS)
    [task] = parse_job([last])
    answers[task.id] = await call(prompt(task, answers))
    return len(answers)


async def _calls(stages: Stages) -> dict[str, str]:
    """Stage after stage; within one, chains side by side: a step, or a child workflow if longer."""
    answers: dict[str, str] = {}
    for stage in stages:
        begun = []
        for chain in stage:
            if len(chain) == 1:
                begun.append(call(prompt(parse_job(chain)[0], answers)))
            else:
                handle = await DBOS.start_workflow_async(run_chain, chain, answers)
                begun.append(handle.get_result())
        ends = await asyncio.gather(*begun)
        answers |= {chain[-1]["id"]: end for chain, end in zip(stage, ends, strict=True)}
    return answers


class Dbos:
    """Runs in the caller's own process and event loop."""

    async def run(self, job: Job, run_id: str) -> None:
        with SetWorkflowID(run_id):
            assert await run_team(in_stages(job)) == len(job)

    async def resume(self, job: Job, run_id: str) -> None:
        """Launched again, DBOS takes pending workflows up by itself."""
        handle = await DBOS.retrieve_workflow_async(run_id)
        assert await handle.get_result(polling_interval_sec=0.1) == len(job)

    async def open(self, job: Job, run_id: str) -> None:
        with SetWorkflowID(run_id):
            await DBOS.start_workflow_async(run_waiting, in_stages(job[:-1]), vars(job[-1]))

    async def answer(self, job: Job, run_id: str) -> None:
        await DBOS.send_async(run_id, "yes")
        handle = await DBOS.retrieve_workflow_async(run_id)
        assert await handle.get_result(polling_interval_sec=0.1) == len(job)


def _engine(options: Options) -> sqlalchemy.Engine:
    """SQLite as DBOS opens it, with the write-ahead log and without a flush to disk each commit."""
    path = options.folder / "dbos.db"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode=WAL")
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def pragmas(connection: Any, _: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        connection.execute("PRAGMA busy_timeout=30000")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=1")

    return engine


async def make(options: Options) -> Dbos:
    global _http, _upstream
    _http, _upstream = http_client(options.transport, options.api_key), options.upstream
    config: DBOSConfig = {
        "name": "bench",
        "application_version": "1",
        "system_database_engine": _engine(options),
        "log_level": "WARNING",
    }
    DBOS(config=config)
    DBOS.launch()
    return Dbos()


if __name__ == "__main__":
    serve(make, ("dbos", "httpx"))
