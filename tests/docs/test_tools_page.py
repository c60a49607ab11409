"""Checks that `docs/tools.md` has every key of servers and tools."""

import pytest

from tests.docs.pages import ROOT
from tools.tools_page import MEANINGS, SECTIONS, table, tools_page

PAGE = (ROOT / "docs" / "tools.md").read_text(encoding="utf-8")


def test_the_page_is_generated_from_the_models() -> None:
    assert tools_page() == PAGE


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_is_listed(section: str) -> None:
    model, left_out = SECTIONS[section]
    rows = list(table(section))[2:]
    assert {row.split("`")[1] for row in rows} == set(model.model_fields) - set(left_out)
    assert all(row in PAGE for row in rows)


def test_every_key_of_a_kind_is_in_one_of_its_two_tables() -> None:
    for shared, own in (("server", "command_server"), ("server", "url_server"),
                        ("tool", "server_tools"), ("tool", "python_tool"),
                        ("tool", "built_in_tool")):  # fmt: skip
        keys = set(MEANINGS[shared]) | set(MEANINGS[own])
        assert keys == set(SECTIONS[own][0].model_fields)
