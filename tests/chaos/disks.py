"""A small disk for each database, so that a storm can fill it: a tmpfs, where one is allowed."""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.chaos.facts import Span

SIZE_MB: Final = 256
BALLAST: Final = "ballast"
PIECE: Final = bytes(1024 * 1024)


class Disk:
    """A folder for one process's database. `is_small`: it is a file system of its own."""

    def __init__(self, name: str, folder: Path, *, is_small: bool) -> None:
        self.name = name
        self.folder = folder
        self.is_small = is_small
        self.spans: list[Span] = []
        self._busy = asyncio.Lock()

    async def fill(self, seconds: float) -> None:
        """Nothing more fits for so long. Does nothing on a disk that others use."""
        if not self.is_small:
            return
        async with self._busy:
            start = time.time()
            ballast = self.folder / BALLAST
            try:
                await asyncio.to_thread(_write_until_full, ballast)
                await asyncio.sleep(seconds)
            finally:
                ballast.unlink(missing_ok=True)
                self.spans.append(Span(self.name, "fill", start, time.time()))


def _write_until_full(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        for _ in range(2 * SIZE_MB):
            file.write(PIECE)
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        while True:  # what is left below one piece
            file.write(b"0")


@contextmanager
def disk(name: str, folder: Path) -> Iterator[Disk]:
    """The disk at this folder, which is made; unmounted at the end."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(folder)]
    try:
        is_small = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        is_small = False
    try:
        yield Disk(name, folder, is_small=is_small)
    finally:
        if is_small:
            subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)
