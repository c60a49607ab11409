"""Fences around the sources of a prompt, which neither a source's text nor its name can close.

The tags carry an unguessable value of the call. It depends on nothing that a source contains, so
the text needs no escaping and stays quotable word for word.
"""

import hashlib
import hmac
import unicodedata

from durable_agent_team.contracts.call import CallRequest, Source

TAG_LENGTH = 16
"""Hex digits: 64 bits."""

_PUNCTUATION = frozenset(" ._-+,()&@#:/")
_LETTERS = frozenset(("Lu", "Ll", "Lt", "Lo", "Mc", "Nd"))
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0")
"""Hangul letters that are invisible."""


def fence_tag(call: CallRequest) -> str:
    """The same in all attempts of a call and all turns of a conversation, and another one in every
    other call.

    An idempotency key can be guessed; the sealed key, which has a random nonce, cannot.
    """
    if call.conversation is not None:
        return _tag(call, call.conversation.id)
    return _tag(call, call.idempotency_key)


def result_tag(call: CallRequest, number: int) -> str:
    """Around the results of one turn, which is entry `number` of its conversation. A tool can learn
    the tags that its agent has seen, and not this one."""
    assert call.conversation is not None
    return _tag(call, f"{call.conversation.id}:{number}")


def _tag(call: CallRequest, of: str) -> str:
    digest = hmac.new(call.account.sealed_key.encode(), of.encode(), hashlib.sha256)
    return digest.hexdigest()[:TAG_LENGTH]


def fenced(source: Source, tag: str) -> str:
    """`rules.bounds.FENCE_BYTES` is what this adds to a source's name and text."""
    return f'<source-{tag} name="{shown_name(source.name)}">\n{source.text}\n</source-{tag}>'


def shown_name(name: str) -> str:
    """Letters, digits and a few signs; every other character becomes `_`: quotes and angle
    brackets, what looks like them, line breaks, and invisible characters."""
    composed = unicodedata.normalize("NFC", name)
    return "".join(each if _is_plain(each) else "_" for each in composed)


def _is_plain(character: str) -> bool:
    """Without modifier letters, which look like quotes, and marks that take no space."""
    if character.isascii():
        return character.isalnum() or character in _PUNCTUATION
    return unicodedata.category(character) in _LETTERS and character not in _FILLERS
