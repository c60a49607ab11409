"""JSON with a fence or a sentence around it is an answer; what is ambiguous or broken is not."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_agent_team.rules.json_in_text import json_answer
from tests.activities.support import call, check
from tests.support.cpu_time import cpu_within

OBJECT = {"type": "object"}
TREE = '{"name": "oak", "rings": [1, 2]}'


@pytest.mark.parametrize(
    "text",
    [
        TREE,
        f"```json\n{TREE}\n```",
        f"```\n{TREE}\n```",
        f"Here is the JSON:\n```json\n{TREE}\n```",
        f"Here is the JSON:\n\n```JSON\n{TREE}\n```\nI hope that helps!",
        f"~~~json\n{TREE}\n~~~",
        f"Sure! {TREE}",
        f"Here it is: {TREE}",
        f"{TREE}\n\nLet me know if you need {{more}} of [this].",
        f"\ufeff{TREE}",
        f"As in [1] and [2], with {{braces}}: {TREE}",
        f"{TREE}<|im_end|>",
        f"Answer ({TREE})",
        f"{TREE}\n{TREE}",
        f"```json\n{TREE}{TREE}\n```",
        f"{{}}{TREE}",
    ],
)
def test_the_json_of_an_answer_is_found(text: str) -> None:
    assert json_answer(text, OBJECT).strip() == TREE


@pytest.mark.parametrize(
    "text",
    [
        f'{TREE}\n{{"name": "elm", "rings": [1, 2]}}',
        f'{TREE}{{"name": "oak", "rings": [3, 4]}}',
        f"{TREE}{TREE}}}",
        f"First {TREE}, then {TREE}",
        f'"tree": {TREE}',
        f'{{"trees": [{TREE}], "n": nothing}}',
        f'{{"trees": [{TREE}]',
        f"{TREE}}}",
        f"{TREE},",
        f"[{TREE}",
        "There is none.",
        "{'name': 'oak'}",
        "",
        '{"a": ' * 5_000,
    ],
)
def test_what_is_ambiguous_or_broken_stays_and_fails(text: str) -> None:
    assert json_answer(text, OBJECT) == text
    assert "JSON" in check(call(output=OBJECT), text or "x")[0]


def test_without_a_kind_there_must_be_one_value() -> None:
    assert json_answer(f"So: {TREE}", {}) == TREE
    assert json_answer("So: [1, 2]", {"type": "array"}) == "[1, 2]"
    text = f"As in [1]: {TREE}"
    assert json_answer(text, {}) == text
    assert json_answer('"a text"', {"type": "string"}) == '"a text"'


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ('{"a": 1, "a": 2}', "the key 'a' stands twice in one object"),
        ('So: {"a": {"b": 1, "b": 1}}', "the key 'b' stands twice in one object"),
        ('So: {"a": NaN}', "NaN is not a JSON number"),
        ('So: {"a": -Infinity}', "-Infinity is not a JSON number"),
        ("So: [" + "1" * 5_000 + "]", "is a number of more than 300 digits"),
    ],
)
def test_what_readers_disagree_about_is_refused(answer: str, reason: str) -> None:
    (found,) = check(call(output={}), json_answer(answer, {}))
    assert reason in found


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
values: st.SearchStrategy[Any] = (
    scalars | st.lists(scalars, max_size=3) | st.lists(st.just({"a": []}), max_size=2)
)
words = st.text(alphabet=st.characters(exclude_characters='{}[]":,', codec="utf-8"), max_size=20)


@settings(max_examples=60, deadline=None)
@given(value=st.dictionaries(st.text(max_size=4), values), before=words, after=words)
def test_any_object_between_any_words(value: dict[str, Any], before: str, after: str) -> None:
    text = f"{before}{json.dumps(value)}{after}"
    assert json.loads(json_answer(text, OBJECT)) == value


@given(st.text(alphabet='{}[]", :a1\n`', max_size=60))
def test_it_never_changes_what_it_finds(text: str) -> None:
    found = json_answer(text, OBJECT)
    assert found in text


@pytest.mark.parametrize("piece", ["[", "{}", '{"a', "[1] ", "{ ", '[ "', "``` "])
def test_it_is_linear(piece: str) -> None:
    with cpu_within(seconds=1):
        json_answer("So: " + piece * 50_000, OBJECT)
