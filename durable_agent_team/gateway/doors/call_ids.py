"""Ids of tool calls in the form that an upstream takes: a conversation may have begun elsewhere."""

import hashlib
import re

MESSAGES_ID = re.compile(r"[a-zA-Z0-9_-]+")
"""Anthropic's reference, "Create a Message": the pattern of `tool_use.id`."""

RESPONSES_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""OpenAI's error for a `call_id`: "string too long. Expected a string with maximum length 64"."""


def fitting_id(identifier: str, fits: re.Pattern[str], digits: int = 24) -> str:
    """The id itself where it fits; else one made from it, always the same, so that a call and its
    result still belong together."""
    if fits.fullmatch(identifier):
        return identifier
    return hashlib.sha256(identifier.encode()).hexdigest()[:digits]
