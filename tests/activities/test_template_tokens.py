"""Tokens of a chat template around an answer are taken off it; in an answer they stay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.calls.template_tokens import without_tokens
from activities.calls.thinking_blocks import without_thinking
from tests.support.cpu_time import cpu_within

HARMONY = "<|start|>assistant<|channel|>"


@pytest.mark.parametrize(
    "token",
    [
        *("<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<|end|>", "</s>", "<end_of_turn>"),
        *("<｜end▁of▁sentence｜>", "<|end|>\n<|im_end|>\n", " <|im_end|>", "\n\n<eos>"),
        *("<|close|>response<|sep|><|close|>message<|sep|>", "[|endofturn|]"),
    ],
)
def test_what_ends_a_message_is_taken_off(token: str) -> None:
    for answer in ("An oak.", '{"name": "oak"}', "<think>Hm.</think>An oak."):
        plain = without_thinking(answer)
        found = without_thinking(answer + token)
        assert (found.thinking, found.answer.rstrip()) == (plain.thinking, plain.answer)


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("<|im_start|>assistant\nAn oak.<|im_end|>", "", "An oak."),
        ("<|begin_of_box|>An oak.<|end_of_box|>", "", "An oak."),
        ("<think>Hm.</think>\n<|begin_of_box|>An oak.<|end_of_box|>", "Hm.", "An oak."),
        ("<|channel|>final<|message|>An oak.<|return|>", "", "An oak."),
        (
            f"<|channel|>analysis<|message|>Hm.<|end|>{HARMONY}commentary<|message|>I look.<|end|>"
            f"{HARMONY}final <|constrain|>json<|message|>An oak.<|return|>",
            "Hm.\n\nI look.",
            "An oak.",
        ),
        (
            f"<|channel|>analysis<|message|>Hm.{HARMONY}final<|message|>An oak.",
            "Hm.",
            "An oak.",
        ),
        ("<|channel|>commentary<|message|>An oak.<|end|>", "", "An oak."),
        ("analysisWe need a tree.assistantfinalAn oak.", "We need a tree.", "An oak."),
        (
            "analysisHm.assistantcommentaryI look.assistantfinalAn oak.",
            "Hm.\n\nI look.",
            "An oak.",
        ),
        ("1. The user asks.\n2. Answer briefly.</think>391", None, "391"),
    ],
)
def test_messages_and_boxes_are_read(text: str, thinking: str | None, answer: str) -> None:
    found = without_thinking(text)
    assert (found.answer, found.is_open) == (answer, False)
    assert thinking is None or found.thinking == thinking


@pytest.mark.parametrize(
    "text",
    [
        "<|channel|>analysis<|message|>Hm.",
        "<|channel|>analysis<|message|>Hm.<|end|>",
        f"<|channel|>analysis<|message|>Hm.<|end|>{HARMONY}commentary to=functions.look "
        '<|constrain|>json<|message|>{"path": "/"}<|call|>',
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant to=functions.look<|channel|>"
        'commentary json<|message|>{"path": "/"}<|call|>',
        'analysisHm.assistantcommentary to=functions.look json{"path": "/"}',
    ],
)
def test_channels_without_an_answer_are_thinking(text: str) -> None:
    found = without_thinking(text)
    assert (found.answer, found.is_open) == ("", True)
    assert found.thinking.startswith("Hm.")


@pytest.mark.parametrize(
    "text",
    [
        "An oak.\n",
        "A message ends with <|im_end|>",
        "A message ends with `<|im_end|>`.",
        "It is <s>wrong</s>",
        "<|im_end|> ends a message.",
        "The answer is <|begin_of_box|>oak<|end_of_box|>, as GLM writes.",
        "A header is <|start|>assistant<|channel|>final<|message|> there.",
        "analysis of an assistant: final",
        "[/INST",
    ],
)
def test_tokens_in_an_answer_stay(text: str) -> None:
    found = without_thinking(text)
    assert (found.thinking, found.answer) == ("", text)


@given(st.lists(st.sampled_from(["</s>", "<|end|>", HARMONY, "final", "<|message|>", " ", "a"])))
def test_any_order_of_tokens_is_read(parts: list[str]) -> None:
    text = "".join(parts)
    assert len(without_tokens(text)) <= len(text)
    found = without_thinking(text)
    assert len(found.answer) + len(found.thinking) <= len(text) + 2 * len(parts)


def test_long_answers_of_tokens_take_linear_time() -> None:
    parts = ("</s>", "<|end|>\n", f"{HARMONY}final<|message|>", " ", "<|channel|>a", "</s> x")
    with cpu_within(5):
        for part in parts:
            without_thinking(part * (400_000 // len(part)))
            without_thinking("analysis" + part * (400_000 // len(part)) + "assistantfinal")
