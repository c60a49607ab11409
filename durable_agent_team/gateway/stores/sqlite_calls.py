"""Calls in SQLite: reserve, settle, release. Each function runs inside one transaction."""

import sqlite3
from dataclasses import replace
from typing import NamedTuple

from durable_agent_team.gateway.amounts import MAX_MICRO
from durable_agent_team.gateway.stores.account_records import Account
from durable_agent_team.gateway.stores.sqlite_accounts import COLUMNS, read
from durable_agent_team.gateway.stores.store import (
    CALL,
    OWN_LIMITS,
    BeginResult,
    InterruptionCause,
    LedgerLine,
    NewCall,
    PendingCall,
    PossiblyBilledCall,
    RefusalReason,
    Reserved,
    Settlement,
    StoredCall,
    StoreRefusal,
)


class Now(NamedTuple):
    """One moment by two clocks, in seconds."""

    wall: float
    """Since 1970: for what is recorded. It jumps when somebody sets it, and over a suspend."""
    steady: float
    """Since the machine was started, without its suspends: the same for all processes of a machine.
    Leases are measured by it."""


RESERVE = """
UPDATE accounts SET reserved = reserved + :bound
WHERE id = :id AND status = 'active' AND spent + reserved + :bound <= budget
"""
SETTLE = """
UPDATE accounts SET reserved = reserved - :bound, spent = spent + :amount, charges = charges + 1
WHERE id = :id
"""
IS_HELD = "coalesce(lease_ends > :steady, expires_at > :wall)"
"""Whether a call's lease lasts at this moment. A gateway of version 6 knew the wall clock only."""
EARLIER = f"""
SELECT {COLUMNS}, call_id, body_hash, state, response_status, response, is_held,
  call_id IS NULL AND EXISTS (
    SELECT 1 FROM ledger WHERE account_id = :id AND idempotency_key = :key AND kind = '{CALL}'
  )
FROM accounts LEFT JOIN (
  SELECT id AS call_id, account_id, body_hash, state, status AS response_status, response,
    {IS_HELD} AS is_held FROM calls WHERE account_id = :id AND key = :key
) ON account_id = id
WHERE id = :id
"""
"""An account with the call under this key; if there is none, whether one was charged."""
ACCOUNT_COLUMNS = COLUMNS.count(",") + 1
PENDING = """
SELECT key, model, bound, scope, attempt,
  accounts.id, name, accounts.status, budget, spent + :amount, reserved - bound, charges + 1,
  created_at, possibly_billed_calls, possibly_billed
FROM calls JOIN accounts ON accounts.id = account_id
WHERE calls.id = :call_id AND state = 'pending'
"""
"""A call in flight, and its account as it is once `:amount` was charged. `RETURNING` in the updates
would give that, too, but it takes SQLite longer than the update itself."""
RELEASE = f"UPDATE accounts SET reserved = reserved - :bound WHERE id = :id RETURNING {COLUMNS}"
GIVE_UP = f"""
UPDATE accounts SET reserved = reserved - :bound,
  possibly_billed_calls = possibly_billed_calls + 1,
  possibly_billed = min(possibly_billed + :bound, {MAX_MICRO})
WHERE id = :id RETURNING {COLUMNS}
"""


def begin(
    conn: sqlite3.Connection, call: NewCall, process_id: str, now: Now, lease_seconds: float
) -> BeginResult:
    found = read(conn, call.account_id) if call.key is None else _earlier_call(conn, call, now)
    if found is None:
        return StoreRefusal(RefusalReason.NOT_FOUND)
    if not isinstance(found, Account):
        return found
    bound = min(call.bound, MAX_MICRO + 1)  # no account has that much; SQLite has 64 bits
    if not conn.execute(RESERVE, {"bound": bound, "id": call.account_id}).rowcount:
        active = found.status == "active"
        return StoreRefusal(RefusalReason.EXHAUSTED if active else RefusalReason.DISABLED, found)
    lease = lease_seconds if call.lease_seconds is None else call.lease_seconds
    conn.execute(
        "INSERT INTO calls (id, account_id, key, body_hash, model, state, bound, owner, expires_at,"
        " lease_ends, scope, attempt) VALUES (?, ?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?)",
        (
            *(call.id, call.account_id, call.key, call.body_hash, call.model, call.bound),
            *(process_id, now.wall + lease, now.steady + lease),
            *((call.place.scope, call.place.attempt) if call.place else (None, None)),
        ),
    )
    return Reserved(replace(found, reserved=found.reserved + bound), now.steady + lease)


