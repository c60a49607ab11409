"""Turns of models that know no tools: they fill the schema of an action that remains."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from activities.calls.answer_reading import Reading
from activities.calls.request_body import body
from activities.conversations.generation_schema import generation_schema
from activities.conversations.turn_reading import Spoken, spoken
from activities.judging.judge import Judge
from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.conversation import Entry, Said, ToolCall, Turn
from durable_agent_team.providers.finish_reasons import Ending
from tests.activities.conversations.support import answered, box, turn


def sent(request: CallRequest) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(body(request))
    return value


def schema(request: CallRequest) -> dict[str, Any]:
    """What the model is held to."""
    held_to: dict[str, Any] = sent(request)["response_format"]["json_schema"]["schema"]
    return held_to


def branches(request: CallRequest) -> list[dict[str, Any]]:
    held_to = schema(request)
    found: list[dict[str, Any]] = held_to.get("anyOf", [held_to])
    return found


def actions(request: CallRequest) -> list[str]:
    return [each["properties"]["action"]["const"] for each in branches(request)]


def picked(*names: str) -> list[Entry]:
    """Turns that have called `pick` with these names."""
    entries: list[Entry] = []
    for number, name in enumerate(names):
        call = ToolCall(id=f"p{number}", name="pick", arguments=json.dumps({"name": name}))
        entries += answered(Turn(calls=(call,), as_actions=True), f"text of {name}")
    return entries


async def said(text: str, request: CallRequest) -> Spoken:
    reading = Reading(answer=text, thinking="", ending=Ending.STOP, refusal="", cut_off=None)
    return await spoken(request, {"content": text}, reading, Judge())


def test_nothing_of_tools_is_in_the_body_but_a_schema_and_words() -> None:
    request = sent(turn(native=False))
    assert "tools" not in request
    assert "tool_choice" not in request
    ask = request["messages"][1]["content"]
    assert ask.startswith("List the facts on demand.")
    assert "- look: Does look. Arguments:" in ask


def test_each_tool_and_the_answer_are_branches() -> None:
    assert actions(turn(native=False)) == ["look", "pick", "answer"]
    assert actions(turn(native=False, offered=("pick",))) == ["pick", "answer"]


def test_what_is_left_alone_stands_without_a_choice() -> None:
    only = schema(turn(native=False, offered=()))
    assert only == {
        "type": "object",
        "properties": {"action": {"const": "answer"}, "answer": {"type": "string", "minLength": 1}},
        "required": ["action", "answer"],
        "additionalProperties": False,
    }
    must = turn(native=False, offered=("look",), must_act=True)
    assert actions(must) == ["look"]
    assert "anyOf" not in schema(must)


def test_the_answer_has_the_schema_of_the_task() -> None:
    own = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
    (only,) = branches(turn(native=False, offered=(), output=own))
    assert only["properties"]["answer"] == own


def test_an_enumeration_loses_the_values_that_were_called() -> None:
    tools: dict[str, Any] = {"native": False, "offered": ("pick",), "must_act": True}
    (first,) = branches(turn(**tools))
    assert first["properties"]["arguments"]["properties"]["name"]["enum"] == ["a.md", "b.md"]
    (second,) = branches(turn(picked("a.md"), **tools))
    assert second["properties"]["arguments"]["properties"]["name"]["enum"] == ["b.md"]
    assert actions(turn(picked("a.md", "b.md"), **tools)) == ["answer"]


def test_a_call_that_was_not_run_takes_nothing_away() -> None:
    wrong = ToolCall(id="p", name="pick", arguments='{"name": "a.md"}', problem="no")
    entries = answered(Turn(calls=(wrong,), as_actions=True), "no")
    (only,) = branches(turn(entries, native=False, offered=("pick",), must_act=True))
    assert only["properties"]["arguments"]["properties"]["name"]["enum"] == ["a.md", "b.md"]


def test_actions_and_results_are_messages_in_turns() -> None:
    request = sent(turn(picked("a.md"), native=False))
    roles = [each["role"] for each in request["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert json.loads(request["messages"][2]["content"]) == {
        "action": "pick",
        "arguments": {"name": "a.md"},
    }
    result = request["messages"][3]["content"]
    assert result.startswith("Result of pick:\n<result-")
    assert "text of a.md" in result


def test_a_tool_cannot_know_the_fence_of_its_result() -> None:
    """It may have seen all that its agent has: the fences of sources, and of earlier results."""
    request = sent(turn(picked("a.md", "b.md"), native=False))
    fences = {
        each["content"].split("<result-")[1][:16]
        for each in request["messages"]
        if "<result-" in each["content"]
    }
    assert len(fences) == 2


async def test_an_action_is_a_call() -> None:
    acted = await said('{"action": "look", "arguments": {"order": "7"}}', turn(native=False))
    assert acted.turn is not None
    (call,) = acted.turn.calls
    assert (call.name, json.loads(call.arguments), call.problem) == ("look", {"order": "7"}, "")
    assert acted.turn.as_actions
    assert call.id == "call_1_1"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"action": "answer", "answer": "It costs 40 euros."}', "It costs 40 euros."),
        ('{"action": "answer", "answer": {"sum": 1}}', '{"sum": 1}'),
        ('Here: {"action": "answer", "answer": "Ä"}', "Ä"),
    ],
)
async def test_an_answer_is_unwrapped(text: str, answer: str) -> None:
    acted = await said(text, turn(native=False))
    assert (acted.turn, acted.answer, acted.problem) == (None, answer, "")


@pytest.mark.parametrize("text", ["It costs 40 euros.", "{}", '{"action": 7}', "[1]", ""])
async def test_what_is_no_action_goes_back(text: str) -> None:
    acted = await said(text, turn(native=False))
    assert acted.turn is None
    assert acted.problem


async def test_an_unknown_action_is_an_unknown_tool() -> None:
    acted = await said('{"action": "fly", "arguments": {}}', turn(native=False))
    assert acted.turn is not None
    assert acted.turn.calls[0].problem == "There is no tool 'fly'. The tools are: look, pick."


async def test_a_tool_named_answer_is_told_apart_by_its_arguments() -> None:
    tools = box(answer={"type": "object", "properties": {"to": {"type": "string"}}})
    acted = await said(
        '{"action": "answer", "arguments": {"to": "me"}}', turn(tools=tools, native=False)
    )
    assert acted.turn is not None
    assert acted.turn.calls[0].name == "answer"


@pytest.mark.parametrize(
    ("given_schema", "kept"),
    [
        ({"type": "string", "pattern": "[a-z]+"}, {"type": "string"}),
        ({"type": "string", "pattern": r"^\d+$"}, {"type": "string"}),
        (
            {"type": "string", "pattern": "^[0-9]{1,4}$"},
            {"type": "string", "pattern": "^[0-9]{1,4}$"},
        ),
        ({"type": "string", "maxLength": 2_000}, {"type": "string"}),
        ({"type": "array", "items": False}, {"type": "array"}),
        ({"type": "integer", "multipleOf": 5, "not": {"const": 3}}, {"type": "integer"}),
    ],
)
def test_what_a_grammar_cannot_follow_is_left_out(
    given_schema: dict[str, Any], kept: dict[str, Any]
) -> None:
    """As llama.cpp took them with the bundled model: refused, followed wrongly, or ignored."""
    outer = {"type": "object", "properties": {"x": given_schema}}
    assert generation_schema(outer)["properties"]["x"] == kept


def test_definitions_of_several_tools_do_not_meet() -> None:
    def of(kind: str) -> dict[str, Any]:
        shared = {"Thing": {"type": kind}}
        own = {"type": "object", "properties": {"x": {"$ref": "#/$defs/Thing"}}, "required": ["x"]}
        return {**own, "$defs": shared}

    held_to = schema(turn(tools=box(a=of("string"), b=of("integer")), native=False))
    valid = Draft202012Validator(held_to).is_valid
    assert valid({"action": "a", "arguments": {"x": "s"}})
    assert valid({"action": "b", "arguments": {"x": 1}})
    assert not valid({"action": "a", "arguments": {"x": 1}})


names = st.sampled_from(
    ["x", "definitions", "$defs", "$ref", "properties", "items", "enum", "title", "a/b ~%"]
)


def _around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Larger schemas of these."""
    return st.one_of(
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(names, inner, max_size=3)}
        ),
    )


