"""The SQLite store. Several gateway processes on one machine may share a database file."""

import sqlite3
import time
from pathlib import Path

from durable_agent_team.gateway.stores import sqlite_accounts, sqlite_calls, sqlite_scopes
from durable_agent_team.gateway.stores.account_records import Account
from durable_agent_team.gateway.stores.open_files import OpenFiles
from durable_agent_team.gateway.stores.process_lock import ProcessLock
from durable_agent_team.gateway.stores.scope_records import EndedRequest, ScopeState
from durable_agent_team.gateway.stores.sqlite_calls import Now
from durable_agent_team.gateway.stores.sqlite_effects import SqliteEffects
from durable_agent_team.gateway.stores.sqlite_schema import connect, find_damage
from durable_agent_team.gateway.stores.sqlite_tool_charges import SqliteToolCharges
from durable_agent_team.gateway.stores.sqlite_writer import Writer
from durable_agent_team.gateway.stores.store import (
    BeginResult,
    InterruptionCause,
    LedgerLine,
    NewAccount,
    NewCall,
    PossiblyBilledCall,
    Settled,
    Settlement,
    StoreRefusal,
)


class SqliteStore:
    """Implements `stores.store.Store`. Create it inside the running event loop."""

    def __init__(self, path: Path, lease_seconds: float, secret_fingerprint: str = "") -> None:
        """Raises SchemaError; OtherSecret if a gateway with another fingerprint uses the file."""
        conn = connect(path)
        try:
            self._process_lock = ProcessLock(path, secret_fingerprint)
        except BaseException:
            conn.close()
            raise
        self._lease_seconds = lease_seconds
        self._writer = Writer(conn, OpenFiles(path), find_damage)
        self._effects = SqliteEffects(self._writer)
        self._tool_charges = SqliteToolCharges(self._writer)

    @property
    def effects(self) -> SqliteEffects:
        return self._effects

    @property
    def tool_charges(self) -> SqliteToolCharges:
        return self._tool_charges

    async def open_account(self, new: NewAccount) -> tuple[Account, bool] | StoreRefusal:
        return await self._writer.run(
            lambda conn: sqlite_accounts.open_account(conn, new, time.time())
        )

    async def find_account(self, key_hash: str) -> Account | None:
        return await self._writer.run(
            lambda conn: sqlite_accounts.find(conn, key_hash), durable=False
        )

    async def account(self, account_id: str) -> Account | None:
        return await self._writer.run(
            lambda conn: sqlite_accounts.read(conn, account_id), durable=False
        )

    async def interrupted(self, account_id: str) -> dict[str, int]:
        return await self._writer.run(lambda conn: sqlite_calls.interrupted(conn, account_id))

    async def possibly_billed(
        self,
        account_id: str,
        after: int,
        limit: int,
        idempotency_key: str | None,
        scope: str | None = None,
    ) -> list[PossiblyBilledCall]:
        return await self._writer.run(
            lambda conn: sqlite_calls.possibly_billed(
                conn, account_id, after, limit, idempotency_key, scope
            )
        )

    async def change_account(
        self, account_id: str, budget: int | None, status: str | None, revision: int | None = None
    ) -> Account | StoreRefusal:
        return await self._writer.run(
            lambda conn: sqlite_accounts.change(
                conn, account_id, budget, status, time.time(), revision
            )
        )

    async def transfer(
        self, from_id: str, to_id: str, amount: int, key: str | None
    ) -> tuple[Account, Account] | StoreRefusal:
        return await self._writer.run(
            lambda conn: sqlite_accounts.transfer(conn, from_id, to_id, amount, key, time.time())
        )

    async def ledger_lines(
        self,
        account_id: str,
        after: int,
        limit: int,
        idempotency_key: str | None,
        scope: str | None = None,
        kind: str | None = None,
    ) -> list[LedgerLine]:
        return await self._writer.run(
            lambda conn: sqlite_calls.ledger_lines(
                conn, account_id, after, limit, idempotency_key, scope, kind
            )
        )

    async def begin(self, call: NewCall) -> BeginResult:
        return await self._writer.run(lambda conn: self._begin(conn, call), durable=False)

    def _begin(self, conn: sqlite3.Connection, call: NewCall) -> BeginResult:
        figures = (self._process_lock.process_id, _now(), self._lease_seconds)
        if call.place is None:
            return sqlite_calls.begin(conn, call, *figures)
        return sqlite_scopes.begin(conn, call, *figures, self._process_lock.is_dead)

    async def settle(self, settlement: Settlement) -> Settled | None:
        return await self._writer.run(lambda conn: _settle(conn, settlement))

    async def end_request(self, ended: EndedRequest) -> None:
        await self._writer.run(lambda conn: sqlite_scopes.end(conn, ended), durable=False)

    async def enter_scope(self, account_id: str, scope: str, attempt: int) -> int:
        return await self._writer.run(
            lambda conn: sqlite_scopes.enter(conn, account_id, scope, attempt), durable=False
        )

    async def scope_state(self, account_id: str, scope: str) -> ScopeState:
        return await self._writer.run(
            lambda conn: sqlite_scopes.state(conn, account_id, scope), durable=False
        )

    async def release(self, call_id: str, cause: InterruptionCause | None) -> Account | None:
        """A call that may have been billed is on disk when this returns."""
        return await self._writer.run(
            lambda conn: sqlite_calls.release(conn, call_id, cause, time.time()),
            durable=cause is not None,
        )

    async def release_abandoned(self) -> int:
        self._process_lock.keep()
        process_ids = await self._writer.run(sqlite_calls.pending_processes)
        dead = self._process_lock.dead(process_ids)
        released = await self._writer.run(
            lambda conn: sqlite_calls.release_abandoned(conn, dead, _now())
        )
        self._process_lock.remove_dead()
        return released

    async def overruns(self) -> dict[tuple[str, str], int]:
        query = "SELECT model, price_fingerprint, overrun FROM refused_models"
        rows = await self._writer.run(lambda conn: conn.execute(query).fetchall())
        return {(model, fingerprint): overrun for model, fingerprint, overrun in rows}

    async def not_ready(self) -> str | None:
        return await self._writer.not_ready()

    async def close(self) -> None:
        await self._writer.close()
        self._process_lock.close()


def _now() -> Now:
    return Now(time.time(), time.monotonic())


def _settle(conn: sqlite3.Connection, settlement: Settlement) -> Settled | None:
    account = sqlite_calls.settle(conn, settlement, time.time())
    if account is None:
        return None
    if settlement.scope is None:
        return Settled(account)
    newest = sqlite_scopes.newest_attempt(conn, account.id, settlement.scope)
    return Settled(account, newest)
