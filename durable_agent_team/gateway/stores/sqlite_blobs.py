"""The store of blobs in a SQLite file of its own, so that the ledger never waits for a large write.

The bytes in use are a row that triggers keep: the limit holds for all gateways on the file.
"""

import hashlib
import sqlite3
import time
from pathlib import Path

from durable_agent_team.gateway.stores.blob_store import BlobDamaged, BlobsFull
from durable_agent_team.gateway.stores.open_files import OpenFiles
from durable_agent_team.gateway.stores.sqlite_file import Schema, open_file
from durable_agent_team.gateway.stores.sqlite_writer import Writer

VERSION = 2
PRAGMAS = ("auto_vacuum = INCREMENTAL", "journal_mode = WAL", "synchronous = FULL")
"""The first one counts only in a file that is still empty."""
REMOVED_AT_ONCE = 100
FREED_PAGES = 10_000
"""Returned to the file system after a removal: 40 MB, so that no transaction is long."""
USED_SECONDS = 86_400
"""A use is recorded once a day: the expiry counts days."""

SCHEMA = (
    """
    CREATE TABLE blobs (
      sha256 TEXT NOT NULL UNIQUE,
      bytes INTEGER NOT NULL,
      used_at REAL NOT NULL,
      data BLOB NOT NULL
    ) STRICT
    """,
    "CREATE INDEX blobs_by_use ON blobs (used_at)",
    "CREATE TABLE usage (bytes INTEGER NOT NULL CHECK (bytes >= 0)) STRICT",
    "INSERT INTO usage VALUES (0)",
    """
    CREATE TRIGGER blob_added AFTER INSERT ON blobs
      BEGIN UPDATE usage SET bytes = bytes + new.bytes; END
    """,
    """
    CREATE TRIGGER blob_removed AFTER DELETE ON blobs
      BEGIN UPDATE usage SET bytes = bytes - old.bytes; END
    """,
)


CLOCK = (
    "CREATE TABLE clock (seen_at REAL) STRICT",
    "INSERT INTO clock VALUES (NULL)",
)
"""When unused blobs were last looked for."""
MIGRATIONS = {1: CLOCK}


class SqliteBlobs:
    """Implements `stores.blob_store.BlobStore`. Create it inside the running event loop."""

    def __init__(self, path: Path, limit: int) -> None:
        conn = _open(path)
        self._limit = limit
        self._writer = Writer(conn, OpenFiles(path))

    async def put(self, sha256: str, data: bytes) -> bool:
        return await self._writer.run(lambda conn: _put(conn, sha256, data, self._limit))

    async def size(self, sha256: str) -> int | None:
        return await self._writer.run(lambda conn: _size(conn, sha256), durable=False)

    async def read(self, sha256: str) -> bytes | None:
        return await self._writer.run(lambda conn: _read(conn, sha256), durable=False)

    async def remove_unused(self, after_seconds: float) -> int:
        return await self._writer.run(
            lambda conn: _remove(conn, time.time(), after_seconds), durable=False
        )

    async def not_ready(self) -> str | None:
        return await self._writer.not_ready()

    async def close(self) -> None:
        await self._writer.close()


def blobs_file(database: Path) -> Path:
    """The file of the blobs, next to the ledger's."""
    return database.with_name(f"{database.stem}-blobs{database.suffix}")


def _open(path: Path) -> sqlite3.Connection:
    """Opens the file of the blobs. Raises SchemaError."""
    return open_file(
        path,
        f"{path}, the texts next to GATEWAY_DATABASE,",
        "a file in a folder that you may write to.",
        PRAGMAS,
        Schema(VERSION, (*SCHEMA, *CLOCK), MIGRATIONS),
    )


def _put(conn: sqlite3.Connection, sha256: str, data: bytes, limit: int) -> bool:
    if _size(conn, sha256) is not None:
        return False
    used: int = conn.execute("SELECT bytes FROM usage").fetchone()[0]
    if used + len(data) > limit:
        raise BlobsFull(used, limit)
    conn.execute(
        "INSERT INTO blobs (sha256, bytes, used_at, data) VALUES (?, ?, ?, ?)",
        (sha256, len(data), time.time(), data),
    )
    return True


def _size(conn: sqlite3.Connection, sha256: str) -> int | None:
    """Counts as a use."""
    row = conn.execute("SELECT bytes, used_at FROM blobs WHERE sha256 = ?", (sha256,)).fetchone()
    if row is None:
        return None
    size, used_at = row
    if time.time() - used_at > USED_SECONDS:
        conn.execute("UPDATE blobs SET used_at = ? WHERE sha256 = ?", (time.time(), sha256))
    return int(size)


def _read(conn: sqlite3.Connection, sha256: str) -> bytes | None:
    if _size(conn, sha256) is None:
        return None
    data: bytes = conn.execute("SELECT data FROM blobs WHERE sha256 = ?", (sha256,)).fetchone()[0]
    if hashlib.sha256(data).hexdigest() != sha256:
        raise BlobDamaged(sha256)
    return data


def _remove(conn: sqlite3.Connection, now: float, after_seconds: float) -> int:
    [seen_at] = conn.execute("SELECT seen_at FROM clock").fetchone()
    gap = now - (now if seen_at is None else seen_at)
    if gap > USED_SECONDS:
        conn.execute("UPDATE blobs SET used_at = min(used_at + ?, ?)", (gap, now))
    conn.execute("UPDATE clock SET seen_at = ?", (now,))
    before = now - after_seconds
    removed = conn.execute(
        "DELETE FROM blobs WHERE rowid IN"
        " (SELECT rowid FROM blobs WHERE used_at < ? ORDER BY used_at LIMIT ?)",
        (before, REMOVED_AT_ONCE),
    ).rowcount
    if removed:
        conn.execute(f"PRAGMA incremental_vacuum({FREED_PAGES})").fetchall()
    return removed
