"""Addresses as they may be shown: an error, a log or a list repeats no password and no key."""

import re
from typing import Final

HIDDEN: Final = "***"

_USER_INFO: Final = re.compile(
    r"(?:(?<=://)|^)"  # a setting may lack its scheme
    r"(?:[^\s/?#]*|[^\s/?#@:]+:(?!//|\d+[/?#])[^\s@]*)"  # a password may be unencoded
    r"@"
)
_QUERY_VALUE: Final = re.compile(r"(?<=[?&])([\w.~%\[\]-]+)=[^\s&#'\"]+")


def without_url_secrets(text: str) -> str:
    """A URL, or a text with URLs in it, without user names, passwords and the values of queries.
    A scheme, a host, a path and the names of a query stay. Idempotent.

    >>> without_url_secrets("https://me:secret@example.com/v1?key=secret&page=2")
    'https://***@example.com/v1?key=***&page=***'
    >>> without_url_secrets("https://example.com/@me/agent")
    'https://example.com/@me/agent'
    """
    return _QUERY_VALUE.sub(rf"\1={HIDDEN}", _USER_INFO.sub(f"{HIDDEN}@", text))
