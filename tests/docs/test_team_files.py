"""Checks that `docs/team-files.md` has every key with its bounds and default."""

import pytest

from tests.docs.pages import ROOT
from tools.team_files_page import MEANINGS, MODELS, keys, table, team_files

PAGE = (ROOT / "docs" / "team-files.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("section", MEANINGS)
def test_every_key_is_listed_once_with_its_default(section: str) -> None:
    rows = {row.split("`")[1]: row for row in list(table(section))[2:]}
    properties, required = keys(section)
    assert set(rows) == set(properties)
    for name, row in rows.items():
        assert PAGE.count(row) == 1
        default = MODELS[section].model_fields[name].default
        if name in required:
            assert "| required |" in row
        elif isinstance(default, str | int | float) and default != "":
            shown = str(default).lower() if isinstance(default, bool) else f"{default}"
            assert f"| `{shown}` |" in row


def test_the_page_is_generated_from_the_models() -> None:
    assert team_files() == PAGE


def test_a_key_without_a_meaning_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {name: text for name, text in MEANINGS["task"].items() if name != "ask"}
    monkeypatch.setitem(MEANINGS, "task", kept)
    with pytest.raises(ValueError, match="differ in task: ask"):
        list(table("task"))


def test_the_bounds_are_those_of_the_models() -> None:
    rows = {row.split("`")[1]: row for row in list(table("team"))[2:]}
    assert "whole number, 1 to 500" in rows["max_parallel"]
    assert "USD, above 0, to 1,000,000" in rows["budget_usd"]
    assert "`finish_rest`, `cancel_rest`" in rows["on_task_failure"]
