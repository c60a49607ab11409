"""One thread that owns the connection and commits everything queued in one transaction.

So one fsync serves all calls that wait for it, instead of one fsync for each call. An operation
with `durable=False` does not wait for an fsync: a reservation may be lost in a power failure,
because its call is lost too. A failing operation does not undo the others: the batch is rolled back
and runs again, each operation in a savepoint of its own. So an operation may run twice, and must do
nothing but read and write the database. Savepoints from the start would be two more statements for
each operation, and a copy of each page that it changes.
"""

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from durable_agent_team.gateway.stores.lock_holder import locked_by
from durable_agent_team.gateway.stores.open_files import OpenFiles
from durable_agent_team.gateway.stores.sqlite_file import is_damage, is_locked_out, primary_code
from durable_agent_team.gateway.stores.store import StoreError

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], Any]
Queued = tuple[Operation, asyncio.Future[Any], bool]
MAX_BATCH = 256
MISTAKES = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT)
"""Codes of the errors that are not about the disk or the file."""
STUCK_SECONDS = 5
"""How long a transaction can take before `/healthz` says so. Another program can hold a lock of the
database for longer, and a request fails only after the 30 seconds that SQLite waits for it."""
PROBE_SECONDS = 1
"""How long `/healthz` waits for a write: the caller's own limit is often a few seconds."""


