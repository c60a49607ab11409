"""Effects in SQLite. Each of the functions below runs inside one transaction."""

import sqlite3
import time
from dataclasses import asdict, replace
from typing import Any

from durable_agent_team.gateway.stores import effect_rules
from durable_agent_team.gateway.stores.effect_store import (
    MAX_EFFECTS,
    MAX_OUTCOME_BYTES,
    BeginEffect,
    Decision,
    Effect,
    EffectKey,
    EffectRefusal,
    EffectReply,
    EffectState,
    FinishEffect,
    ListedEffect,
    ResolveEffect,
)
from durable_agent_team.gateway.stores.sqlite_accounts import read as read_account
from durable_agent_team.gateway.stores.sqlite_scopes import enter, newest_attempt
from durable_agent_team.gateway.stores.sqlite_writer import Writer

LISTED = (
    "id, effect, tool, idempotent, state, attempt, decision, began_at, ended_at,"
    " coalesce(length(outcome), 0)"
)
ONE = "account_id = :account_id AND scope = :scope AND effect = :effect"
INSERT = """
INSERT INTO effects (account_id, scope, effect, tool, idempotent, state, attempt, begin_key,
  outcome, decision, began_at, ended_at)
VALUES (:account_id, :scope, :effect, :tool, :idempotent, :state, :attempt, :begin_key,
  :outcome, :decision, :now, :ended_at)
"""
UPDATE = f"""
UPDATE effects SET idempotent = :idempotent, state = :state, attempt = :attempt,
  begin_key = :begin_key, outcome = :outcome, decision = :decision,
  began_at = iif(attempt = :attempt, began_at, :now), ended_at = :ended_at
WHERE {ONE}
"""


