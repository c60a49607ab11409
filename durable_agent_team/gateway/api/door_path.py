"""The address of a call in a scope: `/scopes/{scope}/{attempt}` before that of its door."""

from typing import Final

PREFIX: Final = "/scopes/"
SCOPED: Final = "/scopes/{scope}/{attempt}"
"""As a route."""


def door_path(path: str) -> str:
    """The path without its scope, such as `/v1/chat/completions`."""
    if not path.startswith(PREFIX):
        return path
    parts = path.split("/", 4)
    return "/" + parts[4] if len(parts) > 4 else path
