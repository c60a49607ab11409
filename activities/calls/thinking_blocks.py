"""Pure: takes the model's thinking off the beginning of its answer.

Open reasoning models write their thinking into the text, before the answer: `<think>…</think>`
(DeepSeek R1, Qwen), `[THINK]…[/THINK]` (Mistral's Magistral), `◁think▷…◁/think▷` (Kimi). Some chat
templates put the opening tag into the prompt, so that only the closing one arrives; and where the
limit of tokens ends the thinking, there is none. String operations of linear cost.
"""

import re
from dataclasses import dataclass

MAX_BLOCKS = 20
"""At the beginning of one answer."""

_NAMES = r"(?:seed:)?(?:think|thinking|thought|thoughts|reasoning)"
_OPEN = rf"<{_NAMES}>|\[THINK\]|◁think▷|<\|begin_of_thought\|>"
_CLOSE = rf"</{_NAMES}>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>"
_OPENING = re.compile(rf"[\s\ufeff]*(?:{_OPEN})", re.IGNORECASE)
_TAG = re.compile(rf"(?P<open>{_OPEN})|(?P<close>{_CLOSE})", re.IGNORECASE)
_CLOSING = re.compile(_CLOSE, re.IGNORECASE)


@dataclass(frozen=True)
class Split:
    """An answer apart from the thinking before it."""

    thinking: str
    answer: str
    is_open: bool = False
    """The closing tag is missing, so that the whole text is thinking."""


def without_thinking(text: str) -> Split:
    """Takes off what the model thought before it answered. A tag in the middle of an answer stays,
    such as in one about these tags."""
    thoughts: list[str] = []
    while len(thoughts) < MAX_BLOCKS and (opening := _OPENING.match(text)):
        end = _end_of_block(text, opening.end())
        if end is None:
            thoughts.append(text[opening.end() :])
            return Split(_joined(thoughts), "", is_open=True)
        thoughts.append(text[opening.end() : end[0]])
        text = text[end[1] :]
    if closing := _lone_closing(text):
        thoughts.append(text[: closing.start()])
        text = text[closing.end() :]
    return Split(_joined(thoughts), text.strip() if thoughts else text)


def _end_of_block(text: str, start: int) -> tuple[int, int] | None:
    """Where the block's closing tag begins and ends. Blocks may be nested; a thought that names an
    opening tag leaves one open, and then the first closing tag counts."""
    depth, first = 1, None
    for tag in _TAG.finditer(text, start):
        depth += 1 if tag["open"] else -1
        if tag["close"]:
            first = first or tag.span()
        if not depth:
            return tag.span()
    return first


def _lone_closing(text: str) -> re.Match[str] | None:
    """The closing tag of a block whose opening tag was in the prompt: the first tag of all, at the
    end of a line or alone at the beginning of one."""
    tag = _TAG.search(text)
    if tag is None or tag["open"]:
        return None
    before, after = text[: tag.start()], text[tag.end() :]
    ends_line = not after or after[0] in "\r\n"
    begins_line = not before or before[-1] == "\n"
    if before[-1:] in ("`", '"', "'") or before.count("```") % 2:
        return None  # the answer shows the tag
    if not (ends_line or begins_line or (after[0] in "{[" and before[-1:] in ".!?…")):
        return None
    return _CLOSING.match(text, tag.start())


def _joined(thoughts: list[str]) -> str:
    return "\n\n".join(each.strip() for each in thoughts if each.strip())
