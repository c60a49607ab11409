"""When a call of a tool needs a person, and what an approval is bound to: for all tools, effects
and arguments."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from durable_agent_team.contracts.tool_box import ToolFacts
from durable_agent_team.contracts.tool_kinds import ApprovalRule, Effects, Tool
from durable_agent_team.rules import model_json
from durable_agent_team.rules.tools.approval_rules import (
    amount_of,
    approved_sha256,
    needs_approval,
    parsed_arguments,
    plain_arguments,
    rule_of,
)

TOOL: TypeAdapter[Any] = TypeAdapter(Tool)
effects = st.sampled_from(list(Effects))
rules = st.none() | st.sampled_from(list(ApprovalRule))
prices = st.none() | st.decimals(min_value="0.01", max_value=1_000, places=2)
limits = st.decimals(min_value=0, max_value=1_000, places=2)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
objects = st.dictionaries(st.sampled_from(["usd", "order", "note", "a b"]), json_values)


@st.composite
def tools(draw: st.DrawFn) -> Tool:
    """Any policy that a team file may have."""
    entry: dict[str, Any] = {"python": "shop:refund"}
    rule = draw(rules)
    if rule is not None:
        entry["approve"] = rule
    if rule is ApprovalRule.ABOVE_USD:
        entry["above_usd"] = draw(limits)
        entry["amount"] = draw(st.none() | st.just("usd"))
    price = draw(prices)
    if price is not None:
        entry["price_usd"] = price
    if draw(st.booleans()):
        entry["trusted"] = True
    found: Tool = TOOL.validate_python(
        {name: value for name, value in entry.items() if value is not None}
    )
    return found


def facts(effects: Effects = Effects.ONCE, **changes: Any) -> ToolFacts:
    given = {"name": "refund", "entry": 0, "own_name": "refund", "source": "shop:refund"}
    return ToolFacts(**{**given, "effects": effects, "sha256": "0" * 64, **changes})


@given(tools(), effects, objects, st.booleans())
def test_a_tainted_conversation_runs_no_effect_unasked_unless_never_is_said(
    tool: Tool, effects: Effects, arguments: dict[str, Any], tainted: bool
) -> None:
    asks = needs_approval(tool, effects, json.dumps(arguments), tainted=tainted)
    if tainted and effects is not Effects.NONE and not asks:
        assert tool.approve is ApprovalRule.NEVER
    if tool.approve is ApprovalRule.NEVER:
        assert not asks, "the team file decides"
    if tool.approve is ApprovalRule.ALWAYS:
        assert asks
    if tool.approve is None and effects is Effects.NONE:
        assert not asks, "what changes nothing asks nobody by itself"
    if asks and tool.approve in (None, ApprovalRule.TAINTED):
        assert tainted


@given(tools(), effects, objects)
def test_taint_only_ever_adds_a_question(
    tool: Tool, effects: Effects, arguments: dict[str, Any]
) -> None:
    text = json.dumps(arguments)
    if needs_approval(tool, effects, text, tainted=False):
        assert needs_approval(tool, effects, text, tainted=True)


@given(limits, json_values, effects)
def test_whatever_is_no_amount_up_to_the_limit_is_asked_about(
    limit: Decimal, value: Any, effects: Effects
) -> None:
    tool = TOOL.validate_python(
        {"python": "a:b", "approve": "above_usd", "above_usd": limit, "amount": "usd"}
    )
    asks = needs_approval(tool, effects, json.dumps({"usd": value}), tainted=False)
    if not asks:
        amount = Decimal(str(value))
        assert 0 <= amount <= limit
        assert not isinstance(value, bool)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= limit:
        assert not asks


@pytest.mark.parametrize(
    "text",
    [
        *('{"usd": true}', '{"usd": null}', '{"usd": []}', '{"usd": {}}', '{"usd": -1}', "{}"),
        *('{"usd": NaN}', '{"usd": 1e400}', '{"usd": "NaN"}', '{"usd": "Infinity"}', "[5]", "5"),
        *('{"usd": "5 USD"}', '{"usd": "1,5"}', '{"usd": "1_0"}', '{"usd": "٥"}', '{"usd": "５"}'),
        *('{"usd": ""}', '{"usd": "0x5"}', '{"USD": 5}', '{"usd ": 5}', "not JSON", ""),
        '{"usd": %s}' % ("1" * 70),
        '{"usd": 5, "usd": 5000}',  # as every reader reads it
        '{"usd": "-0.01"}',
    ],
)
def test_an_amount_that_is_none_counts_as_a_large_one(text: str) -> None:
    tool = TOOL.validate_python(
        {"python": "a:b", "approve": "above_usd", "above_usd": 50, "amount": "usd"}
    )
    assert needs_approval(tool, Effects.ONCE, text, tainted=False)


def test_without_an_argument_the_price_of_the_call_is_its_amount() -> None:
    given = {"python": "a:b", "approve": "above_usd", "above_usd": "0.5"}
    for price, asks in (("0.5", False), ("0.51", True)):
        tool = TOOL.validate_python({**given, "price_usd": price})
        assert amount_of(tool, "{}") == Decimal(price)
        assert needs_approval(tool, Effects.ONCE, "{}", tainted=False) is asks
    assert needs_approval(TOOL.validate_python(given), Effects.ONCE, "{}", tainted=False)


@given(tools(), effects)
def test_the_default_depends_on_the_effects_alone(tool: Tool, effects: Effects) -> None:
    assume(tool.approve is None)
    expected = ApprovalRule.NEVER if effects is Effects.NONE else ApprovalRule.TAINTED
    assert rule_of(tool, effects) is expected


@given(objects, objects)
def test_an_approval_holds_for_the_same_arguments_and_no_others(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    one, two = (approved_sha256(facts(), json.dumps(each)) for each in (first, second))
    assert (one == two) == (json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True))


@given(objects)
def test_order_and_spaces_are_not_part_of_what_is_approved(arguments: dict[str, Any]) -> None:
    other = json.dumps(dict(reversed(arguments.items())), indent=3, ensure_ascii=False)
    assert approved_sha256(facts(), other) == approved_sha256(facts(), json.dumps(arguments))


@pytest.mark.parametrize(
    "changes", [{"sha256": "1" * 64}, {"source": "shop:other"}, {"source": "crm.refund"}]
)
def test_an_approval_holds_for_one_tool_as_it_was_listed(changes: dict[str, Any]) -> None:
    assert approved_sha256(facts(**changes), "{}") != approved_sha256(facts(), "{}")


@given(st.text(max_size=30) | st.binary(max_size=30).map(repr))
def test_any_text_has_a_hash_of_its_own(text: str) -> None:
    """Also one that is no JSON object: it is bound as it stands."""
    sha256 = approved_sha256(facts(), text)
    assert sha256 == approved_sha256(facts(), text)
    assert sha256 != approved_sha256(facts(), f"{text} x")


@given(objects)
def test_edited_arguments_are_run_as_they_were_read(arguments: dict[str, Any]) -> None:
    text = json.dumps(arguments)
    plain = plain_arguments(text)
    assert json.loads(plain) == parsed_arguments(text)
    assert approved_sha256(facts(), plain) == approved_sha256(facts(), text)


@pytest.mark.parametrize(
    "text",
    ['{"usd": NaN}', '{"usd": -Infinity}', '{"usd": 1e400}', '{"usd": {"a": [1e999]}}', "[]", "1"],
)
def test_numbers_that_json_does_not_have_are_no_arguments(text: str) -> None:
    assert parsed_arguments(text) is None


@given(st.text(alphabet='{}[]":, 0123456789eE.-+usdnaN\\ud8', max_size=24).map("{{{}}}".format))
def test_what_a_model_may_send_reads_the_same_everywhere(text: str) -> None:
    """The turn's reader, the approval, and the activity that calls the tool see one object."""
    try:
        value = model_json.parse(text, unique_keys=True)
    except ValueError:
        return
    assert parsed_arguments(text) == value == json.loads(text)
