"""The tables. Their constraints and triggers forbid overspending and changes to the ledger, so that
no mistake in the code above can cause them."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from durable_agent_team.gateway.stores import effect_schema, tool_charge_schema
from durable_agent_team.gateway.stores.sqlite_file import (
    LOCK_SECONDS,
    Schema,
    SchemaError,
    is_damage,
    open_file,
)

VERSION = 8
PRAGMAS = (
    *("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "cache_size = -16000"),
    "journal_size_limit = 67108864",
)
"""`synchronous = FULL`: an answer is sent only after its charge is on disk. Group commit keeps that
fast. The limit gives the disk back what the log has grown by while another program was reading."""

ACCOUNT_REVISIONS = """
CREATE TRIGGER account_revisions AFTER UPDATE OF budget, status ON accounts
  BEGIN UPDATE accounts SET revision = revision + 1 WHERE id = new.id; END
"""
"""By a trigger, so that a gateway of version 7 that still runs counts, too."""

LEDGER_BY_SCOPE = (
    "CREATE INDEX ledger_by_scope ON ledger (account_id, scope, id) WHERE scope IS NOT NULL"
)

LEDGER_BY_KEY = (
    "CREATE UNIQUE INDEX ledger_by_key ON ledger (account_id, idempotency_key, kind)"
    " WHERE idempotency_key IS NOT NULL"
)
"""No account is charged twice for one key: of a call, or of a tool's charge."""

SCOPES = """
-- An agent's work on one task, over all its attempts; `attempt` is the newest that was seen.
CREATE TABLE scopes (
  account_id TEXT NOT NULL REFERENCES accounts,
  scope TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  replayed INTEGER NOT NULL DEFAULT 0,
  refused INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  last_refusal TEXT, -- JSON
  last_failure TEXT,
  PRIMARY KEY (account_id, scope)
) STRICT, WITHOUT ROWID;

-- The numbers that requests with equal bodies have in a scope's newest attempt, from 0 without
-- gaps. `open`: its client is connected. `kept`: a whole answer was handed over. `free`: it was
-- given back.
CREATE TABLE scope_numbers (
  account_id TEXT NOT NULL REFERENCES accounts,
  scope TEXT NOT NULL,
  body_hash TEXT NOT NULL,
  number INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'kept', 'free')),
  holder TEXT NOT NULL, -- the request
  owner TEXT NOT NULL, -- its gateway process
  begun_at REAL NOT NULL,
  PRIMARY KEY (account_id, scope, body_hash, number)
) STRICT, WITHOUT ROWID;
"""

SCHEMA = """
CREATE TABLE accounts (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  key_hash TEXT NOT NULL UNIQUE,
  status TEXT NOT NULL CHECK (status IN ('active', 'disabled')),
  budget INTEGER NOT NULL,
  spent INTEGER NOT NULL DEFAULT 0 CHECK (spent >= 0),
  reserved INTEGER NOT NULL DEFAULT 0 CHECK (reserved >= 0),
  charges INTEGER NOT NULL DEFAULT 0,
  created_at REAL NOT NULL,
  open_key TEXT UNIQUE,
  open_hash TEXT NOT NULL,
  -- What the operator may have to pay upstream, and no account is charged for.
  possibly_billed_calls INTEGER NOT NULL DEFAULT 0,
  possibly_billed INTEGER NOT NULL DEFAULT 0,
  revision INTEGER NOT NULL DEFAULT 0,
  CHECK (spent + reserved <= budget)
) STRICT, WITHOUT ROWID;

-- One row for each call in flight, and for each stored answer that can be replayed.
CREATE TABLE calls (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts,
  key TEXT,
  body_hash TEXT NOT NULL,
  model TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'done')),
  bound INTEGER NOT NULL,
  owner TEXT NOT NULL,
  -- When its lease ends: in Unix seconds, for a gateway of version 6 that still runs, and by the
  -- machine's steady clock.
  expires_at REAL NOT NULL,
  lease_ends REAL,
  status INTEGER,
  response BLOB,
  -- Of a call in a scope: the attempt is the one that pays.
  scope TEXT,
  attempt INTEGER
) STRICT;
CREATE UNIQUE INDEX calls_by_key ON calls (account_id, key) WHERE key IS NOT NULL;
CREATE INDEX calls_pending ON calls (expires_at) WHERE state = 'pending';

CREATE TABLE ledger (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  account_id TEXT NOT NULL REFERENCES accounts,
  created_at REAL NOT NULL,
  idempotency_key TEXT,
  model TEXT NOT NULL,
  prompt_tokens INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  amount INTEGER NOT NULL CHECK (amount >= 0),
  estimated INTEGER NOT NULL,
  overrun INTEGER NOT NULL CHECK (overrun >= 0),
  -- Parts of the prompt, and of the answer.
  cached_tokens INTEGER NOT NULL DEFAULT 0,
  cache_write_tokens INTEGER NOT NULL DEFAULT 0,
  reasoning_tokens INTEGER NOT NULL DEFAULT 0,
  saved INTEGER NOT NULL DEFAULT 0, -- by caching; negative if it cost more than it saved
  price_source TEXT NOT NULL DEFAULT '',
  scope TEXT,
  attempt INTEGER,
  kind TEXT NOT NULL DEFAULT 'call', -- or 'tool': then there is no model, and no tokens
  what TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX ledger_by_account ON ledger (account_id, id);

-- Where each account's budget came from: the sum of these is the budget.
CREATE TABLE budget_changes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  account_id TEXT NOT NULL REFERENCES accounts,
  created_at REAL NOT NULL,
  amount INTEGER NOT NULL,
  cause TEXT NOT NULL,
  transfer_id INTEGER
) STRICT;

CREATE TABLE transfers (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT UNIQUE,
  from_id TEXT NOT NULL REFERENCES accounts,
  to_id TEXT NOT NULL REFERENCES accounts,
  amount INTEGER NOT NULL,
  created_at REAL NOT NULL
) STRICT;

-- One row for each request that was given up after it may have reached the upstream.
CREATE TABLE interruptions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  account_id TEXT NOT NULL REFERENCES accounts,
  created_at REAL NOT NULL,
  idempotency_key TEXT,
  model TEXT NOT NULL,
  cause TEXT NOT NULL,
  bound INTEGER, -- the most that it can have cost; unknown in rows of version 1
  scope TEXT,
  attempt INTEGER
) STRICT;
CREATE INDEX interruptions_by_account ON interruptions (account_id);


CREATE TABLE refused_models (
  model TEXT NOT NULL,
  price_fingerprint TEXT NOT NULL,
  overrun INTEGER NOT NULL,
  PRIMARY KEY (model, price_fingerprint)
) STRICT;
"""


