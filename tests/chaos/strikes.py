"""Kills processes at moments that the clock rarely hits: the servers of tools between an effect and
its result, a gateway between an answer and its charge."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from random import Random
from typing import Final

from tests.chaos.processes import Victim

MOST: Final = 3
"""In one run, so that every run can end."""
SHARE: Final = 0.4
"""Of the effects that are struck."""


MOST_GATEWAYS: Final = 4
"""In a storm."""
GATEWAY_SHARE: Final = 0.06
"""Of the answers that are struck."""


class GatewayStrikes:
    """Kills or freezes the gateway that an answer was just written to, before it is charged."""

    def __init__(self, seed: int, gateways: Mapping[str, Victim], frozen_seconds: float) -> None:
        self._random = Random(f"gateway strikes:{seed}")
        self._gateways = gateways
        self._frozen_seconds = frozen_seconds
        self._struck: set[asyncio.Task[None]] = set()

    async def answered(self, gateway: str) -> None:
        """An answer was written to the gateway of this name."""
        victim = self._gateways.get(gateway)
        if victim is None or victim.is_away or len(self._struck) >= MOST_GATEWAYS:
            return
        if self._random.random() < GATEWAY_SHARE:
            kills = self._random.random() < 0.6
            work = victim.kill(0) if kills else victim.freeze(self._frozen_seconds)
            self._struck.add(asyncio.create_task(work))
            await asyncio.sleep(0)  # so that it is struck before anything else happens here


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
