"""Whatever happens to two gateways on one database, no account is overspent, nothing is charged
twice, no change comes late, and what a provider has billed is charged or may have been billed."""

import asyncio
import contextlib
import random
import sqlite3
from collections import Counter
from collections.abc import Mapping

import aiohttp
import pytest

from tests.gateway.faulty_gateways import Faults, faulty_gateways
from tests.gateway.money_client import BUDGET, MoneyClient, code, usd
from tests.support.fuzzing import count, examples

ACTIONS = 15
Locks = Mapping[str, asyncio.Lock]


async def transfer(clients: list[MoneyClient], chance: random.Random, locks: Locks) -> None:
    """Between two accounts, with which nothing else happens meanwhile."""
    giver, taker = chance.sample(clients, 2)
    first, second = sorted((giver.name, taker.name))
    async with locks[first], locks[second]:
        amount, key = chance.randint(1, BUDGET // 2), f"m{chance.random()}"
        order = {"from": giver.agent.id, "to": taker.agent.id, "amount": usd(amount)}
        moved = await giver.until_answered("POST", "/v1/transfers", order, idempotency_key=key)
        if moved.status == 200:
            again = await giver.until_answered("POST", "/v1/transfers", order, idempotency_key=key)
            assert again.status == 200
            giver.budget -= amount
            taker.budget += amount
            giver.revision += 1
            taker.revision += 1
        elif taker.active:
            assert code(moved) == (409, "insufficient_funds")
        else:
            assert code(moved) == (409, "account_disabled")


async def work(client: MoneyClient, clients: list[MoneyClient], locks: Locks, actions: int) -> None:
    for _ in range(actions):
        async with locks[client.name]:
            await client.act()
        if client.chance.random() < 0.1:
            await transfer(clients, client.chance, locks)


async def broken_while(faults: Faults, clients: list[MoneyClient], actions: int) -> None:
    breaking = asyncio.create_task(faults.run())
    locks = {client.name: asyncio.Lock() for client in clients}
    try:
        await asyncio.gather(*(work(each, clients, locks, actions) for each in clients))
    finally:
        faults.over = True
        await breaking


async def run(seed: int, actions: int) -> Counter[str]:
    """What was done, and what happened to the gateways."""
    chance = random.Random(seed)
    async with faulty_gateways(chance) as (faults, provider), aiohttp.ClientSession() as http:
        urls = [gateway.url for gateway in faults.gateways]
        clients = [MoneyClient(urls, http, f"{seed}.{number}") for number in range(4)]
        for client in clients:
            await client.open()
        await broken_while(faults, clients, actions)
        for client in clients:
            await client.agrees(provider.billed)
        with contextlib.closing(sqlite3.connect(faults.gateways[0].database)) as conn:
            assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return sum((client.did for client in clients), faults.seen)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(examples(1, most=20)))
async def test_accounts_ledger_and_clients_agree_whatever_happens(seed: int) -> None:
    did = await run(seed, ACTIONS)
    count("money under faults", did.total())
    assert did["chat"]
