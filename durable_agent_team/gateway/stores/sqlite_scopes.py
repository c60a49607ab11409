"""Scopes in SQLite: which number a request gets, and what became of it. Each function runs inside
one transaction."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace

from durable_agent_team.gateway.stores import sqlite_calls
from durable_agent_team.gateway.stores.scope_records import (
    EndedRequest,
    Place,
    RequestEnd,
    ScopeState,
)
from durable_agent_team.gateway.stores.sqlite_accounts import read
from durable_agent_team.gateway.stores.sqlite_calls import Now
from durable_agent_team.gateway.stores.store import (
    OWN_LIMITS,
    BeginResult,
    CrowdedScope,
    NewCall,
    PendingCall,
    RefusalReason,
    Reserved,
    StoreRefusal,
)

IsDead = Callable[[str], bool]
"""Whether a gateway process has ended. What it held is given back."""

USED = (
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "saved",
)
LIMITS = ", ".join(f"'{cause.value}'" for cause in sorted(OWN_LIMITS))
LEAST_SECONDS = 0.00001
"""Between two requests: a time since 1970, as SQLite stores it, has steps of less."""
OF_BODY = "account_id = ? AND scope = ? AND body_hash = ?"
COUNTERS = {
    RequestEnd.REPLAYED: "replayed",
    RequestEnd.REFUSED: "refused",
    RequestEnd.FAILED: "failed",
}


def begin(
    conn: sqlite3.Connection,
    call: NewCall,
    process_id: str,
    now: Now,
    lease_seconds: float,
    is_dead: IsDead,
) -> BeginResult:
    """As `sqlite_calls.begin`, of a call with a place. Without a key, the call gets its number;
    with one, it must still hold it."""
    place = call.place
    assert place is not None
    newest = enter(conn, call.account_id, place.scope, place.attempt)
    if newest > place.attempt:
        account = read(conn, call.account_id)
        return StoreRefusal(RefusalReason.SUPERSEDED, account, newest)
    if call.key is None:
        number = _choose_number(conn, call, place, process_id, is_dead)
        if number is None:
            return CrowdedScope()
        _hold(conn, call, place, number, process_id, now.wall)
        call = replace(call, key=call_key(place.scope, call.body_hash, number))
    elif not _holds(conn, call, place):
        return StoreRefusal(RefusalReason.REPEATED, read(conn, call.account_id))
    begun = sqlite_calls.begin(conn, call, process_id, now, lease_seconds)
    if isinstance(begun, Reserved | PendingCall):
        return replace(begun, key=call.key)
    return begun


def call_key(scope: str, body_hash: str, number: int) -> str:
    """The idempotency key of a call in a scope."""
    return f"scope:{scope}:{body_hash}:{number}"


def enter(conn: sqlite3.Connection, account_id: str, scope: str, attempt: int) -> int:
    """The newest attempt that was seen, with this one. A new attempt begins without numbers."""
    newest = newest_attempt(conn, account_id, scope)
    if newest >= attempt:
        return newest
    conn.execute(
        "INSERT INTO scopes (account_id, scope, attempt) VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET attempt = excluded.attempt",
        (account_id, scope, attempt),
    )
    if newest:
        old = "DELETE FROM scope_numbers WHERE account_id = ? AND scope = ?"
        conn.execute(old, (account_id, scope))
    return attempt


def newest_attempt(conn: sqlite3.Connection, account_id: str, scope: str) -> int:
    """0 if the scope was not seen yet."""
    query = "SELECT attempt FROM scopes WHERE account_id = ? AND scope = ?"
    row = conn.execute(query, (account_id, scope)).fetchone()
    return row[0] if row else 0


def _choose_number(
    conn: sqlite3.Connection, call: NewCall, place: Place, process_id: str, is_dead: IsDead
) -> int | None:
    """The lowest number that no request holds, or that of the request which is repeated. None if
    that can be said only after it is known which clients have left."""
    body = (call.account_id, place.scope, call.body_hash)
    query = f"SELECT number, state, owner FROM scope_numbers WHERE {OF_BODY}"
    rows = conn.execute(query + " AND state <> 'kept' ORDER BY number", body).fetchall()
    for number, state, owner in rows:
        if state == "free" or (owner != process_id and is_dead(owner)):
            return int(number)
    if rows and not place.is_patient:
        return None
    last = conn.execute(query + " ORDER BY begun_at DESC, number DESC LIMIT 1", body).fetchone()
    if last is None:
        return 0
    number, state, owner = last
    if place.is_retry and (owner == process_id or not is_dead(owner)):
        # Its answer did not arrive. If the process that sent it has ended, the repeated request
        # probably never reached a gateway: then this one is like a first one.
        return int(number)
    highest = f"SELECT max(number) FROM scope_numbers WHERE {OF_BODY}"
    return int(conn.execute(highest, body).fetchone()[0]) + 1


def _hold(
    conn: sqlite3.Connection, call: NewCall, place: Place, number: int, process_id: str, now: float
) -> None:
    """The order of `begun_at` is that of the requests, also after the clock has jumped back."""
    body = (call.account_id, place.scope, call.body_hash)
    latest = f"SELECT coalesce(max(begun_at), 0) FROM scope_numbers WHERE {OF_BODY}"
    begun_at = max(now, conn.execute(latest, body).fetchone()[0] + LEAST_SECONDS)
    conn.execute(
        "INSERT INTO scope_numbers VALUES (?, ?, ?, ?, 'open', ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " state = 'open', holder = excluded.holder, owner = excluded.owner,"
        " begun_at = excluded.begun_at",
        (*body, number, place.holder, process_id, begun_at),
    )


def _holds(conn: sqlite3.Connection, call: NewCall, place: Place) -> bool:
    query = f"SELECT 1 FROM scope_numbers WHERE {OF_BODY} AND holder = ? AND state = 'open'"
    body = (call.account_id, place.scope, call.body_hash)
    return conn.execute(query, (*body, place.holder)).fetchone() is not None


def end(conn: sqlite3.Connection, ended: EndedRequest) -> None:
    place = ended.place
    if ended.body_hash is not None:
        conn.execute(
            f"UPDATE scope_numbers SET state = ? WHERE {OF_BODY} AND holder = ?",
            (
                "kept" if ended.handed_over else "free",
                *(ended.account_id, place.scope, ended.body_hash, place.holder),
            ),
        )
    of_scope = (ended.account_id, place.scope)
    changes, values = [], []
    if column := COUNTERS.get(ended.how):
        changes.append(f"{column} = {column} + 1")
    has_error = ended.error is not None
    if not changes and not has_error:
        return
    newest = enter(conn, ended.account_id, place.scope, place.attempt)
    if has_error and newest == place.attempt:
        kind = "refusal" if ended.how is RequestEnd.REFUSED else "failure"
        changes.append(f"last_{kind} = ?")
        values.append(ended.error)
    if changes:
        conn.execute(
            f"UPDATE scopes SET {', '.join(changes)} WHERE account_id = ? AND scope = ?",
            (*values, *of_scope),
        )


def state(conn: sqlite3.Connection, account_id: str, scope: str) -> ScopeState:
    of_scope = (account_id, scope)
    of = "WHERE account_id = ? AND scope = ?"
    row = conn.execute(
        f"SELECT attempt, replayed, refused, failed, last_refusal, last_failure FROM scopes {of}",
        of_scope,
    ).fetchone()
    if row is None:
        return ScopeState()
    attempt, replayed, refused, failed, last_refusal, last_failure = row
    spent, *used, charged = conn.execute(
        f"SELECT {', '.join(f'coalesce(sum({each}), 0)' for each in ('amount', *USED))}, count(*)"
        f" FROM ledger {of}",
        of_scope,
    ).fetchone()
    reserved, in_flight = conn.execute(
        f"SELECT coalesce(sum(bound), 0), count(*) FROM calls {of} AND state = 'pending'", of_scope
    ).fetchone()
    possibly_billed, given_up, last_limit = conn.execute(
        "SELECT coalesce(sum(bound), 0), count(*),"
        f" max(iif(cause IN ({LIMITS}), attempt, NULL)) FROM interruptions {of}",
        of_scope,
    ).fetchone()
    return ScopeState(
        attempt,
        *(spent, charged, reserved, in_flight, replayed, refused, failed),
        *(possibly_billed, given_up, last_refusal, last_failure, last_limit),
        *used,
    )
