"""Notices when the database's files are removed or replaced while they are open.

SQLite would continue to write into the removed files, and everything written would be gone after
the next start.
"""

import os
import time
from pathlib import Path

SUFFIXES = ("", "-wal", "-shm")
SETTLED_NS = 2_000_000_000
"""A folder that changed more recently is not believed to be unchanged: two changes within one tick
of the file system's clock have the same time."""

FolderState = tuple[int, int, int]
"""Device, inode and the time of the last change in nanoseconds."""


class OpenFiles:
    """The files that a connection has open, by device and inode.

    A file cannot be removed or replaced without a change of its folder, so while the folder has not
    changed, nothing else is compared.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        names = [str(path), *(f"{path.resolve()}{suffix}" for suffix in SUFFIXES)]
        self._opened = {name: found for name in names if (found := _identity(name)) is not None}
        # If the path is a link, the file itself is in another folder.
        self._folders = sorted({str(path.parent), str(path.resolve().parent)})
        self._intact: list[FolderState] | None = None

    def content(self) -> tuple[int, int]:
        """Size and time of the last write of the database's own file, in bytes and nanoseconds."""
        try:
            found = os.stat(self.path)
        except OSError:
            return 0, 0
        return found.st_size, found.st_mtime_ns

    def problem(self) -> str | None:
        """What happened to one of the files, and what to do; None if all are in place."""
        folders = [_folder_state(folder) for folder in self._folders]
        if folders == self._intact:
            return None
        for name, opened in self._opened.items():
            now = _identity(name)
            if now != opened:
                self._intact = None
                what = _what_happened(name) if now is None else "replaced"
                return (
                    f"the database cannot be written: {name} was {what} while the gateway runs."
                    f" Put {self.path} back, or set another GATEWAY_DATABASE, and start the"
                    " gateway again"
                )
        settled = time.time_ns() - SETTLED_NS
        known = [state for state in folders if state is not None and state[2] < settled]
        self._intact = known if len(known) == len(folders) else None
        return None


def _identity(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _what_happened(name: str) -> str:
    try:
        os.stat(name)
    except PermissionError:
        return "made unreadable"
    except OSError:
        pass
    return "removed"


def _folder_state(name: str) -> FolderState | None:
    try:
        found = os.stat(name)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns
