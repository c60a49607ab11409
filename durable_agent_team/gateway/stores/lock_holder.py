"""Which process holds the lock without which nothing can be written to a database in WAL mode."""

import os
from pathlib import Path
from typing import Final

WRITE_LOCK: Final = 120
"""The byte of the `-shm` file that a writer locks (sqlite.org/walformat.html, 2.3.1)."""
LOCKS: Final = Path("/proc/locks")
"""Not by F_GETLK: to close a file drops all locks that SQLite has on it in this process."""


def locked_by(database: Path) -> str:
    """Who holds the lock, and what to do, as the end of a sentence."""
    process_id = _holder(database)
    if process_id is None:
        return "another program, or its disk does not answer"
    if process_id == os.getpid():
        return "this gateway: its disk does not answer"
    if _is_stopped(process_id):
        return (
            f"process {process_id}, which is stopped: resume it (`kill -CONT {process_id}`), or end"
            f" it (`kill -9 {process_id}`)"
        )
    return f"process {process_id}: let it finish, or end it"


def _holder(database: Path) -> int | None:
    """Returns None if no process holds it, or if the system does not say which one does."""
    try:
        shared = os.stat(f"{database.resolve()}-shm")
        lines = LOCKS.read_text().splitlines()
    except OSError:
        return None
    device = f"{os.major(shared.st_dev):02x}:{os.minor(shared.st_dev):02x}"
    for line in lines:
        _, kind, *rest = line.split()
        if kind != "POSIX":  # or an arrow, if it is only waited for
            continue
        _, mode, process_id, file, first, last = rest
        held = mode == "WRITE" and file == f"{device}:{shared.st_ino}"
        if held and int(first) <= WRITE_LOCK and (last == "EOF" or int(last) >= WRITE_LOCK):
            return int(process_id) if int(process_id) > 0 else None  # of another container
    return None


def _is_stopped(process_id: int) -> bool:
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] in ("T", "t")
