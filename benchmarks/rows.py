"""The interface of a benchmark row."""

from collections.abc import Sequence
from typing import Protocol

from benchmarks.figures import Figure, Sample
from benchmarks.stage import Stage


class Row(Protocol):
    """`rounds` are those of a full run and of `--quick`; all rows take turns in each round."""

    name: str
    about: str
    rounds: tuple[int, int]

    async def sample(self, stage: Stage) -> Sample: ...

    def figures(self, samples: Sequence[Sample]) -> list[Figure]: ...
