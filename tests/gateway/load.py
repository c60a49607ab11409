"""Load on the gateway: clients in many processes on one key, and, on demand, a million calls.

`python -m tests.gateway.load --calls 1000000` runs a gateway process before the scripted upstream,
one account after the other, and at the end looks at what is reserved, at the gateway's memory and
at its database. Exit 1 where something leaks.
"""

import argparse
import asyncio
import json
import sqlite3
import sys
from collections import Counter
from pathlib import Path

import aiohttp

from tests.support.gateway import PARENT_KEY, GatewayProcess, gateway_process
from tests.support.upstream import ScriptedUpstream

BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 10}
CALLS_AN_ACCOUNT = 10_000
AT_ONCE = 64
USUAL_LEDGER_LINE = 400
"""Bytes in the database for one line of the ledger, its two indexes included."""


async def calls(url: str, key: str, count: int, prefix: str, at_once: int) -> Counter[int]:
    """Statuses of `count` calls, each with an idempotency key of its own."""
    statuses: Counter[int] = Counter()
    numbers = iter(range(count))

    async def client(http: aiohttp.ClientSession) -> None:
        for number in numbers:
            headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": f"{prefix}-{number}"}
            async with http.post(f"{url}/chat/completions", json=BODY, headers=headers) as answer:
                await answer.read()
                statuses[answer.status] += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        await asyncio.gather(*(client(http) for _ in range(at_once)))
    return statuses


async def open_account(url: str, budget: str) -> tuple[str, str]:
    """Id and key of a new account."""
    headers = {"Authorization": f"Bearer {PARENT_KEY}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        order = f'{{"name": "load", "budget": {budget}}}'
        async with http.post(f"{url}/agents", data=order) as answer:
            opened = await answer.json()
    return opened["id"], opened["api_key"]


async def disable(url: str, account_id: str) -> None:
    headers = {"Authorization": f"Bearer {PARENT_KEY}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        await http.patch(f"{url}/agents/{account_id}", json={"status": "disabled"})


def reserved(database: Path) -> int:
    with sqlite3.connect(database) as books:
        (micros,) = books.execute("SELECT coalesce(sum(reserved), 0) FROM accounts").fetchone()
    return int(micros)


def memory_mib(gateway: GatewayProcess) -> float:
    assert gateway.process is not None
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


async def endure(count: int) -> int:
    """Account after account until `count` calls are made; prints how memory and file grow."""
    async with (
        ScriptedUpstream(recording=False) as upstream,
        gateway_process(upstream.url) as gateway,
    ):
        made, warm = 0, 0.0
        while made < count:
            part = min(CALLS_AN_ACCOUNT, count - made)
            account_id, key = await open_account(gateway.base_url, "1000")
            statuses = await calls(gateway.base_url, key, part, "call", AT_ONCE)
            await disable(gateway.base_url, account_id)
            assert statuses == {200: part}, statuses
            made += part
            warm = warm or memory_mib(gateway)
            size = gateway.database.stat().st_size
            print(f"{made} calls: {memory_mib(gateway):.0f} MiB, {size / made:.0f} bytes a call")
        leaks = {
            "reserved": reserved(gateway.database),
            "memory grew by half": memory_mib(gateway) > 1.5 * warm,
            "more than the ledger stays": made > 5 * CALLS_AN_ACCOUNT
            and gateway.database.stat().st_size > made * USUAL_LEDGER_LINE,
        }
    print(json.dumps({name: bool(found) for name, found in leaks.items()}))
    return int(any(leaks.values()))


def main() -> int:
    """As one of many clients (`--url --key --prefix`), prints its statuses; else endures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--url")
    parser.add_argument("--key")
    parser.add_argument("--prefix", default="call")
    parser.add_argument("--at-once", type=int, default=8)
    given = parser.parse_args()
    if given.url is None:
        return asyncio.run(endure(given.calls))
    done = asyncio.run(calls(given.url, given.key, given.calls, given.prefix, given.at_once))
    print(json.dumps(done))
    return 0


if __name__ == "__main__":
    sys.exit(main())
