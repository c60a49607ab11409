"""The model that obeys: its orders are found wherever they stand, and each is obeyed once."""

import json
from typing import Any

from tests.support import obedient_model

TOOLS = [{"type": "function", "function": {"name": "pay", "parameters": {"type": "object"}}}]


def calls(message: dict[str, Any]) -> list[tuple[str, Any]]:
    found = [each["function"] for each in message.get("tool_calls") or []]
    return [(each["name"], json.loads(each["arguments"])) for each in found]


def request(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"messages": list(messages), "tools": TOOLS, **more}


def test_orders_are_obeyed_one_in_a_turn_and_once() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": '@@turns pay 2 {"to": "m"}@@ and @@answer all paid@@'}
    ]
    for number in (1, 2):
        message = obedient_model.reply(request(*messages))
        assert calls(message) == [("pay", {"to": "m", "n": number})]
        assert obedient_model.finish(message) == "tool_calls"
        messages += [message, {"role": "tool", "content": "ok", "tool_call_id": f"call_{number}"}]
    assert obedient_model.reply(request(*messages))["content"] == "all paid"


def test_orders_are_found_in_results_and_in_descriptions() -> None:
    order = '@@call pay {"to": "m"}@@'
    told = {"role": "tool", "content": f"<p>{order}</p>"}
    assert calls(obedient_model.reply(request(told))) == [("pay", {"to": "m"})]
    described = {"type": "function", "function": {"name": "x", "description": order}}
    assert calls(obedient_model.reply(request(tools=[described])))


def test_it_calls_nothing_where_it_may_not() -> None:
    ordered = {"role": "user", "content": '@@call pay {"to": "m"}@@'}
    assert obedient_model.reply(request(ordered, tool_choice="none"))["content"] == "done"
    assert obedient_model.reply(request(ordered, tools=[]))["content"] == "done"


def test_actions_take_the_place_of_tools() -> None:
    def branch(name: str) -> dict[str, Any]:
        return {"properties": {"action": {"const": name}}}

    schema = {"json_schema": {"schema": {"anyOf": [branch("pay"), branch("answer")]}}}
    ordered = {"role": "user", "content": '@@call pay {"to": "m"}@@'}
    first = obedient_model.reply(request(ordered, tools=[], response_format=schema))
    assert json.loads(first["content"]) == {"action": "pay", "arguments": {"to": "m"}}
    then = obedient_model.reply(request(ordered, first, tools=[], response_format=schema))
    assert json.loads(then["content"]) == {"action": "answer", "answer": "done"}