class Writer:
    """`await run(operation)` returns its result once the transaction is on disk; with
    `durable=False`, once it would survive the death of this process."""

    def __init__(
        self,
        conn: sqlite3.Connection,
        files: OpenFiles,
        find_damage: Callable[[Path], str | None] | None = None,
    ) -> None:
        """`find_damage` reads the whole file where it may be damaged, and nothing is written then;
        without it, each operation finds out for itself."""
        self._conn = conn
        self._files = files
        self._find_damage = find_damage
        self._is_suspect = False
        self._content = files.content()
        self._first_data_version = self._data_version()
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Queued | None] = queue.SimpleQueue()
        self._closed = False
        self._failure: str | None = None
        """The last one, until `not_ready` has found that it is over."""
        self._is_writing = False
        self._locked_since: float | None = None
        """When the transaction in progress began, or an earlier one that found the database locked
        if none has been made since; by `time.monotonic`."""
        self._durable = True  # `connect` sets synchronous = FULL
        self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)
        self._thread.start()

    async def run(self, operation: Callable[[sqlite3.Connection], T], *, durable: bool = True) -> T:
        if self._closed:
            raise StoreError("the store is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put((operation, future, durable))
        return await future

    async def not_ready(self) -> str | None:
        """Why nothing can be written, or None. After a failure it tries to write again."""
        if problem := self._files.problem():
            return problem
        if self._is_writing and self._seconds_locked() >= STUCK_SECONDS:
            return self._locked()
        if (failure := self._failure) is None:
            return None
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self.run(_write_nothing)
        except TimeoutError:
            return failure
        except StoreError as error:
            return str(error)
        self._failure = None
        return None

    def _seconds_locked(self) -> float:
        since = self._locked_since
        return 0.0 if since is None else time.monotonic() - since

    def _locked(self) -> str:
        return (
            f"the database cannot be written: it has been locked for {self._seconds_locked():.0f} s"
            f" by {locked_by(self._files.path)}"
        )

    async def close(self) -> None:
        """Commits what is queued, then closes the connection."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        running = True
        while running:
            batch = []
            item = self._queue.get()
            while item is not None:
                batch.append(item)
                if len(batch) == MAX_BATCH:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            running = item is not None
            if batch:
                self._commit(batch)
        self._conn.close()

    def _commit(self, batch: list[Queued]) -> None:
        results: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
        self._is_writing = True
        is_locked = False
        try:
            self._check_files()
            self._check_content()
            if self._locked_since is None:
                self._locked_since = time.monotonic()
            self._set_durability(any(durable for _, _, durable in batch))
            self._conn.execute("BEGIN IMMEDIATE")
            if len(batch) == 1:
                [(operation, future, _)] = batch
                results.append((future, *self._run_alone(operation)))
            else:
                found = self._run_together(batch)
                if found is None:
                    found = [self._run_in_savepoint(operation) for operation, _, _ in batch]
                results = [
                    (future, *each) for (_, future, _), each in zip(batch, found, strict=True)
                ]
                self._conn.execute("COMMIT")
            self._check_files()  # or else the commit may have gone into removed files
        except (sqlite3.Error, StoreError) as error:
            with suppress(sqlite3.Error):  # if it fails, the next commit fails and reports it
                if self._conn.in_transaction:
                    self._conn.execute("ROLLBACK")
            is_locked = is_locked_out(error)
            self._is_suspect |= is_damage(error)
            failure = StoreError(f"the database cannot be written: {error}")
            if isinstance(error, StoreError):
                failure = error
            elif is_locked:
                failure = StoreError(self._locked())
            self._failure = str(failure)
            results = [(future, None, failure) for _, future, _ in batch]
        self._is_writing = False
        self._content = max(self._content, self._files.content())  # by size, which only grows
        if not is_locked:
            self._locked_since = None
        self._loop.call_soon_threadsafe(_resolve, results)

    def _check_files(self) -> None:
        if problem := self._files.problem():
            raise StoreError(problem)

    def _check_content(self) -> None:
        """SQLite would mix another file that is copied over this one with what it has in memory and
        in the log, and go on; and a call could begin whose charge cannot be written."""
        if self._find_damage is None:
            return
        self._is_suspect = self._is_suspect or self._was_overwritten()
        if self._is_suspect:
            if damage := self._find_damage(self._files.path):
                raise StoreError(f"the database cannot be written: {damage}")
            self._is_suspect = False
            self._content = self._files.content()

    def _was_overwritten(self) -> bool:
        """A gateway never makes the file smaller. That it was written at all says something only
        while no other gateway has used it."""
        size, written_at = self._files.content()
        if (size, written_at) == self._content:
            return False
        return size < self._content[0] or self._data_version() == self._first_data_version

    def _data_version(self) -> int:
        """Another number after each commit of another connection."""
        return int(self._conn.execute("PRAGMA data_version").fetchone()[0])

    def _set_durability(self, durable: bool) -> None:
        """Chooses whether the commit waits for an fsync. In WAL mode, a commit under FULL also
        makes earlier commits under NORMAL durable."""
        if durable is not self._durable:
            self._conn.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable

    def _run_alone(self, operation: Operation) -> tuple[Any, BaseException | None]:
        """The transaction has this operation only, so it needs no savepoint."""
        try:
            result = operation(self._conn)
        except Exception as error:
            if not self._conn.in_transaction:
                raise  # SQLite rolled it back (a full disk)
            self._conn.execute("ROLLBACK")
            return None, self._reported(error)
        self._conn.execute("COMMIT")
        return result, None

    def _run_together(self, batch: list[Queued]) -> list[tuple[Any, BaseException | None]] | None:
        """The results; None, in a new transaction, if one of the operations failed."""
        try:
            return [(operation(self._conn), None) for operation, _, _ in batch]
        except Exception:
            if not self._conn.in_transaction:
                raise  # SQLite rolled it back (a full disk)
            self._conn.execute("ROLLBACK")
            self._conn.execute("BEGIN IMMEDIATE")
            return None

    def _run_in_savepoint(self, operation: Operation) -> tuple[Any, BaseException | None]:
        self._conn.execute("SAVEPOINT operation")
        try:
            result = operation(self._conn)
        except Exception as error:
            if not self._conn.in_transaction:
                raise  # SQLite rolled back the whole batch (a full disk)
            self._conn.execute("ROLLBACK TO operation")
            self._conn.execute("RELEASE operation")
            return None, self._reported(error)
        self._conn.execute("RELEASE operation")
        return result, None

    def _reported(self, error: Exception) -> Exception:
        """An error of the disk or the file, in the middle of an operation, as a StoreError: what it
        has kept from being written is written later, if the error passes."""
        if primary_code(error, sqlite3.SQLITE_ERROR) in MISTAKES:
            return error
        self._is_suspect |= is_damage(error)
        self._failure = f"the database cannot be written: {error}"
        return StoreError(self._failure)


def _write_nothing(conn: sqlite3.Connection) -> None:
    """Writes to disk as a charge does, but changes nothing."""
    version = conn.execute("PRAGMA user_version").fetchone()[0]
    conn.execute(f"PRAGMA user_version = {version}")


def _resolve(results: list[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
    for future, result, error in results:
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