def _parts(script: str) -> tuple[str, ...]:
    return tuple(part for part in script.split(";\n") if part.strip())


MIGRATIONS = {
    1: (
        "ALTER TABLE interruptions ADD COLUMN bound INTEGER",
        "ALTER TABLE accounts ADD COLUMN possibly_billed_calls INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE accounts ADD COLUMN possibly_billed INTEGER NOT NULL DEFAULT 0",
        "UPDATE accounts SET possibly_billed_calls ="
        " (SELECT count(*) FROM interruptions WHERE account_id = accounts.id)",
    ),
    2: (
        "ALTER TABLE ledger ADD COLUMN cached_tokens INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE ledger ADD COLUMN cache_write_tokens INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE ledger ADD COLUMN reasoning_tokens INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE ledger ADD COLUMN saved INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE ledger ADD COLUMN price_source TEXT NOT NULL DEFAULT ''",
    ),
    3: (
        *(
            f"ALTER TABLE {table} ADD COLUMN {column}"
            for table in ("calls", "ledger", "interruptions")
            for column in ("scope TEXT", "attempt INTEGER")
        ),
        LEDGER_BY_SCOPE,
        *_parts(SCOPES),
    ),
    4: effect_schema.STATEMENTS,
    5: (
        "ALTER TABLE ledger ADD COLUMN kind TEXT NOT NULL DEFAULT 'call'",
        "ALTER TABLE ledger ADD COLUMN what TEXT NOT NULL DEFAULT ''",
        "DROP INDEX ledger_by_key",
        LEDGER_BY_KEY,
        *tool_charge_schema.STATEMENTS,
    ),
    6: ("ALTER TABLE calls ADD COLUMN lease_ends REAL",),
    7: (
        "ALTER TABLE accounts ADD COLUMN revision INTEGER NOT NULL DEFAULT 0",
        ACCOUNT_REVISIONS,
        tool_charge_schema.REVISIONS,
    ),
}
"""The statements that lead from each version to the next one."""

COUNTS = "SELECT (SELECT count(*) FROM ledger), (SELECT coalesce(sum(charges), 0) FROM accounts)"
"""Of the same thing, in two places."""

APPEND_ONLY = ("ledger", "budget_changes", "transfers", "interruptions")


def connect(path: Path) -> sqlite3.Connection:
    """Opens the ledger's file. Raises SchemaError, also for a damaged file that has a log: a backup
    may have been restored next to the log of the file that it replaces."""
    if _size(f"{path.resolve()}-wal"):
        damage = None
        with suppress(sqlite3.Error):  # `open_file` reports it
            damage = find_damage(path)
        if damage:
            raise SchemaError(f"GATEWAY_DATABASE cannot be used: {damage}")
    return open_file(
        path,
        f"GATEWAY_DATABASE {path}",
        "another file, in a folder that you may write to.",
        PRAGMAS,
        Schema(VERSION, _statements(), MIGRATIONS),
    )


def find_damage(path: Path) -> str | None:
    """What is wrong with the ledger's file, as it is on disk, and what to do; None if nothing is.
    Changes nothing, and takes two seconds for a million lines. Raises sqlite3.Error."""
    try:
        # Another connection has parts of the file in memory; one that can write would merge the
        # log into the file when it is closed.
        address = f"{path.resolve().as_uri()}?mode=ro"
        with closing(
            sqlite3.connect(address, uri=True, timeout=LOCK_SECONDS, isolation_level=None)
        ) as conn:
            conn.execute("BEGIN")
            [found] = conn.execute("PRAGMA quick_check(1)").fetchone()
            if found == "ok" and conn.execute("PRAGMA user_version").fetchone()[0]:
                lines, charges = conn.execute(COUNTS).fetchone()
                if lines != charges:
                    found = f"its ledger has {lines} lines, and its accounts {charges} charges"
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        found = str(error)
    if found == "ok":
        return None
    return (
        f"{path} is damaged, or another file was copied over it or put beside its -wal file"
        f" ({found}). Stop all of its gateways, and restore a backup as docs/operating.md says"
    )


def _size(name: str) -> int:
    try:
        return os.stat(name).st_size
    except OSError:
        return 0


def _statements() -> list[str]:
    tables = [*_parts(SCHEMA), LEDGER_BY_SCOPE, LEDGER_BY_KEY, *_parts(SCOPES)]
    guards = [
        f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table}"
        f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for table in APPEND_ONLY
        for action in ("UPDATE", "DELETE")
    ]
    return [
        *tables,
        ACCOUNT_REVISIONS,
        *guards,
        *effect_schema.STATEMENTS,
        *tool_charge_schema.STATEMENTS,
        tool_charge_schema.REVISIONS,
    ]