def _earlier_call(
    conn: sqlite3.Connection, call: NewCall, now: Now
) -> BeginResult | Account | None:
    """What became of an earlier call with this key; the account if a call can be made now, and None
    if there is no account."""
    given = {"id": call.account_id, "key": call.key, **now._asdict()}
    row = conn.execute(EARLIER, given).fetchone()
    if row is None:
        return None
    account = Account(*row[:ACCOUNT_COLUMNS])
    if account.status != "active":
        return account  # the reservation refuses it, with the reason
    call_id, body_hash, state, status, response, is_held, charged = row[ACCOUNT_COLUMNS:]
    if call_id is None:
        if charged:
            return StoreRefusal(RefusalReason.ANSWER_DROPPED, account)
        reached = account.possibly_billed_calls and _has_unknown_limit(conn, call)
        return StoreRefusal(RefusalReason.LIMIT_REACHED, account) if reached else account
    if body_hash != call.body_hash:
        return StoreRefusal(RefusalReason.CONFLICT, account)
    if state == "done":
        return StoredCall(account, status, response)
    if is_held:
        return PendingCall(account)
    return release(conn, call_id, InterruptionCause.LEASE_EXPIRED, now.wall)


def _has_unknown_limit(conn: sqlite3.Connection, call: NewCall) -> bool:
    """The SDKs that call in a scope retry by themselves and do not count, so there each attempt
    runs into a limit once."""
    if call.known_limits is None and call.place is None:
        return False
    query = "SELECT cause, attempt FROM interruptions WHERE account_id = ? AND idempotency_key = ?"
    rows = conn.execute(query, (call.account_id, call.key)).fetchall()
    if call.known_limits is None and call.place is not None:
        return any(cause in OWN_LIMITS and by == call.place.attempt for cause, by in rows)
    return sum(cause in OWN_LIMITS for cause, _ in rows) > (call.known_limits or 0)


def settle(conn: sqlite3.Connection, done: Settlement, now: float) -> Account | None:
    row = conn.execute(PENDING, {"call_id": done.call_id, "amount": done.amount}).fetchone()
    if row is None:
        return None
    key, model, bound, scope, attempt = row[:5]
    account = Account(*row[5:])
    conn.execute(
        "INSERT INTO ledger (account_id, created_at, idempotency_key, model, prompt_tokens,"
        " completion_tokens, amount, estimated, overrun, cached_tokens, cache_write_tokens,"
        " reasoning_tokens, saved, price_source, scope, attempt)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(account.id, now, key, model, done.prompt_tokens, done.completion_tokens),
            *(done.amount, int(done.estimated), done.overrun, done.cached_tokens),
            *(done.cache_write_tokens, done.reasoning_tokens, done.saved, done.price_source),
            *(scope, attempt),
        ),
    )
    conn.execute(SETTLE, {"bound": bound, "amount": done.amount, "id": account.id})
    if done.overrun:
        conn.execute(
            "INSERT INTO refused_models VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
            " SET overrun = min(overrun + excluded.overrun, ?)",
            (model, done.price_fingerprint, done.overrun, MAX_MICRO),
        )
    if key is None or account.status != "active":
        conn.execute("DELETE FROM calls WHERE id = ?", (done.call_id,))
    else:
        conn.execute(
            "UPDATE calls SET state = 'done', status = ?, response = ? WHERE id = ?",
            (done.status, done.response, done.call_id),
        )
    return account


