"""The key of the tool call that this process carries out."""

_key = ""


def call_key() -> str:
    """Inside of a function that is a tool of an agent: the call's key, the same in each attempt, so
    that the other side of a request can recognise it. Elsewhere, an empty text."""
    return _key


def set_call_key(key: str) -> None:
    """For `tool_host`, which carries out one call at a time."""
    global _key
    _key = key
