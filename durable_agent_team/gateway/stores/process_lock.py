"""Which gateway processes are alive: each holds an exclusive lock on a file next to the database,
wherever the path that leads to it is a link.

The kernel releases the lock the moment a process dies, however it dies. So no one has to infer from
clocks whether the process that made a reservation still exists. The file contains a fingerprint of
the process' GATEWAY_SECRET: processes that share a database must derive the same keys.
"""

import fcntl
import os
import uuid
from contextlib import suppress
from pathlib import Path


class OtherSecret(Exception):
    """Another gateway that uses the database has another secret; the message names the remedy."""


class ProcessLock:
    """This process' id in the database (`calls.owner`), and the lock that shows it is alive."""

    def __init__(self, database: Path, fingerprint: str = "") -> None:
        """Raises OtherSecret if a living process on this database has another `fingerprint`. One
        without any is not compared."""
        real = database.resolve()
        self._folder = real.with_name(real.name + ".owners")
        self.process_id = uuid.uuid4().hex
        self._fingerprint = fingerprint
        # Before the others are looked at: of two that start together, one sees the other.
        self._file = self._acquire()
        if fingerprint and self._has_other(fingerprint):
            self.close()
            raise OtherSecret(
                "GATEWAY_SECRET is not that of the gateway that already uses GATEWAY_DATABASE"
                f" {database}, so the two would give one account different keys. Set the same"
                " GATEWAY_SECRET or another GATEWAY_DATABASE, or stop the other gateway first."
            )

    def _has_other(self, fingerprint: str) -> bool:
        """Whether a process that is alive has another fingerprint."""
        for path in self._folder.iterdir():
            try:
                found = path.read_text(errors="replace")
            except FileNotFoundError:
                continue
            if found not in ("", fingerprint) and not self._is_dead(path.name):
                return True
        return False

    def _path(self, process_id: str) -> Path:
        return self._folder / process_id

    def _acquire(self) -> int:
        """Tries again if another process removed the file before it was locked."""
        self._folder.mkdir(parents=True, exist_ok=True)
        while True:
            file = os.open(
                self._path(self.process_id), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600
            )
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file).st_nlink:
                with suppress(OSError):  # a full disk: then it is not compared
                    os.write(file, self._fingerprint.encode())
                return file
            os.close(file)

    def keep(self) -> None:
        """Locks a new file if somebody has removed this one: without it, the others take this
        process for dead."""
        if not os.fstat(self._file).st_nlink:
            removed, self._file = self._file, self._acquire()
            os.close(removed)

    def dead(self, process_ids: set[str]) -> set[str]:
        """Those of `process_ids` that have ended."""
        return {each for each in process_ids if self.is_dead(each)}

    def is_dead(self, process_id: str) -> bool:
        return process_id != self.process_id and self._is_dead(process_id)

    def _is_dead(self, process_id: str, *, remove: bool = False) -> bool:
        try:
            file = os.open(self._path(process_id), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if remove:
                self._path(process_id).unlink(missing_ok=True)
        except BlockingIOError:
            return False
        finally:
            os.close(file)
        return True

    def remove_dead(self) -> None:
        """Removes the lock files of processes that have ended."""
        for path in self._folder.iterdir():
            if path.name != self.process_id:
                self._is_dead(path.name, remove=True)

    def close(self) -> None:
        self._path(self.process_id).unlink(missing_ok=True)
        os.close(self._file)
