"""Notices when the database's files are removed or replaced while they are open.

SQLite would continue to write into the removed files, and everything written would be gone after
the next start.
"""

import os
from pathlib import Path

SUFFIXES = ("", "-wal", "-shm")


class OpenFiles:
    """The files that a connection has open, by device and inode."""

    def __init__(self, path: Path) -> None:
        self._path = path
        names = [f"{path}{suffix}" for suffix in SUFFIXES]
        self._opened = {name: found for name in names if (found := _identity(name)) is not None}

    def problem(self) -> str | None:
        """What happened to one of the files, and what to do; None if all are in place."""
        for name, opened in self._opened.items():
            now = _identity(name)
            if now != opened:
                what = "removed" if now is None else "replaced"
                return (
                    f"the database cannot be written: {name} was {what} while the gateway runs."
                    f" Put the file of GATEWAY_DATABASE ({self._path}) back, or set another one,"
                    " and start the gateway again"
                )
        return None


def _identity(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)
    except OSError:
        return None
    return found.st_dev, found.st_ino
