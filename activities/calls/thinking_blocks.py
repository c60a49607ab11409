"""Pure: takes the model's thinking off its answer.

Open reasoning models write their thinking into the text, before the answer: `<think>…</think>`
(DeepSeek R1, Qwen; with attributes too), `[THINK]…[/THINK]` (Mistral's Magistral),
`◁think▷…◁/think▷` (Kimi), `<|START_THINKING|>…` (Cohere), `<|channel>thought…<channel|>` (Gemma 4),
`<unused94>thought…<unused95>` (MedGemma), `<|inner_prefix|>…<|inner_suffix|>` (Apertus), the
`analysis` channel of gpt-oss (`template_tokens`), where a server leaves them in. Some chat
templates put the opening tag into the prompt, so that only the closing one arrives; and where the
limit of tokens ends the thinking, there is none. Some wrap what follows (`<answer>…</answer>`).
String operations of linear cost.
"""

import re
from dataclasses import dataclass

from activities.calls.template_tokens import by_channel, without_tokens

MAX_BLOCKS = 20
"""At the beginning of one answer."""

_NAMES = r"(?:[a-z]{1,12}[:_])?(?:think|thinking|thought|thoughts|reasoning)"
_OPEN = (
    rf"<{_NAMES}(?:\s[^<>]{{0,200}})?>|\[THINK\]|◁think▷|<\|begin_of_thought\|>"
    r"|<\|START_THINKING\|>|<\|channel>thought|<unused94>thought|<\|inner_prefix\|>"
)
_CLOSE = (
    rf"</{_NAMES}\s{{0,9}}>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>"
    r"|<\|END_THINKING\|>|<channel\|>|<unused95>|<\|inner_suffix\|>"
)
_OPENING = re.compile(rf"[\s\ufeff]*(?:{_OPEN})", re.IGNORECASE)
_EMPTY = re.compile(rf"[\s\ufeff]*<{_NAMES}\s{{0,9}}/>", re.IGNORECASE)
_TAG = re.compile(rf"(?P<open>{_OPEN})|(?P<close>{_CLOSE})", re.IGNORECASE)
_CLOSING = re.compile(_CLOSE, re.IGNORECASE)
_AT_LINE = re.compile(rf"^[ \t]{{0,9}}(?P<tag>{_OPEN})", re.IGNORECASE | re.MULTILINE)
_WRAPPERS = (
    ("<answer>", "</answer>"),
    ("<response>", "</response>"),
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
)
"""What opens and closes an answer that follows a thought."""


@dataclass(frozen=True)
class Split:
    """An answer apart from the thinking before it."""

    thinking: str
    answer: str
    is_open: bool = False
    """The closing tag is missing, so that the whole text is thinking."""


def without_thinking(text: str) -> Split:
    """Takes off what the model thought before it answered, and blocks of thinking between its
    lines. A tag within a line of an answer stays, such as in one about these tags."""
    if (channels := by_channel(text)) is not None:
        thinking, answer = channels
        return Split(thinking, answer or "", is_open=answer is None)
    text, thoughts = without_tokens(text), list[str]()
    while len(thoughts) < MAX_BLOCKS:
        if empty := _EMPTY.match(text):
            thoughts.append("")
            text = text[empty.end() :]
            continue
        if (opening := _OPENING.match(text)) is None:
            break
        end = _end_of_block(text, opening.end())
        if end is None:
            thoughts.append(text[opening.end() :])
            return Split(_joined(thoughts), "", is_open=True)
        thoughts.append(text[opening.end() : end[0]])
        text = text[end[1] :]
    if closing := _lone_closing(text):
        thoughts.append(text[: closing.start()])
        text = text[closing.end() :]
    text = _without_later_blocks(text, thoughts)
    return Split(_joined(thoughts), without_tokens(_unwrapped(text)) if thoughts else text)


def _without_later_blocks(text: str, thoughts: list[str]) -> str:
    """A model that continues to think within its answer does so in blocks between lines: after a
    thought at the beginning, any block that begins a line; otherwise one that is whole lines. One
    that is announced (`:`) or in a fence is shown on purpose."""
    has_thought, kept, start = bool(thoughts), [], 0
    while len(thoughts) < MAX_BLOCKS and (opening := _AT_LINE.search(text, start)):
        end = _end_of_block(text, opening.end())
        before = text[: opening.start()]
        if end is None or before.count("```") % 2 or before.rstrip().endswith(":"):
            break
        if not has_thought and text[end[1] : end[1] + 1] not in ("", "\r", "\n"):
            break
        thoughts.append(text[opening.end() : end[0]])
        kept.append(text[start : opening.start()])
        start = end[1]
    return "".join(kept) + text[start:]


def _unwrapped(text: str) -> str:
    text = text.strip()
    for begin, end in _WRAPPERS:
        if text[: len(begin)].lower() == begin.lower():
            inner = text[len(begin) :].strip()
            if inner[-len(end) :].lower() == end.lower():
                inner = inner[: -len(end)]
            return inner.strip()
    return text


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
    if not (ends_line or begins_line or (before[-1:] in ".!?…" and not after[0].isspace())):
        return None
    return _CLOSING.match(text, tag.start())


def _joined(thoughts: list[str]) -> str:
    return "\n\n".join(each.strip() for each in thoughts if each.strip())
