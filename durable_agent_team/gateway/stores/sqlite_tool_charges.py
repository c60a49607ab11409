"""Tools' charges in SQLite. Each of the functions below runs inside one transaction."""

import sqlite3
import time

from durable_agent_team.gateway.stores.account_records import Account
from durable_agent_team.gateway.stores.sqlite_accounts import COLUMNS
from durable_agent_team.gateway.stores.sqlite_accounts import read as read_account
from durable_agent_team.gateway.stores.sqlite_calls import RELEASE, RESERVE, SETTLE
from durable_agent_team.gateway.stores.sqlite_writer import Writer
from durable_agent_team.gateway.stores.store import TOOL
from durable_agent_team.gateway.stores.tool_charge_store import (
    ToolCharge,
    ToolChargeKey,
    ToolChargeRefusal,
    ToolChargeReply,
    ToolChargeState,
)

RETURNING = f"RETURNING {COLUMNS}"
INSERT = """
INSERT INTO tool_charges (account_id, key, amount, what, state, reserved_at)
VALUES (?, ?, ?, ?, 'reserved', ?)
ON CONFLICT DO UPDATE SET state = 'reserved', reserved_at = excluded.reserved_at, ended_at = NULL,
  revision = revision + 1
"""
REPEAT = "UPDATE tool_charges SET revision = revision + 1 WHERE account_id = ? AND key = ?"
"""So that no earlier attempt of the call can release what this one relies on."""
END = "UPDATE tool_charges SET state = ?, ended_at = ? WHERE account_id = ? AND key = ?"
LEDGER = f"""
INSERT INTO ledger (account_id, created_at, idempotency_key, model, prompt_tokens,
  completion_tokens, amount, estimated, overrun, kind, what)
VALUES (?, ?, ?, '', 0, 0, ?, 0, 0, '{TOOL}', ?)
"""


class SqliteToolCharges:
    """Implements `stores.tool_charge_store.ToolChargeStore` in the ledger's file."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def reserve(
        self, key: ToolChargeKey, charge: ToolCharge, revision: int | None = None
    ) -> ToolChargeReply:
        return await self._writer.run(
            lambda conn: reserve(conn, key, charge, time.time(), revision)
        )

    async def settle(self, key: ToolChargeKey) -> ToolChargeReply:
        return await self._writer.run(lambda conn: settle(conn, key, time.time()))

    async def release(self, key: ToolChargeKey, revision: int | None = None) -> ToolChargeReply:
        return await self._writer.run(lambda conn: release(conn, key, time.time(), revision))

    async def read(self, key: ToolChargeKey) -> ToolCharge | None:
        return await self._writer.run(lambda conn: read(conn, key), durable=False)


def reserve(
    conn: sqlite3.Connection,
    key: ToolChargeKey,
    new: ToolCharge,
    now: float,
    revision: int | None = None,
) -> ToolChargeReply:
    charge, account = read(conn, key), read_account(conn, key.account_id)
    if account is None:
        return ToolChargeReply(None, None, ToolChargeRefusal.NO_ACCOUNT)
    if account.status != "active":
        return ToolChargeReply(charge, account, ToolChargeRefusal.DISABLED)
    if charge is not None and charge.amount != new.amount:
        return ToolChargeReply(charge, account, ToolChargeRefusal.OTHER_AMOUNT)
    if _has_changed(charge, revision):
        return ToolChargeReply(charge, account, ToolChargeRefusal.CHANGED)
    if charge is not None and charge.state is ToolChargeState.SETTLED:
        return ToolChargeReply(charge, account)
    if charge is not None and charge.state is ToolChargeState.RESERVED:
        conn.execute(REPEAT, (key.account_id, key.key))
        return ToolChargeReply(read(conn, key), account)
    row = conn.execute(RESERVE + RETURNING, {"bound": new.amount, "id": key.account_id}).fetchone()
    if row is None:
        return ToolChargeReply(charge, account, ToolChargeRefusal.EXHAUSTED)
    conn.execute(INSERT, (key.account_id, key.key, new.amount, new.what, now))
    return ToolChargeReply(read(conn, key), Account(*row), changed=True)


def settle(conn: sqlite3.Connection, key: ToolChargeKey, now: float) -> ToolChargeReply:
    charge, account = read(conn, key), read_account(conn, key.account_id)
    if charge is None or account is None:
        return ToolChargeReply(None, account, ToolChargeRefusal.NOT_FOUND)
    if charge.state is ToolChargeState.RELEASED:
        return ToolChargeReply(charge, account, ToolChargeRefusal.RELEASED)
    if charge.state is ToolChargeState.SETTLED:
        return ToolChargeReply(charge, account)
    figures = {"bound": charge.amount, "amount": charge.amount, "id": key.account_id}
    row = conn.execute(SETTLE + RETURNING, figures).fetchone()
    conn.execute(LEDGER, (key.account_id, now, key.key, charge.amount, charge.what))
    conn.execute(END, (ToolChargeState.SETTLED.value, now, key.account_id, key.key))
    return ToolChargeReply(read(conn, key), Account(*row), changed=True)


def release(
    conn: sqlite3.Connection, key: ToolChargeKey, now: float, revision: int | None = None
) -> ToolChargeReply:
    charge, account = read(conn, key), read_account(conn, key.account_id)
    if charge is None or account is None:
        return ToolChargeReply(None, account, ToolChargeRefusal.NOT_FOUND)
    if charge.state is ToolChargeState.SETTLED:
        return ToolChargeReply(charge, account, ToolChargeRefusal.SETTLED)
    if _has_changed(charge, revision):
        return ToolChargeReply(charge, account, ToolChargeRefusal.CHANGED)
    conn.execute(REPEAT, (key.account_id, key.key))
    if charge.state is ToolChargeState.RELEASED:
        return ToolChargeReply(read(conn, key), account)
    row = conn.execute(RELEASE, {"bound": charge.amount, "id": key.account_id}).fetchone()
    conn.execute(END, (ToolChargeState.RELEASED.value, now, key.account_id, key.key))
    return ToolChargeReply(read(conn, key), Account(*row), changed=True)


def read(conn: sqlite3.Connection, key: ToolChargeKey) -> ToolCharge | None:
    query = (
        "SELECT amount, what, state, revision FROM tool_charges WHERE account_id = ? AND key = ?"
    )
    row = conn.execute(query, (key.account_id, key.key)).fetchone()
    return None if row is None else ToolCharge(row[0], row[1], ToolChargeState(row[2]), row[3])


def _has_changed(charge: ToolCharge | None, revision: int | None) -> bool:
    return revision not in (None, 0 if charge is None else charge.revision)
