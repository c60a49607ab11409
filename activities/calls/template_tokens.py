"""Pure: takes tokens of a chat template off an answer that a server left in it.

Where a server's template is not the model's, the tokens around a message come as text:
`<|im_end|>`, `</s>` or `<|eot_id|>` at its end, GLM's boxes around it, and all of gpt-oss's
channels, with their tokens or only with their names (`analysis…assistantfinal…`). Only what is at
the very beginning or end is taken off: an answer may be about these tokens. String operations of
linear cost.
"""

import re

_END = re.compile(
    r"<\|(?:im_end|eot_id|eom_id|end|endoftext|end_of_text|end_of_turn|eos|return|call"
    r"|END_OF_TURN_TOKEN|end_of_sentence)\|>"
    r"|<｜end▁of▁sentence｜>|</s>|<end_of_turn>|<eos>|\[\|endofturn\|\]|<\|close\|>[a-z]{1,20}<\|sep\|>",
    re.IGNORECASE,
)
MAX_TOKEN = 60
"""Characters of the longest one, and some before it."""
MAX_WHITE = 200
"""Characters of white space after one."""
_BEGIN = re.compile(
    r"\s*(?:<\|im_start\|>assistant|<\|start_header_id\|>assistant<\|end_header_id\|>"
    r"|<\|assistant\|>|<start_of_turn>model|\[/INST\])\s*"
)
_BOX = ("<|begin_of_box|>", "<|end_of_box|>")
_HEADER = re.compile(
    r"(?:<\|end\|>\s*)?(?:<\|start\|>(?:assistant)?(?P<of>\s+to=[^<|]{1,100})?\s*)?"
    r"<\|channel\|>\s*(?P<channel>[a-z]+)(?P<to>[^<|]{0,100})"
    r"(?:<\|constrain\|>[^<|]{0,40})?<\|message\|>",
    re.IGNORECASE,
)
_FINAL, _THOUGHT, _CALL = "final", "analysis", "call"
_BARE = re.compile(r"assistant(?=commentary|final|analysis)")
_BARE_END = re.compile(rf"assistant(?:{_FINAL}|commentary to=)")
MAX_MESSAGES = 50
MAX_ENDS = 20
"""Tokens at the end of one message."""


def without_tokens(text: str) -> str:
    """The answer without the tokens that begin and end a message, and without boxes around it."""
    if begin := _BEGIN.match(text):
        text = text[begin.end() :]
    text = _without_end(text)
    if text.lstrip().startswith(_BOX[0]):
        for token in _BOX:
            text = text.replace(token, "")
    return text


def _without_end(text: str) -> str:
    end = len(text)
    for _ in range(MAX_ENDS):
        start = _last_token(text, end)
        if start is None:
            break
        end = start
    return text[:end]


def _last_token(text: str, end: int) -> int | None:
    """Where the token begins that `text` ends with, up to `end`; None if it ends with none, or if
    that is a word of its last sentence."""
    window = text[max(0, end - MAX_WHITE - MAX_TOKEN) : end]
    kept = window.rstrip()
    found = [each for each in _END.finditer(kept) if each.end() == len(kept)]
    if not found:
        return None
    before = kept[: found[0].start()]
    is_word = before[-1:] in (" ", "\t") and before.rstrip()[-1:] not in tuple(".!?…}]")
    if is_word or (found[0][0] == "</s>" and "<s>" in text):
        return None
    return end - len(window) + found[0].start()


def by_channel(text: str) -> tuple[str, str | None] | None:
    """What gpt-oss thought and what it answered; None where there are no channels. The answer is
    None where only thoughts came."""
    if _HEADER.match(text.lstrip()):
        return _joined(_messages(text.lstrip()))
    if text.startswith(_THOUGHT) and _BARE_END.search(text):
        parts = _BARE.split(text)[: MAX_MESSAGES + 1]
        names = (_THOUGHT, "commentary", _FINAL)
        return _joined(
            [
                (_CALL if part.startswith(" to=", len(name)) else name, part[len(name) :])
                for part in parts
                for name in names
                if part.startswith(name)
            ]
        )
    return None


def _messages(text: str) -> list[tuple[str, str]]:
    found = list(_HEADER.finditer(text))[:MAX_MESSAGES]
    ends = [*(each.start() for each in found[1:]), len(text)]
    return [
        (
            _CALL if header["of"] or "to=" in header["to"] else header["channel"].lower(),
            _without_end(text[header.end() : end]),
        )
        for header, end in zip(found, ends, strict=True)
    ]


def _joined(messages: list[tuple[str, str]]) -> tuple[str, str | None]:
    answers = [said for channel, said in messages if channel == _FINAL]
    thoughts = [said.strip() for channel, said in messages if channel != _FINAL]
    if not answers and messages and messages[-1][0] not in (_THOUGHT, _CALL):
        answers = [thoughts.pop()]
    answer = answers[-1].strip() if answers else None
    return "\n\n".join(filter(None, thoughts)), answer
