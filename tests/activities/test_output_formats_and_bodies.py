"""Bodies of calls: who gets to know what, and what the model is held to."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from activities.calls.output_formats import (
    FINDINGS_SCHEMA,
    MAX_SENTENCES,
    findings_generation,
    output_schema,
    response_format,
    source_sentences,
)
from activities.calls.request_body import body
from activities.calls.source_fences import fence_tag
from durable_agent_team.contracts.call import (
    MAX_REJECTED,
    CallRequest,
    Purpose,
    Rejected,
    Source,
)
from durable_agent_team.contracts.team import Checks
from tests.activities.support import call, check

MARKET = Source(
    name="market.md",
    text="""# Demand in Europe

Demand for e-bikes rose by a tenth
in 2024. Growth was strongest in France!

- Stocks are high: 1.5 million units.
- Tiny.

| year | units |
""",
)
SENTENCES = [
    "Demand for e-bikes rose by a tenth in 2024.",
    "Growth was strongest in France!",
    "Stocks are high: 1.5 million units.",
]


def sent(request: CallRequest) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(body(request))
    return parsed


def test_sentences_are_the_sources_own() -> None:
    assert list(source_sentences(MARKET.text)) == SENTENCES


@given(st.text(alphabet='Aab .!?\n-#>"1', max_size=400))
@example("11111111111111111-\n1")
def test_every_sentence_offered_passes_the_check(text: str) -> None:
    source = Source(name="s", text=text)
    asked = call(output="findings", sources=(source,), checks=Checks(quotes_exist_in="inputs"))
    for sentence in source_sentences(text):
        answer = json.dumps({"findings": [{"source": "s", "quote": sentence}]})
        assert check(asked, answer) == ()


def places(*sources: Source, max_tokens: int = 1_000) -> list[dict[str, Any]]:
    found = findings_generation(sources, max_tokens)["properties"]["findings"]
    assert found["maxItems"] == len(found["prefixItems"])
    assert "items" not in found, "llama.cpp would not look at the places then"
    result: list[dict[str, Any]] = found["prefixItems"]
    return result


def offered(place: dict[str, Any]) -> list[tuple[str, str]]:
    """What may stand there: a source's name and a sentence."""
    return [
        (shape["properties"]["source"]["enum"][0], quote)
        for shape in place.get("anyOf", [place])
        for quote in shape["properties"]["quote"]["enum"]
    ]


def numbered(name: str, count: int) -> Source:
    text = " ".join(f"{name} has a sentence number {n}." for n in range(count))
    return Source(name=name, text=text)


@given(st.integers(1, 60), st.integers(0, 60), st.integers(1, 2_000))
def test_every_sentence_is_offered_in_one_place_only(one: int, two: int, tokens: int) -> None:
    found = [offered(place) for place in places(numbered("A", one), numbered("B", two),
                                                max_tokens=tokens)]  # fmt: skip
    assert 1 <= len(found) <= min(5, one + two)
    assert all(found), "a place without a choice could not be filled"
    everything = [choice for place in found for choice in place]
    assert len({quote for _, quote in everything}) == len(everything) == one + two
    assert all(quote.startswith(name) for name, quote in everything)


def test_sentences_that_stand_together_can_be_chosen_together() -> None:
    found = [{quote for _, quote in offered(place)} for place in places(numbered("A", 23))]
    for first in range(23 - 4):
        five = [f"A has a sentence number {n}." for n in range(first, first + 5)]
        assert all(len(place & set(five)) == 1 for place in found)


def test_what_two_sources_say_is_offered_once() -> None:
    again = Source(name="copy.md", text=MARKET.text)
    everything = [choice for place in places(MARKET, again) for choice in offered(place)]
    assert everything == [("market.md", sentence) for sentence in SENTENCES]


def test_no_more_findings_than_fit_into_the_answer() -> None:
    source = Source(name="s", text=" ".join(f"Number {n} is {'x' * 250}." for n in range(20)))
    assert [len(places(source, max_tokens=n)) for n in (50, 250, 400, 600)] == [1, 2, 3, 5]


def test_too_many_sentences_or_none_give_a_bounded_text() -> None:
    for source in (numbered("S", MAX_SENTENCES + 1), Source(name="s", text="short")):
        findings = findings_generation((source,), 500)["properties"]["findings"]
        quote = findings["items"]["properties"]["quote"]
        assert "enum" not in quote
        assert (quote["maxLength"], findings["maxItems"]) == (300, 5)
    assert findings_generation((), 500), "no source at all is no crash"


