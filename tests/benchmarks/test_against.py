"""Two versions of the code, measured in turns."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks import against
from benchmarks.against import Medians, SideFailed


def test_ratios_are_taken_round_by_round_of_what_both_sides_measure() -> None:
    ours: list[Medians] = [{("fan", "a"): 2, ("fan", "new"): 1}, {("fan", "a"): 3}]
    theirs: list[Medians] = [{("fan", "a"): 1, ("fan", "old"): 1}, {("fan", "a"): 1}]
    [ratio] = against.ratios(list(zip(ours, theirs, strict=True)))
    assert (ratio.row, ratio.name, ratio.unit, ratio.rounds) == ("fan", "a", "x", 2)
    assert (ratio.low, ratio.value, ratio.high) == (2, 2.5, 3)


def test_a_figure_that_was_zero_has_no_ratio() -> None:
    assert against.ratios([({("fan", "a"): 1}, {("fan", "a"): 0})]) == []


def test_sides_alternate_and_the_ratios_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    order: list[str] = []

    @contextmanager
    def checked_out(revision: str) -> Iterator[Path]:
        yield tmp_path

    def measure(root: Path, options: Sequence[str]) -> Medians:
        assert options == ["--only", "fan", "--quick"]
        order.append("other" if root == tmp_path else "this")
        return {("fan", "a"): 1.0 if root == tmp_path else 2.0}

    monkeypatch.setattr(against, "checked_out", checked_out)
    monkeypatch.setattr(against, "measure", measure)
    monkeypatch.setattr(against, "RESULT", tmp_path / "against.json")
    assert against.main(["abc", "--only", "fan", "--quick", "--rounds", "2"]) == 0
    assert order == ["this", "other", "other", "this"]
    assert "2 x" in capsys.readouterr().out
    written = json.loads((tmp_path / "against.json").read_text())
    assert written["figures"][0]["value"] == 2


def test_an_unknown_revision_is_an_error_that_names_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(against, "HOME", tmp_path)
    assert against.main(["no-such-revision"]) == 1
    assert "no-such-revision" in capsys.readouterr().err


def test_a_side_that_fails_ends_the_comparison(tmp_path: Path) -> None:
    with pytest.raises(SideFailed, match="exited with 1"):
        against.measure(tmp_path, [])
