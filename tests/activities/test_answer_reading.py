"""What a billed completion means: an answer, half of one, a refusal, or only thinking.

The bodies in `cases/` are answers of real providers, at the gateway with a scripted upstream.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from activities.calls.answer_reading import read
from durable_agent_team.atxp.chat_client import Completion
from durable_agent_team.atxp.completion_message import (
    answer_text,
    finish_reason,
    refusal_text,
    thinking_text,
)
from durable_agent_team.atxp.pricing import Cost
from durable_agent_team.contracts.call import CallRequest, CallResult, Rejected, Usage
from durable_agent_team.contracts.team import Checks
from durable_agent_team.providers.finish_reasons import Ending, ending_of
from tests.activities.support import Rooms, call, context, open_for
from tests.support.upstream import Rule, ScriptedUpstream

CASES = Path(__file__).parent / "cases"
TREE = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def case(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))
    return body


async def answered(
    rooms: Rooms, upstream: ScriptedUpstream, name: str, **changes: Any
) -> CallResult:
    """What the activity returns for this answer of a provider."""
    upstream.add(Rule(body=case(name)))
    account = (await open_for(rooms, ("research", "1"))).accounts[0]
    return await context().run(rooms.agents.call_agent, call(account=account, **changes))


async def test_an_answer_that_was_cut_off_fails(rooms: Rooms, upstream: ScriptedUpstream) -> None:
    result = await answered(rooms, upstream, "cut-off-length", max_tokens=20)
    assert result.reasons == ("The answer was cut off at 20 tokens.",)
    assert result.finish_reason == "length"
    assert result.answer.endswith("3. AC")


async def test_an_answer_that_a_filter_cut_fails(rooms: Rooms, upstream: ScriptedUpstream) -> None:
    result = await answered(rooms, upstream, "cut-off-filter")
    assert result.reasons == ("The provider's content filter cut the answer off (content_filter).",)
    assert result.finish_reason == "content_filter"


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("content", [None, "", "\n"])
async def test_json_that_a_server_took_for_thinking_is_the_answer(
    rooms: Rooms, upstream: ScriptedUpstream, field: str, content: str | None
) -> None:
    message = {"role": "assistant", "content": content, field: '\n{"name": "oak"}\n'}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    upstream.add(
        Rule(body={"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 5}})
    )
    account = (await open_for(rooms, ("research", "1"))).accounts[0]
    asked = call(account=account, output=TREE)
    result = await context().run(rooms.agents.call_agent, asked)
    assert (result.reasons, json.loads(result.answer)) == ((), {"name": "oak"})
    assert len(upstream.requests) == 1


def test_what_is_thinking_stays_thinking() -> None:
    thought = completion("", thinking='{"name": "oak"}')
    assert read(thought, 500, wants_json=True).answer == '{"name": "oak"}'
    assert read(thought, 500).answer == ""  # a text was asked for
    for changed in (
        replace(thought, thinking='I write {"name": "oak"}.'),
        replace(thought, thinking="42"),
        replace(thought, finish_reason="length"),
        replace(thought, message={"tool_calls": [{"id": "c"}]}),
    ):
        assert read(changed, 500, wants_json=True).answer == ""
    answered = read(replace(thought, text="An oak."), 500, wants_json=True)
    assert (answered.answer, answered.thinking) == ("An oak.", '{"name": "oak"}')


@pytest.mark.parametrize("name", ["cut-off-length", "cut-off-filter"])
async def test_a_task_may_take_an_answer_that_is_cut_off(
    rooms: Rooms, upstream: ScriptedUpstream, name: str
) -> None:
    result = await answered(rooms, upstream, name, checks=Checks(complete=False))
    assert result.reasons == ()
    assert result.finish_reason, "for those who look"


async def test_where_thinking_took_everything_it_says_so(
    rooms: Rooms, upstream: ScriptedUpstream
) -> None:
    changes = {"max_tokens": 512, "checks": Checks(complete=False)}
    for each in ({"max_tokens": 512}, changes):
        result = await answered(rooms, upstream, "thinking-ate-the-limit", **each)
        assert result.reasons[0] == "There is no answer: 512 of 512 tokens went into thinking."
        assert (result.answer, result.finish_reason) == ("", "length")


async def test_a_refusal_is_told_with_the_models_words(
    rooms: Rooms, upstream: ScriptedUpstream
) -> None:
    result = await answered(rooms, upstream, "refusal", output=TREE)
    assert result.refusal == "I can't help with that request."
    assert result.reasons == ("The model refused: I can't help with that request.",)
    assert (result.answer, result.finish_reason) == ("", "refusal")
    assert result.cost_usd > 0


async def test_thinking_in_the_text_is_kept_apart(rooms: Rooms, upstream: ScriptedUpstream) -> None:
    result = await answered(rooms, upstream, "think-block", output=TREE)
    assert (json.loads(result.answer), result.reasons) == ({"name": "oak"}, ())
    assert result.thinking == "The user wants a tree. PRIVATE-THOUGHT."
    as_text = await answered(rooms, upstream, "think-block", idempotency_key="as-text")
    assert as_text.answer == '{"name": "oak"}'


async def test_a_repair_is_told_what_room_it_has(rooms: Rooms, upstream: ScriptedUpstream) -> None:
    rejected = Rejected(answer="The st", reasons=("It was cut off.",), finish_reason="length")
    more = call(rejected=rejected, max_tokens=200, raised_from=100)
    assert last_message(upstream, await sent(rooms, more)).endswith(
        " You have up to 200 tokens now: answer in full."
    )
    for same in (call(rejected=rejected), call(rejected=rejected, raised_from=100)):
        assert last_message(upstream, await sent(rooms, same)).endswith(
            " You have no more than 100 tokens: answer more briefly."
        )


async def sent(rooms: Rooms, asked: CallRequest) -> CallRequest:
    account = (await open_for(rooms, ("research", "1"))).accounts[0]
    key = f"call-{hash(asked.model_dump_json())}"
    asked = asked.model_copy(update={"account": account, "idempotency_key": key})
    await context().run(rooms.agents.call_agent, asked)
    return asked


def last_message(upstream: ScriptedUpstream, _: CallRequest) -> str:
    return str(upstream.requests[-1].body["messages"][-1]["content"])


@pytest.mark.parametrize(
    ("word", "ending"),
    [
        *((word, Ending.STOP) for word in ("", "stop", "STOP", "end_turn", "stop_sequence", "eos")),
        *((word, Ending.STOP) for word in ("tool_calls", "function_call", "COMPLETE", "unknown")),
        *((word, Ending.STOP) for word in ("FINISH_REASON_UNSPECIFIED", "eos_token", "tool_use")),
        *((word, Ending.LENGTH) for word in ("length", "max_tokens", "MAX_TOKENS", "LENGTH")),
        *((word, Ending.LENGTH) for word in ("model_length", "max_output_tokens", "token_limit")),
        *((word, Ending.LENGTH) for word in ("model_context_window_exceeded", "REASON_MAX_LEN")),
        *((word, Ending.CONTENT_FILTER) for word in ("content_filter", "SAFETY", "RECITATION")),
        *((word, Ending.CONTENT_FILTER) for word in ("BLOCKLIST", "MODEL_ARMOR", "SPII")),
        *((word, Ending.CONTENT_FILTER) for word in ("guardrail_intervened", "sensitive")),
        *((word, Ending.CONTENT_FILTER) for word in ("content_filter: SAFETY", "ERROR_TOXIC")),
        *((word, Ending.ERROR) for word in ("error", "insufficient_system_resource", "abort")),
        *((word, Ending.ERROR) for word in ("OTHER", "network_error", "time_limit", "cancelled")),
        *((word, Ending.LENGTH) for word in ("incomplete", "maximum_tokens", "token_budget")),
        *((word, Ending.ERROR) for word in ("pause_turn", "UNEXPECTED_TOOL_CALL", "repetition")),
        ("function_call_filter: MALFORMED_FUNCTION_CALL", Ending.ERROR),
        *((word, Ending.CONTENT_FILTER) for word in ("IMAGE_SAFETY", "harmful", "copyright")),
        ("refusal", Ending.REFUSAL),
    ],
)
def test_every_providers_word_for_it(word: str, ending: Ending) -> None:
    assert ending_of(word) is ending


def completion(
    text: str = "An answer.", reason: str = "stop", tokens: int = 20, **more: Any
) -> Completion:
    usage = Usage(prompt_tokens=10, completion_tokens=tokens)
    return Completion(text, reason, usage, Cost(1, False), False, None, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("done", "ending"),
    [
        (completion(reason="", tokens=20), Ending.LENGTH),
        (completion(reason="null", tokens=20), Ending.LENGTH),
        (completion(reason="", tokens=19), Ending.STOP),
        (completion(reason="stop", tokens=20), Ending.STOP),
        (completion("", reason="stop", tokens=20), Ending.LENGTH),
        (completion("<think>and so", reason="stop", tokens=20), Ending.LENGTH),
        (completion("", reason="stop", tokens=3), Ending.STOP),
    ],
)
def test_a_full_limit_counts_where_the_provider_says_nothing(
    done: Completion, ending: Ending
) -> None:
    assert read(done, 20).ending is ending


@pytest.mark.parametrize(
    ("done", "words"),
    [
        (completion("", refusal="No."), "No."),
        (completion("I will not.", "refusal"), "I will not."),
        (completion("", "refusal"), "the model gave no reason"),
        (completion("<think>Hm.</think>No way.", "refusal"), "No way."),
        (completion("I refuse to believe that."), ""),
    ],
)
def test_a_refusal_in_each_of_its_forms(done: Completion, words: str) -> None:
    assert read(done, 100).refusal == words


def test_thinking_that_is_known_by_its_text_alone() -> None:
    reading = read(completion("", "length", 64, thinking="Let me see"), 64)
    assert reading.cut_off == "There is no answer: 64 of 64 tokens went into thinking."
    half = completion("Half of", "length", 64)
    usage = half.usage.model_copy(update={"reasoning_tokens": 60})
    half_read = read(replace(half, usage=usage), 64)
    assert (
        half_read.cut_off == "The answer was cut off at 64 tokens, of which 60 went into thinking."
    )


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ({"content": "a"}, ("a", "", "")),
        ({"content": None}, ("", "", "")),
        ({"content": "a", "refusal": None, "reasoning": None}, ("a", "", "")),
        ({"content": "a", "reasoning_content": "t"}, ("a", "t", "")),
        (
            {
                "content": "a",
                "reasoning": "t",
                "reasoning_details": [{"type": "reasoning.text", "text": "t"}],
            },
            ("a", "t", ""),
        ),
        ({"content": "a", "reasoning_details": [{"summary": "t"}, {"data": "…"}]}, ("a", "t", "")),
        ({"content": "a", "thinking": "t"}, ("a", "t", "")),
        ({"content": "a", "thinking_blocks": [{"thinking": "t"}]}, ("a", "t", "")),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "t"}]},
                    {"type": "text", "text": "a"},
                    {"type": "text", "text": "b"},
                ]
            },
            ("ab", "t", ""),
        ),
        ({"content": [{"type": "reasoning", "text": "t"}, {"text": "a"}]}, ("a", "t", "")),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, ("", "", "No.")),
        ({"content": "", "refusal": " No. "}, ("", "", "No.")),
        ({"content": 7, "refusal": {}, "reasoning": [[[[[["deep"]]]]]]}, ("", "", "")),
    ],
)
def test_each_part_of_a_message_is_found_where_its_provider_puts_it(
    message: dict[str, Any], parts: tuple[str, str, str]
) -> None:
    assert (answer_text(message), thinking_text(message), refusal_text(message)) == parts


def test_the_reason_why_a_model_stopped() -> None:
    native = {"finish_reason": None, "native_finish_reason": "MAX_TOKENS"}
    assert finish_reason(native) == "MAX_TOKENS"
    assert finish_reason({"finish_reason": ["length"]}) == ""
    assert finish_reason({}) == ""


@pytest.mark.parametrize(
    ("translated", "native", "ending"),
    [
        ("stop", "MAX_TOKENS", Ending.LENGTH),
        ("stop", "max_output_tokens", Ending.LENGTH),
        ("stop", "pause_turn", Ending.ERROR),
        ("stop", "SAFETY", Ending.CONTENT_FILTER),
        ("content_filter", "refusal", Ending.REFUSAL),
        ("length", "pause_turn", Ending.LENGTH),
        ("length", "completed", Ending.LENGTH),
        ("stop", "end_turn", Ending.STOP),
        ("tool_calls", "tool_use", Ending.STOP),
    ],
)
def test_a_translation_does_not_make_an_answer_complete(
    translated: str, native: str, ending: Ending
) -> None:
    choice = {"finish_reason": translated, "native_finish_reason": native}
    assert ending_of(finish_reason(choice)) is ending
