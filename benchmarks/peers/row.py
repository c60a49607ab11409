"""The interface of a row of the comparison."""

from collections.abc import Sequence
from typing import Protocol

from benchmarks.figures import Figure, Sample
from benchmarks.peers.field import Field


class Row(Protocol):
    """`rounds` are those of a full run and of `--quick`; all rows take turns in each round."""

    name: str
    title: str
    rounds: tuple[int, int]

    async def sample(self, field: Field, turn: int) -> Sample: ...

    def figures(self, samples: Sequence[Sample]) -> list[Figure]: ...