class SqliteEffects:
    """Implements `stores.effect_store.EffectStore` in the ledger's file."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def begin(self, key: EffectKey, request: BeginEffect) -> EffectReply:
        return await self._writer.run(lambda conn: begin(conn, key, request, time.time()))

    async def finish(self, key: EffectKey, request: FinishEffect) -> EffectReply:
        return await self._writer.run(lambda conn: finish(conn, key, request, time.time()))

    async def resolve(self, key: EffectKey, request: ResolveEffect) -> EffectReply:
        return await self._writer.run(lambda conn: resolve(conn, key, request, time.time()))

    async def read(self, key: EffectKey) -> tuple[ListedEffect, bytes | None] | None:
        return await self._writer.run(lambda conn: read_listed(conn, key), durable=False)

    async def listed(
        self, account_id: str, scope: str, after: int, limit: int
    ) -> list[ListedEffect]:
        return await self._writer.run(
            lambda conn: listed(conn, account_id, scope, after, limit), durable=False
        )


def begin(
    conn: sqlite3.Connection, key: EffectKey, request: BeginEffect, now: float
) -> EffectReply:
    if refused := _account_refusal(conn, key.account_id):
        return EffectReply(None, refused)
    effect = read(conn, key)
    answer = effect_rules.begin(effect, request, newest_attempt(conn, key.account_id, key.scope))
    if answer.refusal is EffectRefusal.SUPERSEDED:
        return answer
    if effect is None and answer.refusal is None and _is_full(conn, key.account_id):
        return EffectReply(None, EffectRefusal.FULL)
    enter(conn, key.account_id, key.scope, request.attempt)
    if effect_rules.must_wait_for_a_person(effect, answer, request):
        unknown = _unknown_of_another(conn, key, request.attempt, now)
        if unknown is not None:
            return unknown
    _write(conn, key, effect, answer.effect, now)
    return answer


def finish(
    conn: sqlite3.Connection, key: EffectKey, request: FinishEffect, now: float
) -> EffectReply:
    """Also of a disabled account: what happened is kept, but not its outcome."""
    if _account_refusal(conn, key.account_id):
        request = replace(request, outcome=None)
    effect = read(conn, key)
    answer = effect_rules.finish(effect, request)
    _write(conn, key, effect, answer.effect, now)
    return answer


def resolve(
    conn: sqlite3.Connection, key: EffectKey, request: ResolveEffect, now: float
) -> EffectReply:
    if refused := _account_refusal(conn, key.account_id):
        return EffectReply(None, refused)
    effect = read(conn, key)
    answer = effect_rules.resolve(effect, request)
    _write(conn, key, effect, answer.effect, now)
    return answer


def _account_refusal(conn: sqlite3.Connection, account_id: str) -> EffectRefusal | None:
    account = read_account(conn, account_id)
    if account is None:
        return EffectRefusal.NO_ACCOUNT
    return None if account.status == "active" else EffectRefusal.DISABLED


def read(conn: sqlite3.Connection, key: EffectKey) -> Effect | None:
    query = (
        "SELECT tool, idempotent, state, attempt, begin_key, outcome, decision FROM effects"
        f" WHERE {ONE}"
    )
    row = conn.execute(query, asdict(key)).fetchone()
    if row is None:
        return None
    tool, idempotent, state, attempt, begin_key, outcome, decision = row
    decided = None if decision is None else Decision(decision)
    return Effect(tool, bool(idempotent), EffectState(state), attempt, begin_key, outcome, decided)


def read_listed(
    conn: sqlite3.Connection, key: EffectKey
) -> tuple[ListedEffect, bytes | None] | None:
    query = f"SELECT {LISTED}, outcome FROM effects WHERE {ONE}"
    row = conn.execute(query, asdict(key)).fetchone()
    return None if row is None else (_listed(row[:-1]), row[-1])


def listed(
    conn: sqlite3.Connection, account_id: str, scope: str, after: int, limit: int
) -> list[ListedEffect]:
    query = (
        f"SELECT {LISTED} FROM effects WHERE account_id = ? AND scope = ? AND id > ?"
        " ORDER BY id LIMIT ?"
    )
    return [_listed(row) for row in conn.execute(query, (account_id, scope, after, limit))]


def _unknown_of_another(
    conn: sqlite3.Connection, key: EffectKey, attempt: int, now: float
) -> EffectReply | None:
    """A refusal with the first effect of the scope that an older attempt left open, if any."""
    query = (
        "SELECT effect FROM effects WHERE account_id = :account_id AND scope = :scope"
        " AND state IN ('begun', 'unknown')"
        " AND (state = 'unknown' OR (attempt < :attempt AND NOT idempotent)) ORDER BY id LIMIT 1"
    )
    row = conn.execute(query, {**asdict(key), "attempt": attempt}).fetchone()
    if row is None:
        return None
    other = replace(key, effect=row[0])
    found = read(conn, other)
    assert found is not None
    unknown = replace(found, state=EffectState.UNKNOWN)
    _write(conn, other, found, unknown, now)
    return EffectReply(unknown, EffectRefusal.UNKNOWN, attempt, other.effect)


def _write(
    conn: sqlite3.Connection,
    key: EffectKey,
    before: Effect | None,
    after: Effect | None,
    now: float,
) -> None:
    if after is None or after == before:
        return
    values = {
        **_columns(after),
        "now": now,
        "ended_at": now if after.state in effect_rules.ENDED else None,
        "account_id": key.account_id,
        "scope": key.scope,
        "effect": key.effect,
    }
    conn.execute(INSERT if before is None else UPDATE, values)


def _columns(effect: Effect) -> dict[str, object]:
    return {
        "tool": effect.tool,
        "idempotent": int(effect.idempotent),
        "state": effect.state.value,
        "attempt": effect.attempt,
        "begin_key": effect.begin_key,
        "outcome": effect.outcome,
        "decision": None if effect.decision is None else effect.decision.value,
    }


def _is_full(conn: sqlite3.Connection, account_id: str) -> bool:
    query = "SELECT effects, bytes FROM effect_usage WHERE account_id = ?"
    used = conn.execute(query, (account_id,)).fetchone() or (0, 0)
    return used[0] >= MAX_EFFECTS or used[1] >= MAX_OUTCOME_BYTES


def _listed(row: tuple[Any, ...]) -> ListedEffect:
    id_, effect, tool, idempotent, state, attempt, decision, began_at, ended_at, size = row
    decided = None if decision is None else Decision(decision)
    return ListedEffect(
        *(id_, effect, tool, bool(idempotent), EffectState(state), attempt, decided),
        *(began_at, ended_at, size),
    )
