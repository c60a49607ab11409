"""The encoded size of what goes to Temporal: bytes of JSON, as the data converter writes it.

Every bound on a payload counts these bytes. They are not the bytes of the texts: a quotation mark
or a line break takes two, a control character six. What a call can cost is another thing, which
counts the UTF-8 of its prompt (`bounds.py`).
"""

from typing import Any, Final

from pydantic_core import SchemaSerializer, from_json
from pydantic_core.core_schema import any_schema

MAX_PAYLOAD_BYTES: Final = 2_000_000
"""For one payload. Temporal takes 2 MiB, with the payload's metadata."""

MAX_COMMANDS_BYTES: Final = 2_000_000
"""For all commands that one workflow task issues together. The server takes 4 MiB in a message and
in a write, and results that came in meanwhile are in the same write."""

COMMAND_BYTES: Final = 1_500
"""Allowed for a command besides its payload: names, timeouts, summary, trace headers."""

MAX_DETAILS_BYTES: Final = 18_000
"""For the details that Temporal's UI shows of a run. The server takes 20,000."""

_LARGEST_ESCAPE = 6
"""`\\u0000`: no character takes more bytes than this."""

# The data converter's own serializer (`payloads.converter`); a test compares their bytes.
_SERIALIZER: Final = SchemaSerializer(any_schema())


def encoded(value: Any) -> bytes:
    """The JSON that the data converter writes for a value."""
    return _SERIALIZER.to_json(value, exclude_unset=True)


def encoded_bytes(value: Any) -> int:
    """Bytes of a value's payload, without the payload's metadata.

    >>> encoded_bytes('say "a"')
    11
    """
    return len(encoded(value))


def text_content_bytes(text: str) -> int:
    """Bytes that a text adds to a payload, without the quotation marks around it."""
    return encoded_bytes(text) - 2


def cut_to_bytes(text: str, most: int) -> str:
    """The longest beginning of a text that adds at most this many bytes to a payload.

    >>> cut_to_bytes("one\\ntwo", 4)
    'one'
    """
    if len(text) * _LARGEST_ESCAPE <= most:
        return text
    most = max(most, 0)
    content = encoded(text[: most + 1])[1:-1]  # no character takes less than a byte
    if len(content) <= most:
        return text
    kept = content[:most]
    for back in range(_LARGEST_ESCAPE):
        try:
            return str(from_json(b'"' + kept[: len(kept) - back] + b'"'))
        except ValueError:  # the cut went through an escape, or through a character
            continue
    return ""
