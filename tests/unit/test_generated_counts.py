"""The counts that `make fuzz` prints."""

from collections import Counter

import pytest

from tests.support import fuzzing


def test_the_setting_overrides_the_default_up_to_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FUZZ_EXAMPLES", raising=False)
    assert fuzzing.examples(50) == 50
    monkeypatch.setenv("FUZZ_EXAMPLES", "4000")
    assert fuzzing.examples(50) == 4000
    assert fuzzing.examples(50, most=300) == 300


def test_examples_of_every_phase_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzing, "COUNTS", Counter())
    text = (
        "- 2 passing, 1 failing, and 9 invalid test cases\n- 40 passing, 0 failing, and 0 invalid"
    )
    fuzzing.count_hypothesis("test_a", text)
    fuzzing.count("test_b", 1_000)
    assert [line.split() for line in fuzzing.summary()] == [
        ["43", "test_a"], ["1,000", "test_b"], ["1,043", "in", "all"]
    ]  # fmt: skip
