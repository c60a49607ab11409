"""Shared by all drivers: JSON lines in and out, and one paid call with plain httpx.

Commands: `{"do": "run" | "resume" | "open" | "answer", "job": [task, …], "ids": [run, …]}`. The
reply is `{"seconds": …}` when that is done for all those runs, or `{"error": …}`. The first line
out is `{"ready": {package: version}}`.
"""

import argparse
import asyncio
import json
import os
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TextIO

import httpx
import uvloop

INSTRUCTIONS = "Report only what the source says. Answer briefly."
MODEL = "bench"
MAX_TOKENS = 512


@dataclass(frozen=True)
class Task:
    """One call: its prompt is the answers that it depends on, then what it asks."""

    id: str
    ask: str
    depends_on: tuple[str, ...] = ()


Job = tuple[Task, ...]
"""In an order in which dependencies come first."""


@dataclass(frozen=True)
class Options:
    """A driver's command line."""

    upstream: str
    folder: Path
    temporal: str
    heartbeat_seconds: float
    transport: str
    name: str
    api_key: str
    tool_attempts: int
    """Of a tool; 0: as it comes."""
    tool_seconds: float
    """How long a tool may take."""


class Engine(Protocol):
    """One peer. All but `open` return when the run is done."""

    async def run(self, job: Job, run_id: str) -> None: ...

    async def resume(self, job: Job, run_id: str) -> None:
        """In a new process, after a SIGKILL: the peer's documented way to continue."""
        ...

    async def open(self, job: Job, run_id: str) -> None:
        """A run that makes all calls but the last, and then waits for a human decision, in the
        peer's documented way. Returns when it has begun, or when it waits."""
        ...

    async def answer(self, job: Job, run_id: str) -> None:
        """The decision: the waiting run makes its last call."""
        ...


def parse_job(tasks: Sequence[dict[str, Any]]) -> Job:
    return tuple(Task(t["id"], t["ask"], tuple(t["depends_on"])) for t in tasks)


def prompt(task: Task, answers: dict[str, str]) -> str:
    return "\n\n".join([*(f"{name}:\n{answers[name]}" for name in task.depends_on), task.ask])


def http_client(transport: str, api_key: str) -> httpx.AsyncClient:
    """One for the process, as many connections as there are calls.

    `httpx`: its own pool, 20 connections kept alive, as it comes. `aiohttp`: the same API over
    aiohttp's pool, which is what our worker and gateway have. `api_key`: what it sends, if any.
    """
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    if transport == "aiohttp":
        from httpx_aiohttp import HttpxAiohttpClient  # noqa: PLC0415

        unlimited = httpx.Limits(max_connections=1_000, max_keepalive_connections=1_000)
        return HttpxAiohttpClient(headers=headers, limits=unlimited, timeout=60, trust_env=False)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    return httpx.AsyncClient(headers=headers, limits=limits, timeout=60, trust_env=False)


async def chat(http: httpx.AsyncClient, upstream: str, text: str) -> str:
    """One paid call."""
    body = {
        "model": MODEL,
        "max_tokens": MAX_TOKENS,
        "temperature": 0,
        "messages": [
            {"role": "system", "content": INSTRUCTIONS},
            {"role": "user", "content": text},
        ],
    }
    response = await http.post(f"{upstream}/chat/completions", json=body)
    response.raise_for_status()
    answer: str = response.json()["choices"][0]["message"]["content"]
    return answer


def serve(make: Callable[[Options], Awaitable[Engine]], packages: Sequence[str]) -> None:
    """Executes commands until standard input ends, then exits at once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--temporal", default="")
    parser.add_argument("--heartbeat-seconds", type=float, default=0)
    parser.add_argument("--transport", default="httpx")
    parser.add_argument("--name", default="peer")
    parser.add_argument("--api-key", default="none")
    parser.add_argument("--tool-attempts", type=int, default=0)
    parser.add_argument("--tool-seconds", type=float, default=60)
    options = Options(**vars(parser.parse_args()))
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a library's output must not mix with our lines
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_orders(make, options, packages, out))
        os._exit(0)


async def _orders(
    make: Callable[[Options], Awaitable[Engine]],
    options: Options,
    packages: Sequence[str],
    out: TextIO,
) -> None:
    engine = await make(options)
    _say(out, {"ready": {name: version(name) for name in packages}})
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        began = time.perf_counter()
        try:
            await _done(engine, order)
        except Exception:
            _say(out, {"error": traceback.format_exc(limit=-8)})
        else:
            _say(out, {"seconds": time.perf_counter() - began})


async def _done(engine: Engine, order: dict[str, Any]) -> None:
    does = {"run": engine.run, "resume": engine.resume, "open": engine.open}
    work = {**does, "answer": engine.answer}[order["do"]]
    job = parse_job(order["job"])
    await asyncio.gather(*(work(job, run_id) for run_id in order["ids"]))


def _say(out: TextIO, line: dict[str, Any]) -> None:
    out.write(json.dumps(line) + "\n")
    out.flush()
