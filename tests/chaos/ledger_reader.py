"""Reads the gateway's ledger from its database file, with none of the gateway's code."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.facts import AccountFacts, BudgetChange, Charged, Facts, GivenUp


@contextmanager
def open_ledger(database: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
    try:
        yield connection
    finally:
        connection.close()


async def read_ledger(facts: Facts, database: Path, settled_within: float) -> None:
    """Waits until nothing is reserved any more or the leases have expired."""
    deadline = asyncio.get_running_loop().time() + settled_within
    while True:
        with open_ledger(database) as connection:
            _read(facts, connection)
        settled = not facts.pending and not any(each.reserved for each in facts.accounts)
        if settled or asyncio.get_running_loop().time() > deadline:
            return
        await asyncio.sleep(0.5)


def _read(facts: Facts, connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")  # one moment for all of it
    query = "SELECT id, name, status, budget, spent, reserved FROM accounts"
    facts.accounts = [
        AccountFacts(account, *_run_and_agent(name), status, budget, spent, reserved)
        for account, name, status, budget, spent, reserved in connection.execute(query)
    ]
    query = "SELECT account_id, coalesce(idempotency_key, ''), created_at, amount, kind FROM ledger"
    facts.ledger = [Charged(*row) for row in connection.execute(query + " ORDER BY id")]
    query = "SELECT account_id, created_at, amount FROM budget_changes ORDER BY id"
    facts.budgets = [BudgetChange(*row) for row in connection.execute(query)]
    query = (
        "SELECT account_id || ':' || coalesce(idempotency_key, ''), cause, created_at, bound"
        " FROM interruptions ORDER BY id"
    )
    facts.given_up = [GivenUp(*row) for row in connection.execute(query)]
    query = "SELECT count(*) FROM calls WHERE state = 'pending'"
    (facts.pending,) = connection.execute(query).fetchone()


def _run_and_agent(name: str) -> tuple[str, str]:
    """An account is named `agent@run/execution`."""
    agent, _, run = name.partition("@")
    return run.partition("/")[0], agent
