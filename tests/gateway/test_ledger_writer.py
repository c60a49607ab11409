"""The ledger's thread: an operation of a batch that fails does not undo the others."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from durable_agent_team.gateway.stores.open_files import OpenFiles
from durable_agent_team.gateway.stores.sqlite_writer import Writer


def insert(value: int) -> Callable[[sqlite3.Connection], int | None]:
    def operation(conn: sqlite3.Connection) -> int | None:
        return conn.execute("INSERT INTO t VALUES (?)", (value,)).lastrowid

    return operation


@pytest.mark.parametrize("failing", [set(), {0}, {1}, {3}, {0, 3}, {0, 1, 2, 3}])
async def test_each_operation_of_a_batch_stands_alone(tmp_path: Path, failing: set[int]) -> None:
    path = tmp_path / "t.db"
    conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    conn.execute("PRAGMA journal_mode = WAL")
    conn.execute("CREATE TABLE t (value INTEGER UNIQUE) STRICT")
    conn.execute("INSERT INTO t VALUES (-1)")
    writer = Writer(conn, OpenFiles(path))
    queued = threading.Event()
    first = asyncio.ensure_future(writer.run(lambda _: queued.wait(10)))
    values = [-1 if each in failing else each for each in range(4)]
    batch = asyncio.gather(*(writer.run(insert(v)) for v in values), return_exceptions=True)
    await asyncio.sleep(0)  # all four are queued behind the first
    queued.set()
    ended = await batch
    assert await first
    await writer.close()
    assert [isinstance(each, sqlite3.IntegrityError) for each in ended] == [
        each in failing for each in range(4)
    ]
    with sqlite3.connect(path) as reading:
        stored = [row[0] for row in reading.execute("SELECT value FROM t ORDER BY value")]
    assert stored == [-1, *(each for each in range(4) if each not in failing)]
