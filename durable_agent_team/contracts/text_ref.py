"""A reference to a text that does not travel in messages: documents, answers, hand-offs."""

import hashlib
from typing import Annotated, Final

from pydantic import Field
from pydantic_core import to_json

from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.bounded_text import cut

PREVIEW_CHARACTERS: Final = 80
MAX_TEXT_BYTES: Final = 32 * 1024 * 1024

SHA256: Final = r"^[0-9a-f]{64}$"
Sha256 = Annotated[str, Field(pattern=SHA256)]


class TextRef(Message):
    """The hash and the size of a text, which is in the store under its hash.

    Equal texts have equal references. `preview` is how the text begins, on one line.
    """

    sha256: Sha256
    bytes: int = Field(ge=0, le=MAX_TEXT_BYTES)
    """Bytes in UTF-8."""
    json_bytes: int = Field(ge=2, le=6 * MAX_TEXT_BYTES + 2)
    """As a JSON string, with its quotation marks: what it adds to the body of a request."""
    preview: str = Field("", max_length=PREVIEW_CHARACTERS)


Text = str | TextRef
"""A text as it travels: itself, or the reference to it."""


def reference_to(text: str) -> TextRef:
    """The reference under which this text is stored. Raises UnicodeEncodeError for half a
    surrogate."""
    encoded = text.encode()
    return TextRef(
        sha256=hashlib.sha256(encoded).hexdigest(),
        bytes=len(encoded),
        json_bytes=len(to_json(text)),
        preview=preview_of(text),
    )


def preview_of(text: Text) -> str:
    """How a text begins, on one line."""
    if isinstance(text, TextRef):
        return text.preview
    return cut(" ".join(text[: 2 * PREVIEW_CHARACTERS].split()), PREVIEW_CHARACTERS)


def bytes_of(text: Text) -> int:
    """Bytes of UTF-8."""
    return text.bytes if isinstance(text, TextRef) else len(text.encode())


def json_bytes_of(text: Text) -> int:
    """Bytes as a JSON string, with its quotation marks."""
    return text.json_bytes if isinstance(text, TextRef) else len(to_json(text))
