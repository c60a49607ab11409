"""`python -m benchmarks.peers`: which rows are measured, and what a broken one leaves."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import benchmarks.peers.__main__ as command
from benchmarks.figures import Figure, Sample, figure
from benchmarks.peers.field import Field
from benchmarks.stage import RunBroken


class Row:
    """Breaks in the turn that it is told to."""

    title = "a row"

    def __init__(self, name: str, rounds: tuple[int, int], breaks_in: int | None = None) -> None:
        self.name = name
        self.rounds = rounds
        self._breaks_in = breaks_in

    async def sample(self, field: Field, turn: int) -> Sample:
        if turn == self._breaks_in:
            raise RunBroken("it stood still")
        return {"it": float(turn)}

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        return [figure(self.name, "it", [sample["it"] for sample in samples], "s")]


class Nobody:
    contenders: dict[str, object] = {}  # noqa: RUF012
    versions: dict[str, dict[str, str]] = {}  # noqa: RUF012

    async def warm(self) -> None:
        pass


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The command without contenders; the path of its result."""

    @asynccontextmanager
    async def no_contenders() -> AsyncIterator[Nobody]:
        yield Nobody()

    monkeypatch.setattr(command, "contenders", no_contenders)
    monkeypatch.setattr(command, "RESULT", tmp_path / "peers.json")
    return tmp_path / "peers.json"


def test_what_was_asked_for_is_measured_and_never_oftener_than_asked() -> None:
    quick = dict(_rounds([], quick=True, most=None))
    assert quick["fan 3 0"] == 1
    assert quick["memory"] == 0
    assert _rounds(["memory"], quick=True, most=None) == [("memory", 1)]
    assert {rounds for _, rounds in _rounds([], quick=False, most=1)} == {1}
    assert dict(_rounds([], quick=False, most=None))["fan 3 0"] > 1


def _rounds(only: list[str], *, quick: bool, most: int | None) -> list[tuple[str, int]]:
    return [(row.name, rounds) for row, rounds in command.chosen(only, quick, most)]


def test_a_broken_row_is_told_and_the_others_keep_their_samples(
    alone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = (Row("good", (3, 1)), Row("bad", (3, 1), breaks_in=1))
    monkeypatch.setattr(command, "ROWS", rows)
    assert command.main([]) == 1
    assert "bad is broken: RunBroken: it stood still" in capsys.readouterr().err
    written = json.loads(alone.read_text())
    assert written["samples"] == {"good": [{"it": 0}, {"it": 1}, {"it": 2}], "bad": [{"it": 0}]}
    assert written["broken"] == {"bad": "RunBroken: it stood still"}
    assert written["quick"] is False


def test_all_measured_is_exit_code_0(
    alone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "ROWS", (Row("good", (3, 1)),))
    assert command.main(["--quick"]) == 0
    assert str(alone) in capsys.readouterr().out
    assert json.loads(alone.read_text())["samples"] == {"good": [{"it": 0}]}


def test_an_unknown_row_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        command.main(["--only", "nonsense"])
    assert refused.value.code == 2
    assert "'crossed'" in capsys.readouterr().err
