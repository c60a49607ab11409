"""A database of an older gateway opens, keeps what is in it, and works as a new one does."""

import sqlite3
from pathlib import Path

import pytest

from durable_agent_team.gateway.stores import sqlite_accounts, sqlite_calls, sqlite_scopes
from durable_agent_team.gateway.stores.scope_records import Place
from durable_agent_team.gateway.stores.sqlite_calls import Now
from durable_agent_team.gateway.stores.sqlite_file import SchemaError
from durable_agent_team.gateway.stores.sqlite_schema import MIGRATIONS, VERSION, connect
from durable_agent_team.gateway.stores.store import (
    InterruptionCause,
    LedgerLine,
    NewCall,
    PossiblyBilledCall,
    Reserved,
    Settlement,
)

VERSION_1 = Path(__file__).with_name("schema_1.sql")
"""What the gateway of version 1 wrote: two accounts, a charge and an interruption."""
NOW = Now(2000.0, 20.0)


@pytest.fixture(params=range(1, VERSION))
def old(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A file of each older version."""
    path = tmp_path / "gateway.db"
    conn = sqlite3.connect(path)
    conn.executescript(VERSION_1.read_text(encoding="utf-8"))
    for version in range(1, request.param):
        for statement in MIGRATIONS[version]:
            conn.execute(statement)
    conn.execute(f"PRAGMA user_version = {request.param}")
    conn.commit()
    conn.close()
    return path


def test_an_old_database_is_brought_to_the_current_version(old: Path) -> None:
    conn = connect(old)
    assert conn.execute("PRAGMA user_version").fetchone() == (VERSION,)
    account = sqlite_accounts.read(conn, "a")
    assert account is not None
    assert (account.spent, account.charges) == (5, 1)
    assert (account.possibly_billed_calls, account.possibly_billed) == (1, 0)
    [line] = sqlite_calls.possibly_billed(conn, "a", 0, 10, None)
    assert line == PossiblyBilledCall(1, 1000.0, "other", "m", None, "upstream_broke_off")
    call = NewCall("9", "a", "k", "body", "m", 10)
    assert isinstance(sqlite_calls.begin(conn, call, "owner", NOW, 60), Reserved)
    after = sqlite_calls.release(conn, "9", InterruptionCause.UPSTREAM_TIMEOUT, 2000.0)
    assert after is not None
    assert (after.possibly_billed_calls, after.possibly_billed, after.reserved) == (2, 10, 0)
    assert sqlite_calls.interrupted(conn, "a") == {"upstream_broke_off": 2}
    [charge] = sqlite_calls.ledger_lines(conn, "a", 0, 10, None)
    assert charge == LedgerLine(1, 1000.0, "key", "m", 1, 1, 5, False, 0)
    conn.close()


def test_a_migration_that_is_cut_off_has_not_begun(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a kill, or a full disk: the next start does all of it."""
    [*_, last] = MIGRATIONS
    cut_off = (*MIGRATIONS[last], "SELECT no_such_function()")
    with monkeypatch.context() as patched:
        patched.setitem(MIGRATIONS, last, cut_off)
        before = old.read_bytes()
        with pytest.raises(SchemaError):
            connect(old)
    assert len(old.read_bytes()) == len(before)
    test_an_old_database_is_brought_to_the_current_version(old)


def test_a_charge_by_kind_is_written_next_to_the_old_ones(old: Path) -> None:
    conn = connect(old)
    assert isinstance(
        sqlite_calls.begin(conn, NewCall("9", "a", "k", "body", "m", 10), "o", NOW, 60), Reserved
    )
    done = Settlement("9", 9, 8, 7, False, 0, 200, b"", "", 6, 1, 5, -4, "the provider's list")
    assert sqlite_calls.settle(conn, done, 2000.0) is not None
    [_, charge] = sqlite_calls.ledger_lines(conn, "a", 0, 10, None)
    assert charge == LedgerLine(
        2, 2000.0, "k", "m", 9, 8, 7, False, 0, 6, 1, 5, -4, "the provider's list"
    )
    conn.close()


def test_a_lease_of_the_gateway_before_is_measured_as_it_did(old: Path) -> None:
    """It may still run, and hold a call, while a newer one opens the database."""
    conn = connect(old)
    assert isinstance(
        sqlite_calls.begin(conn, NewCall("9", "a", "k", "body", "m", 10), "o", NOW, 60), Reserved
    )
    conn.execute("UPDATE calls SET lease_ends = NULL")
    later = NOW.wall + 59
    assert sqlite_calls.release_abandoned(conn, set(), Now(later, 1e9)) == 0
    assert sqlite_calls.release_abandoned(conn, set(), Now(later + 1, 20.0)) == 1
    conn.close()


def test_a_scope_begins_in_an_old_database(old: Path) -> None:
    conn = connect(old)
    place = Place("s", 1, "request", is_patient=True)
    call = NewCall("9", "a", None, "body", "m", 10, place=place)
    begun = sqlite_scopes.begin(conn, call, "owner", NOW, 60, lambda _: False)
    assert isinstance(begun, Reserved)
    assert begun.key == "scope:s:body:0"
    done = Settlement("9", 1, 1, 5, False, 0, 200, b"", "", scope="s")
    assert sqlite_calls.settle(conn, done, 2000.0) is not None
    [old_one, charge] = sqlite_calls.ledger_lines(conn, "a", 0, 10, None)
    assert (old_one.scope, old_one.attempt) == (None, None)
    assert (charge.scope, charge.attempt) == ("s", 1)
    assert sqlite_scopes.state(conn, "a", "s").spent == 5
    conn.close()


def test_it_ends_with_the_tables_of_a_new_one(old: Path, tmp_path: Path) -> None:
    migrated, new = connect(old), connect(tmp_path / "new.db")
    assert _columns(migrated) == _columns(new)
    triggers = "SELECT name, sql FROM sqlite_schema WHERE type IN ('trigger', 'index') ORDER BY 1"
    assert migrated.execute(triggers).fetchall() == new.execute(triggers).fetchall()


def _columns(conn: sqlite3.Connection) -> dict[str, set[tuple[str, str, int]]]:
    """By table: name, type and NOT NULL of each column."""
    tables = conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    return {
        table: {
            (name, kind, not_null)
            for _, name, kind, not_null, *_ in conn.execute(f"PRAGMA table_info({table})")
        }
        for (table,) in tables
    }


def test_a_database_of_a_newer_gateway_is_refused(old: Path) -> None:
    conn = sqlite3.connect(old)
    conn.execute(f"PRAGMA user_version = {VERSION + 1}")
    conn.close()
    with pytest.raises(SchemaError, match=f"newer gateway \\(version {VERSION + 1}\\)") as refused:
        connect(old)
    assert "Start that gateway, or restore the backup" in str(refused.value)
    assert "another file" not in str(refused.value), "open runs have their accounts in this one"


def test_a_file_of_a_name_that_is_special_to_sqlite_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite keeps `:memory:` in memory: all accounts would be gone after a restart."""
    monkeypatch.chdir(tmp_path)
    connect(Path(":memory:")).close()
    assert (tmp_path / ":memory:").stat().st_size > 0
