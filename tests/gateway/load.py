"""Load on the gateway: clients in many processes on one key, and, if wanted, a million calls.

`python -m tests.gateway.load --calls 1000000` runs a gateway process before the scripted upstream,
one account after the other, and finally checks the reservations, the gateway's memory and its
database. Exit status 1 if something leaks.
"""

import argparse
import asyncio
import json
import sqlite3
import sys
from collections import Counter
from pathlib import Path

import aiohttp

from tests.support.gateway import PARENT_KEY
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.upstream import ScriptedUpstream

BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 10}
CALLS_AN_ACCOUNT = 10_000
AT_ONCE = 64
USUAL_LEDGER_LINE = 300
"""Bytes in the database for one ledger line, including its two indexes."""
ALLOCATOR_NOISE_MIB = 16
"""How much a process without leaks can grow after its first account."""


async def calls(url: str, key: str, count: int, prefix: str, at_once: int) -> Counter[int]:
    """Makes `count` calls, each with its own idempotency key. Returns their statuses."""
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
    """Returns the id and key of a new account."""
    headers = {"Authorization": f"Bearer {PARENT_KEY}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        body = f'{{"name": "load", "budget": {budget}}}'
        async with http.post(f"{url}/agents", data=body) as answer:
            opened = await answer.json()
    return opened["id"], opened["api_key"]


async def disable(url: str, account_id: str) -> None:
    headers = {"Authorization": f"Bearer {PARENT_KEY}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        await http.patch(f"{url}/agents/{account_id}", json={"status": "disabled"})


def reserved(database: Path) -> int:
    with sqlite3.connect(database) as connection:
        (micros,) = connection.execute("SELECT coalesce(sum(reserved), 0) FROM accounts").fetchone()
    return int(micros)


def bytes_in_use(database: Path) -> int:
    """Bytes in used pages, including the write-ahead log. The file's size would depend on when the
    log was last written back, and on how long it ever was."""
    with sqlite3.connect(database) as connection:
        pages, free, size = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
    return (pages - free) * size


def memory_mib(gateway: GatewayProcess) -> float:
    assert gateway.process is not None
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


async def spend_an_account(gateway: GatewayProcess, count: int) -> tuple[float, int]:
    """Makes `count` calls on a new account. Returns the sizes of memory and database afterwards."""
    account_id, key = await open_account(gateway.base_url, "1000")
    statuses = await calls(gateway.base_url, key, count, "call", AT_ONCE)
    await disable(gateway.base_url, account_id)
    assert statuses == {200: count}, statuses
    return memory_mib(gateway), bytes_in_use(gateway.database)


async def endure(count: int) -> int:
    """Uses account after account until `count` calls are made. Prints the sizes of memory and
    database.

    Growth is measured from the end of the first account, when everything is warmed up.
    """
    async with (
        ScriptedUpstream(recording=False) as upstream,
        gateway_process(upstream.url) as gateway,
    ):
        warm_mib, first_bytes = await spend_an_account(gateway, CALLS_AN_ACCOUNT)
        made, memory, used = 0, warm_mib, first_bytes
        while made < count:
            part = min(CALLS_AN_ACCOUNT, count - made)
            memory, used = await spend_an_account(gateway, part)
            made += part
            a_call = (used - first_bytes) / made
            print(f"{made} calls: {memory:.1f} MiB (first {warm_mib:.1f}), {a_call:.0f} bytes each")
        leaks = {
            "reserved": reserved(gateway.database),
            "memory grew": memory > warm_mib + ALLOCATOR_NOISE_MIB,
            "more than the ledger stays": used - first_bytes > made * USUAL_LEDGER_LINE,
        }
    print(json.dumps({name: bool(found) for name, found in leaks.items()}))
    return int(any(leaks.values()))


def main() -> int:
    """With `--url --key --prefix`, runs as one of many clients and prints its statuses; otherwise
    runs the endurance test."""
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
