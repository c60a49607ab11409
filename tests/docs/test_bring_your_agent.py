"""Checks that the code in docs/bring-your-agent.md is that of the teams in teams/frameworks/."""

import pytest

from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "bring-your-agent.md"
TEAMS = ROOT / "teams" / "frameworks"
SHOWN = {
    "python": [*sorted(TEAMS.glob("*_desk.py")), TEAMS / "tickets.py"],
    "javascript": [TEAMS / "mastra" / "desk.mjs"],
    "yaml": [TEAMS / "langgraph_desk.yaml", TEAMS / "mastra_desk.yaml"],
}


@pytest.mark.parametrize("language", SHOWN)
def test_the_code_is_that_of_the_files(language: str) -> None:
    files = {file.read_text(encoding="utf-8") for file in SHOWN[language]}
    assert set(blocks(PAGE, language)) == files
