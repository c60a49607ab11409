"""Turns of models that take tools, at a provider that is strict about what it gets."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from activities.calls.call_agent import Agents
from activities.calls.request_body import body
from durable_agent_team.contracts.call import CallRequest, CallResult
from durable_agent_team.contracts.conversation import MAX_ARGUMENTS, Entry, Said
from tests.activities.conversations.support import answered, box, turn
from tests.activities.support import Seen, Server, agents_at, context, serving
from tests.support.strict_chat import calling, completion, problem_of


class Provider:
    """Says what it is told to, and refuses what strict providers refuse."""

    def __init__(self, server: Server, agents: Agents) -> None:
        self.server, self.agents = server, agents
        self.message: dict[str, Any] = {}
        self.finish_reason = "tool_calls"
        server.answer = self._answer

    def _answer(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        headers = {"Content-Type": "application/json"}
        problem = problem_of(json.loads(seen.body))
        if problem is not None:
            return 400, headers, json.dumps({"error": {"message": problem}}).encode()
        answer = completion(self.message, self.finish_reason)
        return 200, headers, json.dumps({**answer, "cost_usd": "0.01"}).encode()

    async def says(self, message: dict[str, Any], call: CallRequest) -> CallResult:
        self.message = message
        return await context().run(self.agents.call_agent, call)

    async def problem(self, name: str, arguments: Any, call: CallRequest | None = None) -> str:
        """Of the only call of a turn, which the next turn can send back."""
        asked = call or turn()
        result = await self.says(calling((name, arguments)), asked)
        assert result.turn is not None
        (made,) = result.turn.calls
        await self.takes_back(result)
        return made.problem

    async def takes_back(self, result: CallResult, **changes: Any) -> dict[str, Any]:
        """The body of the next turn, which the provider has taken."""
        assert result.turn is not None
        texts = [each.problem or "done" for each in result.turn.calls]
        following = turn(answered(result.turn, *texts), **changes)
        last = await self.says({"role": "assistant", "content": "Done."}, following)
        assert last.answer == "Done."
        sent: dict[str, Any] = json.loads(self.server.seen[-1].body)
        return sent


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with serving((500, {}, b"")) as server, agents_at(server.url) as agents:
        yield Provider(server, agents)


async def test_calls_come_back_as_a_turn_and_go_out_as_messages(provider: Provider) -> None:
    message = calling(("look", {"order": "7"}), ("pick", {"name": "a.md"}))
    result = await provider.says(message, turn())
    assert result.turn is not None
    assert (result.answer, result.reasons) == ("", ())
    assert [(each.name, json.loads(each.arguments)) for each in result.turn.calls] == [
        ("look", {"order": "7"}),
        ("pick", {"name": "a.md"}),
    ]
    sent = await provider.takes_back(result)
    assert sent["messages"][2] == {**message, "content": None}
    assert sent["messages"][3:] == [
        {"role": "tool", "tool_call_id": "call_0", "content": "done"},
        {"role": "tool", "tool_call_id": "call_1", "content": "done"},
    ]
    names = [each["function"]["name"] for each in sent["tools"]]
    assert names == ["look", "pick"]
    assert "tool_choice" not in sent


async def test_an_answer_without_calls_is_checked_as_every_other(provider: Provider) -> None:
    wanted = turn(output={"type": "object", "required": ["sum"]})
    bad = await provider.says({"role": "assistant", "content": '{"total": 1}'}, wanted)
    assert bad.turn is None
    assert any("sum" in each for each in bad.reasons)
    good = await provider.says({"role": "assistant", "content": 'So: {"sum": 1}'}, wanted)
    assert (good.answer, good.reasons) == ('{"sum": 1}', ())
    first = json.loads(provider.server.seen[0].body)
    assert '"required":["sum"]' in first["messages"][1]["content"], "no format beside tools"


@pytest.mark.parametrize("content", [None, "", "I look first."])
async def test_content_may_be_null(provider: Provider, content: str | None) -> None:
    result = await provider.says(calling(("look", {"order": "7"}), content=content), turn())
    assert result.turn is not None
    assert result.turn.content == (content or "")
    sent = await provider.takes_back(result)
    assert sent["messages"][2]["content"] == (content or None)


async def test_missing_and_repeated_ids_become_unique(provider: Provider) -> None:
    message = calling(*[("look", {"order": str(number)}) for number in range(4)])
    for each, own in zip(message["tool_calls"], ("same", "same", "", None), strict=True):
        each["id"] = own
    first = await provider.says(message, turn())
    assert first.turn is not None
    before = answered(first.turn, *["done"] * 4)
    again = await provider.says(message, turn(before))
    assert again.turn is not None
    ids = [each.id for each in (*first.turn.calls, *again.turn.calls)]
    assert len(set(ids)) == 8
    assert ids[0] == "same"
    both = turn((*before, *answered(again.turn, *["done"] * 4)))
    assert problem_of(json.loads(body(both))) is None


async def test_an_unknown_tool_is_told_which_there_are(provider: Provider) -> None:
    problem = await provider.problem("refund it! äöü", {"order": "7"})
    assert problem == "There is no tool 'refund it! äöü'. The tools are: look, pick."
    assert "The tools are: look, pick" in await provider.problem("", {})
    offered = turn(offered=("pick",))
    problem = await provider.problem("look", {"order": "7"}, offered)
    assert problem == "'look' cannot be called now. The tools are: pick."


@pytest.mark.parametrize("arguments", ['{"order": "7"', "[1]", "null", "7", "\x00", "order=7"])
async def test_what_is_no_json_object_goes_back(provider: Provider, arguments: str) -> None:
    problem = await provider.problem("look", arguments)
    assert "Send one JSON object" in problem
    sent = json.loads(provider.server.seen[-1].body)
    assert sent["messages"][2]["tool_calls"][0]["function"]["arguments"] == "{}"


async def test_arguments_that_are_json_in_json_are_taken(provider: Provider) -> None:
    for written in (json.dumps('{"order": "7"}'), '{"order": "7"}'):
        result = await provider.says(calling(("look", written)), turn())
        assert result.turn is not None
        (made,) = result.turn.calls
        assert (made.problem, json.loads(made.arguments)) == ("", {"order": "7"})
        await provider.takes_back(result)
    for wrong in (json.dumps("[1]"), json.dumps("look"), json.dumps(json.dumps("{}"))):
        assert "Send one JSON object" in await provider.problem("look", wrong)


@pytest.mark.parametrize(
    "written",
    [
        '{"order": "7"}{"order": "7"}',
        '{"order": "7"}\n' * 3,
        '{}{"order": "7"}',
        '{} {"order": "7"} ',
    ],
)
async def test_arguments_that_a_server_writes_several_times_are_taken_once(
    provider: Provider, written: str
) -> None:
    result = await provider.says(calling(("look", written)), turn())
    assert result.turn is not None
    (made,) = result.turn.calls
    assert (made.problem, made.arguments) == ("", '{"order": "7"}')


@pytest.mark.parametrize(
    "written",
    ['{"order": "7"}{"order": "8"}', '{"order": "7"} and {"order": "7"}', '{"order": "7"}}'],
)
async def test_arguments_that_contradict_each_other_go_back(
    provider: Provider, written: str
) -> None:
    assert "Send one JSON object" in await provider.problem("look", written)


@pytest.mark.parametrize(
    "name",
    [
        "functions.look",
        "functions.look:0",
        "look<|channel|>json",
        "functions.look<|channel|>commentary",
    ],
)
async def test_what_models_write_around_a_name_is_left_out(provider: Provider, name: str) -> None:
    assert await provider.problem(name, {"order": "7"}) == ""
    assert "There is no tool 'functions.find'" in await provider.problem("functions.find", {})


async def test_a_call_by_its_older_name_is_one(provider: Provider) -> None:
    called = {"name": "look", "arguments": '{"order": "7"}'}
    message = {"role": "assistant", "content": None, "function_call": called}
    result = await provider.says(message, turn())
    assert result.turn is not None
    assert [each.name for each in result.turn.calls] == ["look"]


AS_TEXT = [
    '<tool_call>\n{"name": "look", "arguments": {"order": "7"}}\n</tool_call>',
    "I look first.\n<tool_call>look\n<arg_key>order</arg_key>\n<arg_value>7</arg_value>",
    '[TOOL_CALLS][{"name": "look", "arguments": {"order": "7"}}]',
    '<|python_tag|>{"name": "look", "parameters": {"order": "7"}}',
    '<function=look>{"order": "7"}</function>',
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>look",
    '<｜DSML｜function_calls>\n<｜DSML｜invoke name="look">',
    "<|tool_calls_section_begin|><|tool_call_begin|>functions.look:0",
    '<minimax:tool_call>\n<invoke name="look">',
    '<｜DSML｜tool_calls>\n<｜DSML｜invoke name="look">',
    'I look first.\n\n<｜DSML｜invoke name="look">\n<｜DSML｜parameter name="order">7',
    '<|DSML|function_calls>\n<|DSML|invoke name="look">',
    "<seed:tool_call>\n<function=look>\n<parameter=order>7</parameter>",
    "<longcat_tool_call>look\n<longcat_arg_key>order</longcat_arg_key>",
    '<TOOLCALL>[{"name": "look", "arguments": {"order": "7"}}]</TOOLCALL>',
    '<|tool_call_start|>[look(order="7")]<|tool_call_end|>',
    "<start_function_call>call:look{order:<escape>7<escape>}<end_function_call>",
    "<｜tool_calls_begin｜><｜tool_call_begin｜>function<｜tool_sep｜>look",
    '<|action_start|><|plugin|>{"name": "look", "parameters": {"order": "7"}}<|action_end|>',
    '<|tools_prefix|>[{"look": {"order": "7"}}]<|tools_suffix|>',
    '✿FUNCTION✿: look\n✿ARGS✿: {"order": "7"}',
    '[TOOL_CALL]\n{tool => "look", args => {--order "7"}}\n[/TOOL_CALL]',
    '<invoke name="look">\n<parameter name="order">7</parameter>\n</invoke>',
    '```tool_code\nlook(order="7")\n```',
    'commentary to=functions.look json{"order": "7"}',
    '{"name": "look", "arguments": {"order": "7"}}',
    '```json\n{"type": "function", "name": "look", "parameters": {"order": "7"}}\n```',
]


@pytest.mark.parametrize("text", AS_TEXT)
async def test_a_call_that_came_as_text_is_no_answer(provider: Provider, text: str) -> None:
    provider.finish_reason = "stop"
    for asked in (turn(), turn(offered=())):
        result = await provider.says({"role": "assistant", "content": text}, asked)
        assert result.turn is None
        assert "as text" in " ".join(result.reasons)


@pytest.mark.parametrize(
    "text",
    [
        "The model writes <tool_call> before each call.",
        "Such a call is:\n```\n<tool_call>\n{}\n</tool_call>\n```\nIt is JSON.",
        "The order is done.",
        '{"name": "oak", "arguments": {"order": "7"}}',
        '{"name": "look", "order": "7"}',
        'It is written so: {"name": "look", "arguments": {"order": "7"}}',
    ],
)
async def test_an_answer_about_calls_is_an_answer(provider: Provider, text: str) -> None:
    provider.finish_reason = "stop"
    result = await provider.says({"role": "assistant", "content": text}, turn())
    assert (result.answer, result.reasons) == (text, ())


async def test_arguments_that_were_cut_off_say_so(provider: Provider) -> None:
    provider.finish_reason = "length"
    result = await provider.says(calling(("look", '{"order": "7')), turn())
    assert result.turn is not None
    assert "cut off at the limit of tokens" in result.turn.calls[0].problem


async def test_no_arguments_are_an_empty_object(provider: Provider) -> None:
    free = box(ping={"type": "object", "properties": {}})
    message = calling(("ping", ""))
    message["tool_calls"].append({"function": {"name": "ping"}})
    result = await provider.says(message, turn(tools=free))
    assert result.turn is not None
    assert [(each.arguments, each.problem) for each in result.turn.calls] == [("{}", "")] * 2


async def test_missing_and_wrong_arguments_are_named(provider: Provider) -> None:
    missing = await provider.problem("look", {"lines": "many"})
    assert missing.startswith("look was not called. Its arguments are wrong:")
    assert "'order' is a required property" in missing
    assert "lines: 'many' is not of type 'integer'" in missing
    assert '"required":["order"]' in missing


async def test_too_large_arguments_are_not_taken(provider: Provider) -> None:
    problem = await provider.problem("look", {"order": "x" * MAX_ARGUMENTS})
    assert f"{MAX_ARGUMENTS} are the most" in problem
    assert await provider.problem("look", {"order": "x" * (MAX_ARGUMENTS - 20)}) == ""


async def test_a_schema_that_never_ends_is_the_tools_own_matter(provider: Provider) -> None:
    """It is tried in the process that can be killed; the tool judges then."""
    slow = box(look={"type": "object", "properties": {"order": {"pattern": "^(a+)+$"}}})
    result = await provider.says(calling(("look", {"order": "a" * 40 + "!"})), turn(tools=slow))
    assert result.turn is not None
    assert result.turn.calls[0].problem == ""


async def test_a_wrong_schema_is_the_tools_own_matter(provider: Provider) -> None:
    wrong = box(look={"type": "object", "properties": {"order": {"type": "thing"}}})
    result = await provider.says(calling(("look", {"order": "7"})), turn(tools=wrong))
    assert result.turn is not None
    assert result.turn.calls[0].problem == ""


async def test_more_calls_than_a_turn_may_have_are_left_out(provider: Provider) -> None:
    many = calling(*[("look", {"order": str(number)}) for number in range(40)])
    result = await provider.says(many, turn())
    assert result.turn is not None
    assert len(result.turn.calls) == 32
    await provider.takes_back(result)


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_content": "I think."},
        {"reasoning": "I think.", "reasoning_details": [{"type": "x", "signature": "s"}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": "I", "signature": "s"}]},
    ],
)
async def test_thinking_goes_back_in_its_own_fields(
    provider: Provider, fields: dict[str, Any]
) -> None:
    result = await provider.says(calling(("look", {"order": "7"}), **fields), turn())
    assert "I" in result.thinking or "reasoning_details" in fields
    sent = await provider.takes_back(result)
    message = sent["messages"][2]
    assert {name: message[name] for name in fields} == fields


async def test_a_signature_of_a_call_goes_back_with_it(provider: Provider) -> None:
    message = calling(("look", {"order": "7"}), ("look", {"order": "8"}))
    signed = {"google": {"thought_signature": "abc"}}
    message["tool_calls"][1]["extra_content"] = signed
    result = await provider.says(message, turn())
    sent = await provider.takes_back(result)
    assert [each.get("extra_content") for each in sent["messages"][2]["tool_calls"]] == [
        None,
        signed,
    ]


async def test_thinking_in_parts_of_the_content_goes_back(provider: Provider) -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]
    message = {**calling(("look", {"order": "7"})), "content": parts}
    result = await provider.says(message, turn())
    sent = await provider.takes_back(result)
    assert sent["messages"][2]["content"] == parts


async def test_too_much_thinking_is_left_out_and_a_signature_is_never_halved(
    provider: Provider,
) -> None:
    message = calling(
        ("look", {"order": "7"}),
        reasoning_content="x" * 70_000,
        reasoning_details=[{"signature": "s"}],
    )
    result = await provider.says(message, turn())
    sent = await provider.takes_back(result)
    assert "reasoning_content" not in sent["messages"][2]
    assert sent["messages"][2]["reasoning_details"] == [{"signature": "s"}]


async def test_the_last_turn_may_call_nothing(provider: Provider) -> None:
    first = await provider.says(calling(("look", {"order": "7"})), turn())
    sent = await provider.takes_back(first, offered=())
    assert sent["tool_choice"] == "none"
    assert [each["function"]["name"] for each in sent["tools"]] == ["look", "pick"]


async def test_a_model_that_calls_in_the_last_turn_is_asked_to_answer(provider: Provider) -> None:
    last = turn(offered=())
    result = await provider.says(calling(("look", {"order": "7"})), last)
    assert result.turn is None
    assert result.reasons == ("No tool can be called any more. Answer now, from what you know.",)
    said = await provider.says(calling(("look", {"order": "7"}), content="All is well."), last)
    assert (said.answer, said.turn, said.reasons) == ("All is well.", None, ())


async def test_a_required_tool_comes_before_the_answer(provider: Provider) -> None:
    asked = turn(offered=("look",), must_act=True)
    result = await provider.says({"role": "assistant", "content": "It is fine."}, asked)
    assert result.turn is None
    assert result.reasons == ("Call a tool first: look must succeed before you answer.",)
    sent = json.loads(provider.server.seen[-1].body)
    assert sent["tool_choice"] == "required"
    assert [each["function"]["name"] for each in sent["tools"]] == ["look"]


async def test_a_refusal_is_one_in_a_conversation_too(provider: Provider) -> None:
    provider.finish_reason = "stop"
    refused = {"role": "assistant", "content": None, "refusal": "I will not."}
    result = await provider.says(refused, turn())
    assert result.refusal == "I will not."
    assert result.turn is None


async def test_a_rejected_answer_is_part_of_what_was_said(provider: Provider) -> None:
    entries = [
        Entry(said=Said(role="assistant", text="x" * 9_000)),
        Entry(said=Said(role="user", text="This answer was rejected.")),
    ]
    await provider.says({"role": "assistant", "content": "Better."}, turn(entries))
    sent = json.loads(provider.server.seen[-1].body)
    assert sent["messages"][2]["content"] == "x" * 8_000 + " […]"
    assert sent["messages"][3] == {"role": "user", "content": "This answer was rejected."}