def release(
    conn: sqlite3.Connection, call_id: str, cause: InterruptionCause | None, now: float
) -> Account | None:
    row = conn.execute(
        "DELETE FROM calls WHERE id = ? AND state = 'pending'"
        " RETURNING account_id, key, model, bound, scope, attempt",
        (call_id,),
    ).fetchone()
    if row is None:
        return None
    account_id, key, model, bound, scope, attempt = row
    if cause is not None:
        if scope is not None:
            attempt = _newest_attempt(conn, account_id, scope, attempt)
        conn.execute(
            "INSERT INTO interruptions (account_id, created_at, idempotency_key, model, cause,"
            " bound, scope, attempt) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (account_id, now, key, model, cause.value, bound, scope, attempt),
        )
    statement = RELEASE if cause is None else GIVE_UP
    return Account(*conn.execute(statement, {"bound": bound, "id": account_id}).fetchone())


def _newest_attempt(conn: sqlite3.Connection, account_id: str, scope: str, began: int) -> int:
    """The newer attempt would have got the answer, and so it gets the end without one: if that was
    a limit, it does not make the call again."""
    query = "SELECT attempt FROM scopes WHERE account_id = ? AND scope = ?"
    row = conn.execute(query, (account_id, scope)).fetchone()
    return max(began, row[0]) if row else began


def pending_processes(conn: sqlite3.Connection) -> set[str]:
    rows = conn.execute("SELECT DISTINCT owner FROM calls WHERE state = 'pending'")
    return {row[0] for row in rows}


def release_abandoned(conn: sqlite3.Connection, dead: set[str], now: Now) -> int:
    query = f"SELECT id, owner, {IS_HELD} FROM calls WHERE state = 'pending'"
    released = 0
    for call_id, process_id, is_held in conn.execute(query, now._asdict()).fetchall():
        if process_id in dead:
            release(conn, call_id, InterruptionCause.GATEWAY_DIED, now.wall)
        elif not is_held:
            release(conn, call_id, InterruptionCause.LEASE_EXPIRED, now.wall)
        else:
            continue
        released += 1
    return released


def ledger_lines(
    conn: sqlite3.Connection,
    account_id: str,
    after: int,
    limit: int,
    key: str | None,
    scope: str | None = None,
    kind: str | None = None,
) -> list[LedgerLine]:
    query = (
        "SELECT id, created_at, idempotency_key, model, prompt_tokens, completion_tokens, amount,"
        " estimated, overrun, cached_tokens, cache_write_tokens, reasoning_tokens, saved,"
        " price_source, scope, attempt, kind, what FROM ledger WHERE account_id = ? AND id > ?"
    )
    filters, values = _filters(idempotency_key=key, scope=scope, kind=kind)
    rows = conn.execute(
        query + filters + " ORDER BY id LIMIT ?", (account_id, after, *values, limit)
    )
    return [LedgerLine(*(*row[:7], bool(row[7]), *row[8:])) for row in rows]


def interrupted(conn: sqlite3.Connection, account_id: str) -> dict[str, int]:
    query = "SELECT cause, count(*) FROM interruptions WHERE account_id = ? GROUP BY cause"
    counts: dict[str, int] = {}
    for cause, count in conn.execute(query, (account_id,)):
        shown = cause
        if cause in OWN_LIMITS:
            shown = InterruptionCause.UPSTREAM_BROKE_OFF.value
        counts[shown] = counts.get(shown, 0) + count
    return counts


def possibly_billed(
    conn: sqlite3.Connection,
    account_id: str,
    after: int,
    limit: int,
    key: str | None,
    scope: str | None = None,
) -> list[PossiblyBilledCall]:
    query = (
        "SELECT id, created_at, idempotency_key, model, bound, cause, scope, attempt"
        " FROM interruptions WHERE account_id = ? AND id > ?"
    )
    filters, values = _filters(idempotency_key=key, scope=scope)
    rows = conn.execute(
        query + filters + " ORDER BY id LIMIT ?", (account_id, after, *values, limit)
    )
    return [PossiblyBilledCall(*row) for row in rows]


def _filters(**wanted: str | None) -> tuple[str, list[str]]:
    """Further conditions of a query, by column, with their values."""
    given = {column: value for column, value in wanted.items() if value is not None}
    return "".join(f" AND {column} = ?" for column in given), list(given.values())
