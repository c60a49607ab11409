"""Halves of surrogate pairs in JSON: they cannot be written as UTF-8, so nothing can store them."""

import re
from typing import Any, Final

HALF: Final = "\ufffd"
"""What stands in the place of each."""
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_ESCAPED: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def may_have_halves(raw: bytes) -> bool:
    """Whether JSON text escapes one half of a pair, or both."""
    return _ESCAPED.search(raw) is not None


def without_half_characters(value: Any) -> Any:
    """The same JSON with lone surrogates replaced. A program makes them when it cuts a text in the
    middle of a character. Raises RecursionError for what is nested hundreds of levels deep."""
    if isinstance(value, str):
        return _SURROGATE.sub(HALF, value)
    if isinstance(value, list):
        return [without_half_characters(each) for each in value]
    if isinstance(value, dict):
        return {
            without_half_characters(name): without_half_characters(each)
            for name, each in value.items()
        }
    return value
