"""Any sequence of account operations: no overspending, and the ledger equals the sums."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from durable_agent_team.gateway.stores import (
    sqlite_accounts,
    sqlite_calls,
    sqlite_tool_charges,
)
from durable_agent_team.gateway.stores.account_records import Account
from durable_agent_team.gateway.stores.sqlite_calls import Now
from durable_agent_team.gateway.stores.sqlite_schema import APPEND_ONLY, connect
from durable_agent_team.gateway.stores.store import (
    InterruptionCause,
    NewAccount,
    NewCall,
    PendingCall,
    RefusalReason,
    Reserved,
    Settlement,
    StoredCall,
    StoreRefusal,
)
from durable_agent_team.gateway.stores.tool_charge_store import (
    ToolCharge,
    ToolChargeKey,
    ToolChargeRefusal,
    ToolChargeReply,
    ToolChargeState,
)
from tests.gateway.store_machine import StoreMachine

ACCOUNTS = ("a", "b", "c")
LEASE = 100.0
amounts = st.integers(0, 1_000)
accounts = st.sampled_from(ACCOUNTS)
keys = st.sampled_from(("k1", "k2", None))
tool_keys = st.sampled_from(("k1", "k2", "k3"))
bodies = st.sampled_from(("one", "other"))
owners = st.sampled_from(("living", "dying"))


class LedgerMachine(StoreMachine):
    """The model: `paid` is what was charged by key, `open` are the calls in flight. `tools` are the
    charges of tools; their keys are those of calls, too."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        """By the clock that leases are measured by; `jumped` is added to it on the wall."""
        self.jumped = 0.0
        self.count = 0
        self.open: dict[str, tuple[NewCall, str, float]] = {}
        self.paid: dict[tuple[str, str], int] = {}
        self.tools: dict[tuple[str, str], tuple[int, ToolChargeState]] = {}
        self.budgets = dict.fromkeys(ACCOUNTS, 500)
        for name in ACCOUNTS:
            new = NewAccount(name, name, f"hash-{name}", 500, f"open-{name}", "same")
            self.do(sqlite_accounts.open_account, new, self.now)

    @property
    def clocks(self) -> Now:
        return Now(self.now + self.jumped, self.now)

    def account(self, name: str) -> Account:
        account = sqlite_accounts.read(self.conn, name)
        assert account is not None
        return account

    @rule(name=accounts, key=keys, body=bodies, bound=amounts, owner=owners)
    def reserve(self, name: str, key: str | None, body: str, bound: int, owner: str) -> None:
        before = self.account(name)
        self.count += 1
        call = NewCall(f"call-{self.count}", name, key, body, "m", bound)
        begun = self.do(sqlite_calls.begin, call, owner, self.clocks, LEASE)
        expired = [
            id_
            for id_, (other, _, until) in self.open.items()
            if key is not None and (other.account_id, other.key) == (name, key)
            if until <= self.now
        ]
        if isinstance(begun, Reserved):
            for id_ in expired:
                del self.open[id_]
            assert before.status == "active"
            assert (name, key) not in self.paid
            self.open[call.id] = (call, owner, self.now + LEASE)
        elif isinstance(begun, StoredCall):
            assert key is not None
            assert (name, key) in self.paid
        elif isinstance(begun, PendingCall):
            assert not expired
        elif begun.reason is RefusalReason.EXHAUSTED:
            for id_ in expired:
                before = self.account(name)
                del self.open[id_]
            assert bound > before.remaining
        else:
            assert begun.reason in (
                RefusalReason.DISABLED,
                RefusalReason.CONFLICT,
                RefusalReason.ANSWER_DROPPED,
            )

    @precondition(lambda self: self.open)
    @rule(data=st.data(), part=st.integers(0, 100), overrun=st.integers(0, 5))
    def settle(self, data: st.DataObject, part: int, overrun: int) -> None:
        id_ = data.draw(st.sampled_from(sorted(self.open)))
        call, _, _ = self.open.pop(id_)
        amount = call.bound * part // 100
        done = Settlement(id_, 1, 1, amount, False, overrun, 200, b"{}", "price")
        assert self.do(sqlite_calls.settle, done, self.now) is not None
        if call.key is not None:
            self.paid[call.account_id, call.key] = amount
        assert self.do(sqlite_calls.settle, done, self.now) is None  # never twice

    @precondition(lambda self: self.open)
    @rule(data=st.data(), cause=st.sampled_from([None, InterruptionCause.UPSTREAM_BROKE_OFF]))
    def release(self, data: st.DataObject, cause: InterruptionCause | None) -> None:
        id_ = data.draw(st.sampled_from(sorted(self.open)))
        del self.open[id_]
        assert self.do(sqlite_calls.release, id_, cause, self.now) is not None
        assert self.do(sqlite_calls.release, id_, cause, self.now) is None

    @rule(name=accounts, key=tool_keys, amount=st.integers(1, 400))
    def reserve_a_tool(self, name: str, key: str, amount: int) -> None:
        before = self.account(name)
        known, state = self.tools.get((name, key), (amount, ToolChargeState.RELEASED))
        asked = ToolCharge(amount, "t")
        reply = self.do(sqlite_tool_charges.reserve, ToolChargeKey(name, key), asked, self.now)
        if before.status != "active":
            assert reply.refusal is ToolChargeRefusal.DISABLED
        elif known != amount:
            assert reply.refusal is ToolChargeRefusal.OTHER_AMOUNT
        elif state is not ToolChargeState.RELEASED:
            assert (reply.charge.state, reply.changed) == (state, False)
        elif amount > before.remaining:
            assert reply.refusal is ToolChargeRefusal.EXHAUSTED
        else:
            assert reply.changed
            self.tools[name, key] = (amount, ToolChargeState.RESERVED)

    @rule(name=accounts, key=tool_keys, settled=st.booleans())
    def end_a_tool(self, name: str, key: str, settled: bool) -> None:
        step = sqlite_tool_charges.settle if settled else sqlite_tool_charges.release
        end = ToolChargeState.SETTLED if settled else ToolChargeState.RELEASED
        reply: ToolChargeReply = self.do(step, ToolChargeKey(name, key), self.now)
        if (name, key) not in self.tools:
            assert reply.refusal is ToolChargeRefusal.NOT_FOUND
            return
        amount, before = self.tools[name, key]
        if before in (ToolChargeState.RESERVED, end):
            assert reply.refusal is None
            assert reply.changed is (before is not end)
            self.tools[name, key] = (amount, end)
        else:
            assert reply.refusal is not None

    @rule(name=accounts, budget=amounts)
    def top_up_or_cut(self, name: str, budget: int) -> None:
        before = self.account(name)
        changed = self.do(sqlite_accounts.change, name, budget, None, self.now)
        if budget < before.spent + before.reserved:
            assert changed == StoreRefusal(RefusalReason.BELOW_SPENT, before)
        else:
            self.budgets[name] = budget

    @rule(name=accounts, status=st.sampled_from(["active", "disabled"]))
    def switch(self, name: str, status: str) -> None:
        self.do(sqlite_accounts.change, name, None, status, self.now)
        assert self.account(name).status == status
        if status == "disabled":
            query = "SELECT count(*) FROM calls WHERE account_id = ? AND state = 'done'"
            assert self.conn.execute(query, (name,)).fetchone() == (0,)
            for (owner, key), (amount, state) in self.tools.items():
                if owner == name and state is ToolChargeState.RESERVED:
                    self.tools[owner, key] = (amount, ToolChargeState.SETTLED)

    @rule(giver=accounts, taker=accounts, amount=amounts)
    def transfer(self, giver: str, taker: str, amount: int) -> None:
        if giver == taker:
            return
        before = self.account(giver)
        active = self.account(taker).status == "active"
        self.count += 1
        key = f"t{self.count}"
        for _ in range(2):
            moved = self.do(sqlite_accounts.transfer, giver, taker, amount, key, self.now)
            if amount <= before.remaining and active:
                assert not isinstance(moved, StoreRefusal)
            else:
                assert isinstance(moved, StoreRefusal)
        if amount <= before.remaining and active:
            self.budgets[giver] -= amount
            self.budgets[taker] += amount

    @rule(seconds=st.sampled_from([1.0, LEASE / 2, LEASE]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=st.sampled_from([-10 * LEASE, 10 * LEASE]))
    def the_clock_is_set(self, seconds: float) -> None:
        """Which ends no lease, and lengthens none."""
        self.jumped += seconds

    @rule(dead=st.sampled_from([set(), {"dying"}]))
    def sweep(self, dead: set[str]) -> None:
        gone = [
            id_ for id_, (_, who, until) in self.open.items() if who in dead or until <= self.now
        ]
        released = self.do(sqlite_calls.release_abandoned, dead, self.clocks)
        assert released == len(gone)
        for id_ in gone:
            call = self.open.pop(id_)[0]
            late = Settlement(id_, 1, 1, call.bound, False, 0, 200, b"{}", "price")
            assert self.do(sqlite_calls.settle, late, self.now) is None

    @rule(name=accounts)
    def open_again(self, name: str) -> None:
        new = NewAccount("new", name, "new-hash", 999, f"open-{name}", "same")
        account, fresh = self.do(sqlite_accounts.open_account, new, self.now)
        assert (account.id, fresh) == (name, False)

    @invariant()
    def nothing_is_overspent_and_the_ledger_agrees(self) -> None:
        for name in ACCOUNTS:
            account = self.account(name)
            assert account.spent >= 0
            assert account.reserved >= 0
            assert account.spent + account.reserved <= account.budget == self.budgets[name]
            calls = sum(call.bound for call, _, _ in self.open.values() if call.account_id == name)
            assert account.reserved == calls + self.tools_in(name, ToolChargeState.RESERVED)
            assert (account.spent, account.charges) == self.sum("ledger", name)
            assert account.budget == self.sum("budget_changes", name)[0]

    @invariant()
    def each_key_is_charged_once(self) -> None:
        query = (
            "SELECT account_id, idempotency_key, amount FROM ledger"
            " WHERE idempotency_key IS NOT NULL AND kind = 'call'"
        )
        lines = self.conn.execute(query).fetchall()
        assert len(lines) == len(self.paid)
        assert {(name, key): amount for name, key, amount in lines} == self.paid

    @invariant()
    def a_tool_is_charged_once_where_it_is_settled(self) -> None:
        query = "SELECT account_id, idempotency_key, amount FROM ledger WHERE kind = 'tool'"
        settled = [
            (name, key, amount)
            for (name, key), (amount, state) in self.tools.items()
            if state is ToolChargeState.SETTLED
        ]
        assert sorted(self.conn.execute(query)) == sorted(settled)

    def tools_in(self, name: str, wanted: ToolChargeState) -> int:
        charges = ((owner, *charge) for (owner, _), charge in self.tools.items())
        return sum(amount for owner, amount, state in charges if (owner, state) == (name, wanted))

    def sum(self, table: str, name: str) -> tuple[int, int]:
        query = f"SELECT coalesce(sum(amount), 0), count(*) FROM {table} WHERE account_id = ?"
        total, count = self.conn.execute(query, (name,)).fetchone()
        return total, count


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("statement", ["UPDATE {} SET id = id + 1", "DELETE FROM {}"])
def test_append_only_tables_cannot_be_changed(tmp_path: Path, table: str, statement: str) -> None:
    conn = connect(tmp_path / "gateway.db")
    for name in ("a", "b"):
        new = NewAccount(name, name, name, 100, None, "")
        sqlite_accounts.open_account(conn, new, 0)
    sqlite_accounts.transfer(conn, "a", "b", 5, None, 0)
    sqlite_calls.begin(conn, NewCall("1", "b", "k", "", "m", 5), "me", Now(0, 0), 10)
    sqlite_calls.settle(conn, Settlement("1", 1, 1, 5, False, 0, 200, b"", ""), 0)
    sqlite_calls.begin(conn, NewCall("2", "b", "k2", "", "m", 5), "me", Now(0, 0), 10)
    sqlite_calls.release(conn, "2", InterruptionCause.UPSTREAM_BROKE_OFF, 0)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        conn.execute(statement.format(table))


def test_a_table_constraint_forbids_overspending(tmp_path: Path) -> None:
    conn = connect(tmp_path / "gateway.db")
    sqlite_accounts.open_account(conn, NewAccount("a", "a", "a", 100, None, ""), 0)
    with pytest.raises(sqlite3.IntegrityError):
        conn.execute("UPDATE accounts SET reserved = 60, spent = 41")
