"""A directory for each program that runs, and the end of those that a killed worker has left."""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from activities.programs.supervised_process import kill_marked

LOCK: Final = "lock"


@dataclass(frozen=True)
class WorkDirectory:
    """`home` is the program's own; `report` is where `once` says what a person must decide."""

    home: Path
    report: Path


class WorkDirectories:
    """The directories of one worker process. Its lock says to others that it is alive.

    Not in the program's way: `root` is outside of the project, in the system's directory for
    temporary files.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = root or Path(tempfile.gettempdir()) / f"durable-agent-team-{os.getuid()}"
        self._own: Path | None = None
        self._lock: int | None = None

    def clean(self) -> int:
        """Ends what workers that are gone have left running, and removes their directories;
        returns how many workers these were. Blocks."""
        gone = 0
        for folder in self._root.glob("worker-*") if _is_ours(self._root) else ():
            if folder == self._own:
                continue
            with contextlib.suppress(OSError):
                lock = os.open(folder / LOCK, os.O_RDWR)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    for home in folder.glob("program-*/home"):
                        kill_marked(marker_of(home))
                    remove(folder)
                    gone += 1
                finally:
                    os.close(lock)
        return gone

    @contextmanager
    def one(self) -> Iterator[WorkDirectory]:
        """A new directory, which is removed afterwards. Blocks for a moment."""
        folder = Path(tempfile.mkdtemp(prefix="program-", dir=self.own()))
        home = folder / "home"
        home.mkdir(mode=0o700)
        try:
            yield WorkDirectory(home, folder / "report.json")
        finally:
            remove(folder)

    def own(self) -> Path:
        """This worker's directory, made at its first use. Raises OSError."""
        if self._own is None or not self._own.is_dir():
            self._root.mkdir(mode=0o700, exist_ok=True)
            if not _is_ours(self._root):
                raise PermissionError(f"{self._root} belongs to somebody else: remove it")
            new = Path(tempfile.mkdtemp(prefix="new-", dir=self._root))
            self._lock = os.open(new / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._own = new.rename(new.with_name(new.name.replace("new-", "worker-")))
        return self._own

    def close(self) -> None:
        """Removes this worker's directory."""
        if self._own is not None:
            remove(self._own)
        if self._lock is not None:
            os.close(self._lock)
        self._own = self._lock = None


def marker_of(home: Path) -> str:
    """What all processes have in their environment that work in this directory."""
    return f"TMPDIR={home}"


def remove(folder: Path) -> None:
    """Removes a directory, also one in which a program has taken permissions away."""

    def again(function: Callable[..., Any], path: str, _: Any) -> None:
        with contextlib.suppress(OSError):
            os.chmod(Path(path).parent, stat.S_IRWXU)
            os.chmod(path, stat.S_IRWXU)
            if function is os.rmdir or not os.path.isdir(path):
                function(path)
            else:
                shutil.rmtree(path, ignore_errors=True)

    shutil.rmtree(folder, onerror=again)


def _is_ours(path: Path) -> bool:
    with contextlib.suppress(OSError):
        about = path.lstat()
        return stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid()
    return False