def test_what_generation_allows_the_check_accepts() -> None:
    schema = findings_generation((MARKET,), 500)
    one, two = ({"source": "market.md", "quote": quote} for quote in SENTENCES[:2])
    for held_to in (schema, FINDINGS_SCHEMA):
        Draft202012Validator.check_schema(held_to)
        for answer in ([one], [one, two]):  # a model that is free to stop early may
            Draft202012Validator(held_to).validate({"findings": answer})
    twice = {"findings": [one, one]}
    assert not Draft202012Validator(schema).is_valid(twice)
    assert Draft202012Validator(FINDINGS_SCHEMA).is_valid(twice)


def test_text_has_no_format_and_a_teams_schema_is_its_own() -> None:
    assert response_format(call()) is None
    assert output_schema("text") is None
    schema = {"type": "object"}
    held_to = response_format(call(output=schema))
    assert held_to is not None
    assert held_to["json_schema"]["schema"] == output_schema(schema) == schema


def test_a_hand_offs_quotes_are_offered_without_their_escapes() -> None:
    text = json.dumps({"findings": [{"quote": 'They said "we are sold out" all summer.'}]})
    assert list(source_sentences(text)) == ['They said "we are sold out" all summer.']


def test_the_name_of_a_hand_offs_source_is_not_offered_as_a_quote() -> None:
    finding = {"source": "sources/financials-2026.md", "quote": "Sales fell by 5 percent in May."}
    text = json.dumps({"findings": [finding]})
    assert list(source_sentences(text)) == ["Sales fell by 5 percent in May."]


def test_a_specialist_gets_role_sources_and_ask_and_no_goal() -> None:
    asked = call(sources=(MARKET,))
    system, user = sent(asked)["messages"]
    assert (system["role"], system["content"]) == ("system", "You are: Market researcher.")
    tag = fence_tag(asked)
    assert user["content"].startswith(f'<source-{tag} name="market.md">\n# Demand in Europe')
    assert user["content"].endswith(f"</source-{tag}>\n\nList the facts on demand.")
    assert "Goal" not in body(asked).decode()


def test_the_orchestrators_goal_stands_first() -> None:
    request = sent(call(goal="Brief the board", purpose=Purpose.FINAL, sources=(MARKET,)))
    assert request["messages"][1]["content"].startswith("Goal: Brief the board\n\n<source")


def test_where_nothing_holds_the_model_to_its_schema_the_repair_shows_it() -> None:
    schema = {"type": "object", "required": ["name"]}
    for reason in ("The answer is not JSON (…).", "At the whole answer: 'name' is required"):
        rejected = Rejected(answer="An oak.", reasons=(reason,))
        asked = call(rejected=rejected, output=schema)
        user = sent(asked)["messages"][-1]["content"]
        assert user.endswith(
            'The JSON Schema of the answer:\n{"type":"object","required":["name"]}'
        )
    other = Rejected(answer="{}", reasons=("The answer has 2 characters; at least 5 …",))
    assert "Schema" not in sent(call(rejected=other, output=schema))["messages"][-1]["content"]
    large = {"type": "object", "description": "x" * 5_000}
    assert "Schema" not in sent(call(rejected=rejected, output=large))["messages"][-1]["content"]


def test_a_rejected_answer_goes_back_with_its_reasons_bounded() -> None:
    rejected = Rejected(answer="x" * 100_000, reasons=("too long", "no quote"))
    assistant, user = sent(call(rejected=rejected))["messages"][2:]
    assert assistant["role"] == "assistant"
    assert len(assistant["content"]) < MAX_REJECTED + 10
    assert "- too long\n- no quote" in user["content"]


def test_the_settings_of_the_call_are_sent_and_defaults_left_out() -> None:
    assert set(sent(call())) == {"model", "messages", "max_tokens", "temperature"}
    assert "temperature" not in sent(call(temperature=None))
    assert sent(call(reasoning_effort="low"))["reasoning_effort"] == "low"
    request = sent(call(seed=0, frequency_penalty=0.4, temperature=0.5))
    assert (request["seed"], request["frequency_penalty"], request["temperature"]) == (0, 0.4, 0.5)


@given(st.text(), st.text())
def test_the_same_call_makes_the_same_bytes(ask: str, text: str) -> None:
    """After a round trip through Temporal too: else the gateway would refuse the retry."""
    request = call(ask=ask, sources=(Source(name="s", text=text),), output="findings")
    again = CallRequest.model_validate_json(request.model_dump_json(exclude_unset=True))
    assert body(request) == body(again)
