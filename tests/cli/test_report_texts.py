"""What a report makes of texts and times: JSON laid out, round ticks."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_agent_team.cli.json_layout import laid_out
from durable_agent_team.cli.ui.call_timeline import MOST_TICKS, tick_text, ticks
from durable_agent_team.rules.safe_text import readable_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES.filter(lambda value: isinstance(value, list | dict)), st.booleans())
def test_json_laid_out_is_the_same_json(value: Any, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped, separators=(",", ":"))
    laid = laid_out(text)
    assert laid is not None
    assert json.loads(laid) == value
    assert laid == readable_json(json.dumps(value, ensure_ascii=escaped, indent=2))


def test_numbers_and_doubled_keys_stay_as_they_are_written() -> None:
    assert laid_out('{"a":1.50,"a":12345678901234567890.0,"b":[]}') == (
        '{\n  "a": 1.50,\n  "a": 12345678901234567890.0,\n  "b": []\n}'
    )
    assert laid_out('```json\n{"a": 1}\n```') == '{\n  "a": 1\n}'


@pytest.mark.parametrize(
    "text", ["", "prose", "{not json}", '"text"', "12", "[1, 2", "[" * 100_000, '{"a": 1} and more']
)
def test_what_is_not_json_is_shown_as_it_is(text: str) -> None:
    assert laid_out(text) is None


@given(st.floats(0.001, 10**9))
def test_the_time_axis_has_few_round_ticks(whole: float) -> None:
    found = ticks(whole)
    assert found[0] == 0
    assert found[-1] <= whole + 0.05
    assert len(found) <= MOST_TICKS + 1
    assert len({tick_text(each) for each in found}) == len(found)
    if whole >= 0.2:
        assert len(found) >= 2
    assert all(len(tick_text(each)) <= 9 for each in found)


def test_ticks_are_times_that_people_use() -> None:
    assert [tick_text(each) for each in ticks(303)] == ["0", "1 m", "2 m", "3 m", "4 m", "5 m"]
    assert [tick_text(each) for each in ticks(7)] == ["0", "2 s", "4 s", "6 s"]
    assert [tick_text(each) for each in ticks(timedelta(days=2).total_seconds())] == [
        "0", "12 h", "1 d", "1 d 12 h", "2 d",
    ]  # fmt: skip
