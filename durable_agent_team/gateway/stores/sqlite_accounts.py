"""Accounts in SQLite: open, change, transfer. Each function runs inside one transaction."""

import sqlite3

from durable_agent_team.gateway.amounts import MAX_MICRO
from durable_agent_team.gateway.stores.account_records import Account
from durable_agent_team.gateway.stores.effect_schema import DROP_OUTCOMES
from durable_agent_team.gateway.stores.store import NewAccount, RefusalReason, StoreRefusal
from durable_agent_team.gateway.stores.tool_charge_schema import SETTLE_OPEN

COLUMNS = (
    "id, name, status, budget, spent, reserved, charges, created_at,"
    " possibly_billed_calls, possibly_billed, revision"
)


def read(conn: sqlite3.Connection, account_id: str) -> Account | None:
    query = f"SELECT {COLUMNS} FROM accounts WHERE id = ?"
    row = conn.execute(query, (account_id,)).fetchone()
    return Account(*row) if row else None


def find(conn: sqlite3.Connection, key_hash: str) -> Account | None:
    query = f"SELECT {COLUMNS} FROM accounts WHERE key_hash = ?"
    row = conn.execute(query, (key_hash,)).fetchone()
    return Account(*row) if row else None


def open_account(
    conn: sqlite3.Connection, new: NewAccount, now: float
) -> tuple[Account, bool] | StoreRefusal:
    if new.open_key is not None:
        query = f"SELECT open_hash, {COLUMNS} FROM accounts WHERE open_key = ?"
        row = conn.execute(query, (new.open_key,)).fetchone()
        if row:
            account = Account(*row[1:])
            same = row[0] == new.open_hash
            return (account, False) if same else StoreRefusal(RefusalReason.CONFLICT, account)
    conn.execute(
        "INSERT INTO accounts (id, name, key_hash, status, budget, created_at, open_key, open_hash)"
        " VALUES (?, ?, ?, 'active', ?, ?, ?, ?)",
        (new.id, new.name, new.key_hash, new.budget, now, new.open_key, new.open_hash),
    )
    _record_budget_change(conn, new.id, new.budget, "open", now)
    return Account(new.id, new.name, "active", new.budget, 0, 0, 0, now), True


def change(
    conn: sqlite3.Connection,
    account_id: str,
    budget: int | None,
    status: str | None,
    now: float,
    revision: int | None = None,
) -> Account | StoreRefusal:
    account = read(conn, account_id)
    if account is None:
        return StoreRefusal(RefusalReason.NOT_FOUND)
    if revision not in (None, account.revision):
        return StoreRefusal(RefusalReason.CHANGED, account)
    if budget is not None:
        taken = conn.execute(
            "UPDATE accounts SET budget = ? WHERE id = ? AND spent + reserved <= ?",
            (budget, account_id, budget),
        )
        if not taken.rowcount:
            return StoreRefusal(RefusalReason.BELOW_SPENT, account)
        if budget != account.budget:
            _record_budget_change(conn, account_id, budget - account.budget, "set", now)
    if status is not None:
        conn.execute("UPDATE accounts SET status = ? WHERE id = ?", (status, account_id))
        if status == "disabled":
            # Only answers under a key are stored; the condition on `key` lets SQLite use the index.
            conn.execute(
                "DELETE FROM calls WHERE account_id = ? AND key IS NOT NULL AND state = 'done'",
                (account_id,),
            )
            conn.execute("DELETE FROM scope_numbers WHERE account_id = ?", (account_id,))
            conn.execute(DROP_OUTCOMES, (account_id,))
            for statement in SETTLE_OPEN:
                conn.execute(statement, {"id": account_id, "now": now})
    return read(conn, account_id) or StoreRefusal(RefusalReason.NOT_FOUND)


def transfer(
    conn: sqlite3.Connection, from_id: str, to_id: str, amount: int, key: str | None, now: float
) -> tuple[Account, Account] | StoreRefusal:
    source, target = read(conn, from_id), read(conn, to_id)
    if source is None or target is None:
        return StoreRefusal(RefusalReason.NOT_FOUND, source)
    if key is not None:
        query = "SELECT from_id, to_id, amount FROM transfers WHERE key = ?"
        before = conn.execute(query, (key,)).fetchone()
        if before:
            same = before == (from_id, to_id, amount)
            return (source, target) if same else StoreRefusal(RefusalReason.CONFLICT)
    if target.status != "active":
        return StoreRefusal(RefusalReason.DISABLED, target)
    if target.budget + amount > MAX_MICRO:
        return StoreRefusal(RefusalReason.TOO_LARGE, target)
    taken = conn.execute(
        "UPDATE accounts SET budget = budget - ? WHERE id = ? AND spent + reserved + ? <= budget",
        (amount, from_id, amount),
    )
    if not taken.rowcount:
        return StoreRefusal(RefusalReason.EXHAUSTED, source)
    conn.execute("UPDATE accounts SET budget = budget + ? WHERE id = ?", (amount, to_id))
    made = conn.execute(
        "INSERT INTO transfers (key, from_id, to_id, amount, created_at) VALUES (?, ?, ?, ?, ?)",
        (key, from_id, to_id, amount, now),
    )
    _record_budget_change(conn, from_id, -amount, "transfer", now, made.lastrowid)
    _record_budget_change(conn, to_id, amount, "transfer", now, made.lastrowid)
    after = read(conn, from_id), read(conn, to_id)
    assert after[0] is not None
    assert after[1] is not None
    return after[0], after[1]


def _record_budget_change(
    conn: sqlite3.Connection,
    account_id: str,
    amount: int,
    cause: str,
    now: float,
    transfer_id: int | None = None,
) -> None:
    conn.execute(
        "INSERT INTO budget_changes (account_id, created_at, amount, cause, transfer_id)"
        " VALUES (?, ?, ?, ?, ?)",
        (account_id, now, amount, cause, transfer_id),
    )
