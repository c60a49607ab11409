"""Pure: lays out a text that is JSON, with every number as it is written, and every string too,
but for letters that are written as `\\uXXXX`."""

import json
import re

from durable_agent_team.rules.safe_text import readable_json

MOST = 400_000
"""Characters. What is longer is shown as it is."""
_FENCED = re.compile(r"\s*```(?:json)?[ \t]*\n(.*?)\n?```\s*", re.DOTALL)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')


def laid_out(text: str) -> str | None:
    """The same JSON, indented by two spaces; None for a text that is not a JSON object or array.

    A fence of Markdown around it is left out.
    """
    if len(text) > MOST:
        return None
    fenced = _FENCED.fullmatch(text)
    inner = (fenced[1] if fenced else text).strip()
    if inner[:1] not in ("{", "[") or not _is_json(inner):
        return None
    return _indented(_TOKEN.findall(readable_json(inner)))


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return True


def _indented(tokens: list[str]) -> str:
    parts: list[str] = []
    depth = 0
    for place, token in enumerate(tokens):
        before = tokens[place - 1] if place else ""
        if token in "}]":
            depth -= 1
            parts.append("" if before in ("{", "[") else _line(depth))
        elif before in ("{", "["):
            parts.append(_line(depth))
        parts.append(token)
        if token in "{[":
            depth += 1
        elif token == ",":
            parts.append(_line(depth))
        elif token == ":":
            parts.append(" ")
    return "".join(parts)


def _line(depth: int) -> str:
    return "\n" + "  " * depth
