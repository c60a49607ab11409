"""Thinking at the beginning of an answer is taken off it; tags in an answer stay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.calls.thinking_blocks import Split, without_thinking
from tests.support.cpu_time import cpu_within


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("<think>\nHm.\n</think>\n\nAn oak.", ("Hm.", "An oak.")),
        ("  \n<THINK>Hm.</Think>An oak.", ("Hm.", "An oak.")),
        ("\ufeff<think>Hm.</think>An oak.", ("Hm.", "An oak.")),
        ("<thinking>Hm.</thinking>\nAn oak.", ("Hm.", "An oak.")),
        ("<reasoning>Hm.</reasoning>An oak.", ("Hm.", "An oak.")),
        ("<seed:think>Hm.</seed:think>An oak.", ("Hm.", "An oak.")),
        ("[THINK]Hm.[/THINK]An oak.", ("Hm.", "An oak.")),
        ("◁think▷Hm.◁/think▷An oak.", ("Hm.", "An oak.")),
        ("<think></think>\n\nAn oak.", ("", "An oak.")),
        ("<think>One.</think>\n<think>Two.</think>\nAn oak.", ("One.\n\nTwo.", "An oak.")),
        ("<think>a <think>b</think> c</think>An oak.", ("a <think>b</think> c", "An oak.")),
        ("<think>I write <think> first.</think>An oak.", ("I write <think> first.", "An oak.")),
        ("Okay, a tree.\n</think>\n\nAn oak.", ("Okay, a tree.", "An oak.")),
        ("Okay, a tree.</think>\n\nAn oak.", ("Okay, a tree.", "An oak.")),
        ("Okay, a tree.\n</think> An oak.", ("Okay, a tree.", "An oak.")),
        ('Okay, a tree.</think>{"name": "oak"}', ("Okay, a tree.", '{"name": "oak"}')),
        ("Okay, a tree.\n</think>", ("Okay, a tree.", "")),
        ("<think>Hm. It is </th", ("Hm. It is </th", "")),
        ('<think time="3" effort=low>Hm.</think>An oak.', ("Hm.", "An oak.")),
        ("<think >Hm.</think >An oak.", ("Hm.", "An oak.")),
        ("<think/>\nAn oak.", ("", "An oak.")),
        ("<longcat_think>Hm.</longcat_think>An oak.", ("Hm.", "An oak.")),
        ("<internal_thoughts>Hm.</internal_thoughts>An oak.", ("Hm.", "An oak.")),
        ('<think>{"name": "elm"}</think>{"name": "oak"}', ('{"name": "elm"}', '{"name": "oak"}')),
        ("<think>Hm.</think><answer>An oak.</answer>", ("Hm.", "An oak.")),
        ("<think>Hm.</think>\n<answer>\nAn oa", ("Hm.", "An oa")),
        ("<think>Hm.</think>\n<response>\nAn oak.\n</response>\n", ("Hm.", "An oak.")),
        ("<|inner_prefix|>Hm.<|inner_suffix|>An oak.", ("Hm.", "An oak.")),
        (
            "<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>An oak.<|END_RESPONSE|>",
            ("Hm.", "An oak."),
        ),
        ("<|channel>thought\nHm.\n<channel|>An oak.", ("Hm.", "An oak.")),
        ("<|channel>thought<channel|>An oak.", ("", "An oak.")),
        ("<unused94>thought\nHm.<unused95>An oak.", ("Hm.", "An oak.")),
        (
            "<|channel|>analysis<|message|>Hm.<|end|>"
            "<|start|>assistant<|channel|>final<|message|>An oak.<|return|>",
            ("Hm.", "An oak."),
        ),
        (
            "<|begin_of_thought|>Hm.<|end_of_thought|>"
            "<|begin_of_solution|>An oak.<|end_of_solution|>",
            ("Hm.", "An oak."),
        ),
        (
            "<think>One.</think>An oak.\n<think>Two.</think> Tall.",
            ("One.\n\nTwo.", "An oak.\n Tall."),
        ),
        ("Sure.\n<think>\nHm.\n</think>\nAn oak.", ("Hm.", "Sure.\n\nAn oak.")),
        ("An oak.\n<think>Was that right?</think>", ("Was that right?", "An oak.")),
    ],
)
def test_a_thought_is_taken_off(text: str, split: tuple[str, str]) -> None:
    found = without_thinking(text)
    assert (found.thinking, found.answer) == split


@pytest.mark.parametrize(
    "text",
    [
        "An oak.",
        "",
        "  An oak.\n",
        "Models write <think> and </think> around it.",
        "A block:\n<think>\nHm.\n</think>\nAnd then the answer.",
        "The closing tag is `</think>`\nand it stands alone.",
        'It ends with "</think>"\nas you see.',
        "It ends with </think> and continues.",
        "```\nHm.\n</think>\n```\nis what comes.",
        '{"tag": "</think>"}',
        '{"tag": "<think>x</think>"}',
        "<thinker>x</thinker>",
        "< think >x</ think >",
        "<answer>An oak.</answer>",
        "Models begin\n<think> and end </think> so.",
        "Seen:\n```\nHm.\n<think>\nHm.\n</think>\n```",
        '{"note": "a\\n<think>x</think>"}',
        "An oak.\n<think>\nHm.",
    ],
)
def test_a_tag_in_an_answer_stays(text: str) -> None:
    assert without_thinking(text) == Split("", text)


def test_a_thought_without_an_end_is_no_answer() -> None:
    assert without_thinking("<think>Hm. So").is_open
    assert not without_thinking("<think>Hm.</think>").is_open


@given(
    thought=st.text(alphabet="ab<>/\n think", max_size=40).filter(
        lambda text: "think>" not in text
    ),
    answer=st.text(alphabet="ab{}\n", min_size=1, max_size=40).map(str.strip).filter(bool),
)
def test_whatever_is_thought_the_answer_comes_out(thought: str, answer: str) -> None:
    found = without_thinking(f"<think>{thought}</think>\n{answer}")
    assert (found.thinking, found.answer) == (thought.strip(), answer)


@pytest.mark.parametrize(
    "piece",
    ["<think>", "</think>", "<think></think>", "<think", "<think ", "\n", "\n<think>a</think>b"],
)
def test_it_is_linear(piece: str) -> None:
    with cpu_within(seconds=3):
        without_thinking(piece * 200_000)
