"""Load on an OpenAI-compatible endpoint: a number of connections, each with one call at a time."""

import asyncio
import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from benchmarks.figures import percentile
from benchmarks.stage import RunBroken, Stage
from benchmarks.upstream import MODEL, latency


@dataclass(frozen=True)
class Load:
    """The result of one period of load, in calls per second and milliseconds."""

    per_second: float
    p50: float
    p99: float


async def open_keys(stage: Stage, count: int) -> list[str]:
    """Keys of fresh accounts with enough money for everything that is measured."""
    keys = []
    for number in range(count):
        response = await stage.http.post(
            f"{stage.gateway_url}/agents",
            json={"name": f"load-{number}", "budget": 100_000},
            headers={"Authorization": f"Bearer {stage.parent_key}"},
        )
        response.raise_for_status()
        keys.append(response.json()["api_key"])
    return keys


async def load(
    url: str,
    keys: Sequence[str],
    connections: int,
    seconds: float,
    latency_ms: int = 0,
    *,
    spread: bool = False,
) -> Load:
    """Every call is a new one, under an idempotency key of its own, as an agent's calls are.

    `spread`: the connections begin evenly over one latency, instead of all in one moment; as the
    latency is constant, they stay apart.
    """
    body = _body(latency_ms)
    took: list[float] = []
    began = time.perf_counter()
    until = began + seconds
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one(number: int) -> None:
            key = keys[number % len(keys)]
            if spread:
                await asyncio.sleep(latency_ms / 1000 * number / connections)
            while (sent := time.perf_counter()) < until:
                headers = {
                    "Authorization": f"Bearer {key}",
                    "Content-Type": "application/json",
                    "Idempotency-Key": uuid.uuid4().hex,
                }
                path = f"{url}/chat/completions"
                async with session.post(path, data=body, headers=headers) as response:
                    answer = await response.read()
                    if response.status != 200:
                        raise RunBroken(f"{url} answered {response.status}: {answer[:200]!r}")
                took.append((time.perf_counter() - sent) * 1000)

        await asyncio.gather(*(one(i) for i in range(connections)))
    # Divided by the actual duration: the last calls end after the planned one.
    whole = time.perf_counter() - began
    return Load(len(took) / whole, percentile(took, 0.5), percentile(took, 0.99))


def _body(latency_ms: int) -> bytes:
    """A prompt of about 1 KB."""
    text = "What is the demand? " * 50 + latency(latency_ms)
    return json.dumps(
        {
            "model": MODEL,
            "max_tokens": 100,
            "messages": [
                {"role": "system", "content": "Answer briefly."},
                {"role": "user", "content": text},
            ],
        }
    ).encode()
