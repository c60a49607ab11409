"""Kills the servers of tools between an effect and its result, which the clock rarely hits."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from random import Random
from typing import Final

MOST: Final = 3
"""In one run, so that every run can end."""
SHARE: Final = 0.4
"""Of the effects that are struck."""


class Strikes:
    """Reads the file in which the tools count their effects; each of them then takes a while."""

    def __init__(
        self, seed: int, effects: Path, runs: Collection[str], kill: Callable[[], Awaitable[None]]
    ) -> None:
        """`runs` are those whose tools are of servers; `kill` kills these."""
        self._random = Random(f"strikes:{seed}")
        self._effects = effects
        self._runs = runs
        self._kill = kill
        self._read = 0
        self._struck: Counter[str] = Counter()

    async def watch(self) -> None:
        """Never returns."""
        while True:
            await asyncio.sleep(0.05)
            for run in self._new():
                if self._struck[run] < MOST and self._random.random() < SHARE:
                    self._struck[run] += 1
                    await self._kill()

    def _new(self) -> list[str]:
        """The runs of the effects since the last time."""
        if not self._effects.exists():
            return []
        lines = self._effects.read_text().splitlines()
        fresh, self._read = lines[self._read :], len(lines)
        runs = [str(json.loads(line)["task"]).rpartition(".")[0] for line in fresh]
        return [run for run in runs if run in self._runs]
