"""Fences: the same result as the regular expression that they were once found by, but linear."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_agent_team.rules.fences import unfenced
from tests.support.cpu_time import cpu_within

FORMER = re.compile(
    r"\A\s*```(?:[a-z]*[ \t]*\n|(?:json)?[ \t]*(?=[\[{]))(.*?)\n?[ \t]*```\s*\Z",
    re.DOTALL | re.IGNORECASE,
)


@given(st.lists(st.sampled_from(["`", "```", "json", "JS", "\n", " ", "\t", "{", "]", "a1"])))
def test_any_text_is_read_as_by_the_former_expression(parts: list[str]) -> None:
    text = "".join(parts)
    fenced = FORMER.match(text)
    assert unfenced(text) == (fenced.group(1) if fenced else text)


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"name": "oak",' + " " * 150_000,
        "```" + " " * 200_000,
        "```\n" + "\n \t" * 60_000,
        "```json" + " \n" * 90_000 + "``",
        "`" * 199_999,
        " " * 200_000,
    ],
    ids=["an open fence", "blanks", "blank lines", "almost closed", "backquotes", "only blanks"],
)
def test_fences_with_many_blanks_are_read_at_once(text: str) -> None:
    with cpu_within(seconds=0.005):
        unfenced(text)
