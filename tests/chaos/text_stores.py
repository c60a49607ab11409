"""The store of large texts as a victim of a storm: removed for a while, and put back."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from tests.chaos.facts import Span
from tests.chaos.processes import NotReady, Victim

NAME = "store"


class TextStore:
    """The files of the store. `makers` are the processes that would make an empty one if they
    started meanwhile, so they are left alone: each with the line that its log has when it is
    ready."""

    def __init__(self, files: Sequence[Path], makers: Mapping[Victim, str]) -> None:
        self.spans: list[Span] = []
        self.made_anew: list[str] = []
        """Files that somebody made while the store was away: they would hide the store."""
        self._files = files
        self._makers = makers
        self._busy = asyncio.Lock()

    async def remove(self, seconds: float) -> None:
        """Renames the files, and renames them back after a while. Does nothing where a maker is not
        ready."""
        async with AsyncExitStack() as held:
            await held.enter_async_context(self._busy)
            try:
                for maker, line in self._makers.items():
                    await held.enter_async_context(maker.undisturbed(line))
            except NotReady:  # as on a full disk; its supervisor starts it again
                return
            files = [file for file in self._files if file.exists()]
            start = time.time()
            for file in files:
                file.rename(_away(file))
            try:
                await asyncio.sleep(seconds)
            finally:
                for file in files:
                    self._put_back(file)
                if files:
                    self.spans.append(Span(NAME, "remove", start, time.time()))

    def _put_back(self, file: Path) -> None:
        if file.exists():
            self.made_anew.append(f"{file.name} was made while the store was away")
            file.rename(file.with_name(f"{file.name}.anew{len(self.made_anew)}"))
        _away(file).rename(file)


def _away(file: Path) -> Path:
    return file.with_name(f"{file.name}.away")
