"""Opens a SQLite file of the gateway's, and brings its schema to the newest version."""

import os
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from durable_agent_team.gateway.stores.lock_holder import locked_by

LOCK_SECONDS = 30
"""How long a transaction waits for another program to unlock the file."""


class SchemaError(Exception):
    """The database cannot be used; the message says why."""


@dataclass(frozen=True)
class Schema:
    """The statements that make a new file, and those from each older version to the next."""

    version: int
    statements: Sequence[str]
    migrations: Mapping[int, Sequence[str]] = field(default_factory=dict)


def is_damage(error: BaseException) -> bool:
    """Whether SQLite has found the file damaged."""
    return primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_locked_out(error: BaseException) -> bool:
    """Whether another connection held the lock for as long as SQLite waits."""
    return primary_code(error) == sqlite3.SQLITE_BUSY


def primary_code(error: BaseException, default: int = sqlite3.SQLITE_OK) -> int:
    """SQLite's result code without what extends it; `default` for an error that has none."""
    code: int = getattr(error, "sqlite_errorcode", default)
    return code & 0xFF


def open_file(
    path: Path, name: str, remedy: str, pragmas: Sequence[str], schema: Schema
) -> sqlite3.Connection:
    """Opens the file. Creates it, readable by its owner only, if it does not exist.

    Raises SchemaError, with the file's `name` and the `remedy`, where it cannot be used.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        conn = sqlite3.connect(
            path.absolute(), timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            for pragma in pragmas:
                conn.execute(f"PRAGMA {pragma}")
            _migrate(conn, name, schema)
        except (sqlite3.Error, SchemaError):
            conn.close()  # or else it would keep the file locked
            raise
    except (OSError, sqlite3.Error) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        if is_locked_out(error):
            reason = f"it has been locked for {LOCK_SECONDS} s by {locked_by(path)}"
        message = (
            f"{name} cannot be used: {reason}. Correct that, or set GATEWAY_DATABASE to {remedy}"
        )
        raise SchemaError(message) from error
    return conn


def _migrate(conn: sqlite3.Connection, name: str, schema: Schema) -> None:
    conn.execute("BEGIN IMMEDIATE")
    version = conn.execute("PRAGMA user_version").fetchone()[0]
    if version > schema.version:
        conn.execute("ROLLBACK")
        raise SchemaError(
            f"{name} is of a newer gateway (version {version}). Start that gateway, or restore the"
            " backup from before its first start."
        )
    if version == 0:
        steps = [schema.statements]
    else:
        steps = [schema.migrations[step] for step in range(version, schema.version)]
    for statements in steps:
        for statement in statements:
            conn.execute(statement)
    if version < schema.version:
        conn.execute(f"PRAGMA user_version = {schema.version}")
    conn.execute("COMMIT")
