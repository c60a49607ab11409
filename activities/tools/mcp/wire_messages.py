"""Reads one JSON-RPC message of a server that may send anything."""

import json
import re
from typing import Any, Final

from activities.tools.mcp.bounded_lines import LongLine
from activities.tools.mcp.faults import Fault
from durable_agent_team.rules.half_characters import may_have_halves, without_half_characters

_ID: Final = rb'"id"\s*:\s*(\d{1,15})'
_FIRST_ID: Final = re.compile(rb'^\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?' + _ID)
_LAST_ID: Final = re.compile(_ID + rb'\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$')


def read_message(line: bytes | LongLine) -> dict[str, Any] | None:
    """The message; or in place of an answer that cannot be read, the error of a `Fault` with its
    request's number; None for what is no message, such as a line that a server prints."""
    if isinstance(line, LongLine):
        text = f"an answer of {line.bytes} bytes, which is more than is read"
        fault = Fault("too_large", text, bytes=line.bytes)
        return _in_place_of(line.head, line.tail, fault)
    try:
        found = json.loads(line.decode("utf-8-sig", errors="replace"))
        if may_have_halves(line):
            found = without_half_characters(found)
    except (ValueError, RecursionError):
        return _in_place_of(line, line, Fault("unreadable", "the server's answer is no JSON"))
    return found if isinstance(found, dict) and found.get("jsonrpc") == "2.0" else None


def is_of_no_use(message: dict[str, Any]) -> bool:
    """Whether it is a notification that no session of ours acts on, such as a log line."""
    method = message.get("method")
    is_notification = isinstance(method, str) and "id" not in message
    return is_notification and method != "notifications/tools/list_changed"


def number_of(value: Any) -> int | None:
    """The number of a request of ours, as a server repeats it: some make a text of it, or a number
    with a fraction of zero. None for what is none of ours."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 15:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def is_answer(message: dict[str, Any]) -> bool:
    return "method" not in message and "id" in message


def _in_place_of(head: bytes, tail: bytes, fault: Fault) -> dict[str, Any] | None:
    number = _FIRST_ID.search(head) or _LAST_ID.search(tail[-200:])
    if number is None:
        return None
    return {"jsonrpc": "2.0", "id": int(number[1]), "error": fault.error()}
