"""The time of a request must not grow with the data of others in the database."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_agent_team.gateway.stores import (
    sqlite_accounts,
    sqlite_calls,
    sqlite_effects,
    sqlite_tool_charges,
)
from durable_agent_team.gateway.stores.effect_store import (
    BeginEffect,
    Decision,
    EffectKey,
    EffectRefusal,
    EffectState,
    FinishEffect,
    ResolveEffect,
)
from durable_agent_team.gateway.stores.sqlite_calls import Now
from durable_agent_team.gateway.stores.sqlite_schema import connect
from durable_agent_team.gateway.stores.store import (
    InterruptionCause,
    NewAccount,
    NewCall,
    Reserved,
    Settlement,
    StoredCall,
    StoreRefusal,
)
from durable_agent_team.gateway.stores.tool_charge_store import ToolCharge, ToolChargeKey

NOW = 1_000.0
CLOCKS = Now(NOW, 1.0)


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    made = connect(tmp_path / "gateway.sqlite")
    yield made
    made.close()


def run_every_operation(conn: sqlite3.Connection) -> None:
    """Does everything that requests do, with two accounts."""
    for name in ("a", "b"):
        new = NewAccount(name, name, f"hash-{name}", 1_000, f"open-{name}", "body")
        assert not isinstance(sqlite_accounts.open_account(conn, new, NOW), StoreRefusal)
        found = sqlite_accounts.find(conn, f"hash-{name}")
        assert found is not None
        assert found.id == name
    first = NewCall("1", "a", "key", "body", "m", 10)
    assert isinstance(sqlite_calls.begin(conn, first, "owner", CLOCKS, 60), Reserved)
    settled = Settlement("1", 1, 1, 5, False, 0, 200, b"answer", "price")
    assert sqlite_calls.settle(conn, settled, NOW) is not None
    again = NewCall("2", "a", "key", "body", "m", 10)
    assert isinstance(sqlite_calls.begin(conn, again, "owner", CLOCKS, 60), StoredCall)
    broken = NewCall("3", "a", "other", "body", "m", 10)
    assert isinstance(sqlite_calls.begin(conn, broken, "owner", CLOCKS, 60), Reserved)
    sqlite_calls.release(conn, "3", InterruptionCause.UPSTREAM_BROKE_OFF, NOW)
    keyless = NewCall("4", "a", None, "body", "m", 10)
    assert isinstance(sqlite_calls.begin(conn, keyless, "owner", CLOCKS, 60), Reserved)
    sqlite_calls.release(conn, "4", None, NOW)
    sqlite_accounts.change(conn, "a", 900, None, NOW)
    sqlite_accounts.transfer(conn, "a", "b", 10, "transfer", NOW)
    assert len(sqlite_calls.ledger_lines(conn, "a", 0, 10, None)) == 1
    assert len(sqlite_calls.ledger_lines(conn, "a", 0, 10, "key")) == 1
    assert len(sqlite_calls.possibly_billed(conn, "a", 0, 10, None)) == 1
    assert len(sqlite_calls.possibly_billed(conn, "a", 0, 10, "other")) == 1
    assert sqlite_calls.interrupted(conn, "a") == {"upstream_broke_off": 1}
    sqlite_calls.pending_processes(conn)
    sqlite_calls.release_abandoned(conn, set(), CLOCKS)
    key = EffectKey("a", "s", "e")
    for attempt in (1, 2):
        sqlite_effects.begin(conn, key, BeginEffect(attempt, "t", False), NOW)
    decided = ResolveEffect(Decision.RESULT, b"1")
    assert sqlite_effects.resolve(conn, key, decided, NOW).refusal is None
    finished = FinishEffect(1, EffectState.DONE, b"1")
    assert sqlite_effects.finish(conn, key, finished, NOW).refusal is EffectRefusal.RESOLVED
    assert sqlite_effects.read_listed(conn, key) is not None
    assert len(sqlite_effects.listed(conn, "a", "s", 0, 10)) == 1
    for charge in ("settled", "released", "open"):
        tool = ToolChargeKey("a", charge)
        assert sqlite_tool_charges.reserve(conn, tool, ToolCharge(5, "t"), NOW).changed
    assert sqlite_tool_charges.settle(conn, ToolChargeKey("a", "settled"), NOW).changed
    assert sqlite_tool_charges.release(conn, ToolChargeKey("a", "released"), NOW).changed
    assert len(sqlite_calls.ledger_lines(conn, "a", 0, 10, "settled", None, "tool")) == 1
    sqlite_accounts.change(conn, "a", None, "disabled", NOW)
    assert isinstance(sqlite_calls.begin(conn, again, "owner", CLOCKS, 60), StoreRefusal)


def test_no_request_scans_a_whole_table(conn: sqlite3.Connection) -> None:
    statements: list[str] = []
    conn.set_trace_callback(statements.append)
    run_every_operation(conn)
    conn.set_trace_callback(None)
    assert len(statements) > 20
    scans = {
        statement: step[3]
        for statement in statements
        if not statement.startswith("--")
        for step in conn.execute(f"EXPLAIN QUERY PLAN {statement}")
        # Only calls in flight are pending: few rows, with their own index.
        if step[3].startswith("SCAN") and "calls_pending" not in step[3]
    }
    assert scans == {}