simple: st.SearchStrategy[Any] = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer", "multipleOf": 3},
        {"type": "string", "pattern": "^\\d+$", "maxLength": 2_000},
        {"enum": [1, "a", {"$ref": "#/nowhere"}]},
        {"const": None},
        {"$ref": "#/$defs/Thing"},
        {"$ref": "#/$defs/a~1b%20~0%25"},
        {"title": "Any", "description": "x"},
    ]
)


plain: st.SearchStrategy[Any] = st.sampled_from(
    [{"type": "string"}, {"type": "integer", "multipleOf": 3}, {"const": 1}]
)


@st.composite
def parameters(draw: st.DrawFn) -> dict[str, Any]:
    """The schema of a tool as servers may give it, with definitions and odd names."""
    fields = draw(st.dictionaries(names, st.recursive(simple, _around, max_leaves=5), max_size=3))
    chosen = draw(st.lists(st.sampled_from(sorted(fields)), unique=True)) if fields else []
    return {
        "type": "object",
        "properties": fields,
        "required": chosen,
        "$defs": {"Thing": draw(plain)} | {"a/b ~%": {"type": "boolean"}},
    }


@settings(max_examples=15)
@given(parameters(), parameters(), st.data())
def test_what_a_model_is_held_to_is_a_schema_and_takes_what_the_tool_takes(
    first: dict[str, Any], second: dict[str, Any], data: st.DataObject
) -> None:
    held_to = schema(turn(tools=box(a=first, b=second), native=False))
    Draft202012Validator.check_schema(held_to)
    valid = Draft202012Validator(held_to).is_valid
    for name, of_tool in (("a", first), ("b", second)):
        given_fields = {
            field: data.draw(json_values)
            for field in of_tool["properties"]
            if data.draw(st.booleans())
        }
        said = {"action": name, "arguments": given_fields}
        if Draft202012Validator(of_tool).is_valid(given_fields):
            assert valid(said), "whatever the tool takes can be said"
    assert valid({"action": "answer", "answer": "x"})


def test_a_schema_that_refers_to_itself_is_cut_there() -> None:
    tree = {"type": "object", "properties": {"name": {"type": "string"}, "under": {"$ref": "#"}}}
    held_to = schema(turn(tools=box(plant=tree), native=False))
    assert Draft202012Validator(held_to).is_valid(
        {"action": "plant", "arguments": {"name": "oak", "under": {"name": "leaf"}}}
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "type",
                "properties",
                "items",
                "$defs",
                "pattern",
                "$ref",
                "anyOf",
                "enum",
                "maxLength",
            ]
        ),
        json_values,
    )
)
def test_any_object_for_a_schema_leads_to_a_body(wrong: dict[str, Any]) -> None:
    """Servers give what they like."""
    assert actions(turn(tools=box(look=wrong), native=False))[-1] == "answer"


def test_a_repair_is_said_in_both_forms() -> None:
    entries = [
        Entry(said=Said(role="assistant", text="bad")),
        Entry(said=Said(role="user", text="This answer was rejected.")),
    ]
    for native in (True, False):
        messages = sent(turn(entries, native=native))["messages"]
        assert [each["content"] for each in messages[2:]] == ["bad", "This answer was rejected."]
