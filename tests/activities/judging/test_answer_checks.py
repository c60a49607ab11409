"""Hand-off checks: what passes, what does not, and whether the reason helps."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.judging.answer_checks import MAX_REASON, MAX_REASONS
from activities.judging.exceptions import InvalidSchema
from activities.judging.quotes import normalised
from durable_agent_team.contracts.call import Source
from durable_agent_team.contracts.team import Checks
from durable_agent_team.rules.fences import unfenced
from tests.activities.support import call, check

SCHEMA = {
    "type": "object",
    "properties": {"items": {"type": "array", "items": {"type": "integer", "minimum": 1}}},
    "required": ["items"],
    "additionalProperties": False,
}
INPUTS = Checks(quotes_exist_in="inputs")
SOURCE = Source(
    name="market.md", text='Demand rose\n  by a tenth. The “green” bonus\nended: it\'s "over".'
)


def findings(*quotes: str) -> str:
    return json.dumps({"findings": [{"source": "market.md", "quote": q} for q in quotes]})


@pytest.mark.parametrize(
    ("answer", "where"),
    [
        ('{"items": [1, 0]}', "items[1]"),
        ('{"items": "x"}', "items"),
        ("{}", "the whole answer"),
        ('{"items": [], "more": 1}', "the whole answer"),
        ("Sure! Here it is: {}", "not JSON"),
        ('{"items": [NaN]}', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("", "empty"),
        ("  \n", "empty"),
        ("\u200b\u2060\ufeff\u00ad\u3164 \ufe0f", "empty"),
    ],
)
def test_a_broken_schema_is_told_with_its_place(answer: str, where: str) -> None:
    reasons = check(call(output=SCHEMA), answer)
    assert len(reasons) == 1
    assert where in reasons[0]


def test_a_good_answer_has_no_reasons() -> None:
    assert check(call(output=SCHEMA), '{"items": [1, 2]}') == ()
    assert check(call(), "Any text.") == ()


LONG = "word " * 200


@pytest.mark.parametrize(
    ("schema", "answer", "said"),
    [
        ({"maxLength": 10}, LONG, "is too long"),
        ({"pattern": "^[A-Z]+$"}, LONG, "does not match '^[A-Z]+$'"),
        ({"enum": ["yes", "no"]}, LONG, "is not one of ['yes', 'no']"),
        ({"type": "number"}, LONG, "is not of type 'number'"),
        ({"format": "date"}, LONG, "is not a 'date'"),
        ({"type": "array"}, {"items": [LONG]}, "is not of type 'array'"),
        ({"uniqueItems": True}, [LONG, LONG], "has non-unique elements"),
        ({"anyOf": [{"type": "null"}]}, LONG, "is not valid under any of the given schemas"),
    ],
    ids=str,
)
def test_the_reason_stands_also_after_a_long_value(
    schema: dict[str, Any], answer: Any, said: str
) -> None:
    [reason] = check(call(output=schema), json.dumps(answer))
    assert said in reason
    assert "word word" in reason


def test_reasons_are_bounded_in_number_and_length() -> None:
    answer = json.dumps({"items": ["x" * 900] * 200})
    reasons = check(call(output=SCHEMA), answer)
    assert len(reasons) == MAX_REASONS
    assert all(len(reason) <= MAX_REASON for reason in reasons)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strange"},
        {"properties": 7},
        {"$ref": "https://example.invalid/schema.json"},
        {"$ref": "#/$defs/absent"},
    ],
)
def test_a_schema_that_is_none_is_the_teams_mistake(schema: dict[str, Any]) -> None:
    with pytest.raises(InvalidSchema, match="team file"):
        check(call(output=schema), "{}")


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ('\n```\n{"a": 1}\n```\n', '{"a": 1}'),
        ("```JSON\n{}```", "{}"),
        ('```json{"a": 1}```', '{"a": 1}'),
        ("```[1]```", "[1]"),
        ("```true```", "```true```"),
        ('{"a": "```"}', '{"a": "```"}'),
        ("no fence", "no fence"),
    ],
)
def test_a_fence_is_taken_off(text: str, inner: str) -> None:
    assert unfenced(text) == inner


def test_lengths_are_told_with_both_figures() -> None:
    checked = call(checks=Checks(min_length=5, max_length=8))
    assert check(checked, "12345") == check(checked, "12345678") == ()
    assert check(checked, "1234") == ("The answer has 4 characters; at least 5 are asked for.",)
    assert "9 characters; at most 8" in check(checked, "123456789")[0]


@pytest.mark.parametrize(
    "quote",
    [
        "Demand rose by a tenth.",
        "Demand  rose\nby a tenth.",
        'The "green" bonus ended',
        "it’s “over”",
    ],
)
def test_a_faithful_quote_may_change_spaces_and_typography(quote: str) -> None:
    assert check(call(output="findings", sources=(SOURCE,), checks=INPUTS), findings(quote)) == ()


@pytest.mark.parametrize("quote", ["Demand rose by a third.", "demand rose by a tenth.", " "])
def test_an_invented_quote_is_told(quote: str) -> None:
    asked = call(output="findings", sources=(SOURCE,), checks=INPUTS)
    reasons = check(asked, findings("Demand rose by a tenth.", quote))
    assert len(reasons) == 1
    assert "word for word" in reasons[0]


def test_quotes_are_found_wherever_they_stand_in_the_json() -> None:
    asked = call(output={"type": "object"}, sources=(SOURCE,), checks=INPUTS)
    answer = {"a": [{"quotes": ["Demand rose", "invented one"]}], "quote": "invented two"}
    assert len(check(asked, json.dumps(answer))) == 2
    assert check(asked, json.dumps({"text": "not a quote"})) == ()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ('It says "Demand rose by a tenth," and more.', 0),
        ("It says “Demand rose by a third” and more.", 1),
        ('It calls this "a success", which "green bonus" is not.', 0),
        ('"We sold nothing at all" and "nobody came to buy"', 2),
        ("Nothing is quoted.", 0),
    ],
)
def test_passages_in_a_text_are_quotes_from_three_words_on(text: str, number: int) -> None:
    assert len(check(call(sources=(SOURCE,), checks=INPUTS), text)) == number


def test_a_hand_off_in_json_is_quoted_without_its_escapes() -> None:
    text = json.dumps({"findings": [{"quote": 'He said "no"\nand left — quickly.'}]})
    asked = call(output="findings", sources=(Source(name="s", text=text),), checks=INPUTS)
    assert check(asked, findings('He said "no" and left — quickly.')) == ()


def test_without_the_check_quotes_are_nobodys_business() -> None:
    assert check(call(output="findings", sources=(SOURCE,)), findings("invented")) == ()


@given(st.text(min_size=1).filter(lambda text: bool(normalised(text))), st.text(), st.text())
def test_any_copy_of_a_source_passes(middle: str, before: str, after: str) -> None:
    source = Source(name="s", text=f"{before} {middle} {after}")
    asked = call(output="findings", sources=(source,), checks=INPUTS)
    assert check(asked, findings(middle)) == ()


@given(st.text(), st.sampled_from(["text", "findings", SCHEMA]))
def test_no_answer_whatsoever_breaks_the_checks(answer: str, output: Any) -> None:
    check(call(output=output, sources=(SOURCE,), checks=INPUTS), unfenced(answer))
