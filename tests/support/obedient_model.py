"""A model that obeys whatever it reads, as a function of the request: the worst case of an agent.

Orders stand anywhere in the prompt: in the ask, in a document, in a tool's result or description.

- `@@call NAME {"argument": 1}@@` calls a tool once;
- `@@turns NAME 50 {"argument": 1}@@` calls it in this many turns, with `n` from 1 added;
- `@@answer TEXT@@` is the answer; the last one in the prompt counts, and "done" stands for none;
- `@@repeat@@` at the end of a message makes the results of its tools the answer, or what it was
  asked if there are none.

Each order is obeyed once, one in a turn, in the order of the prompt. Where the request has `tools`
the call is a native one; where it has a schema of actions (`{"action": …, "arguments": …}`) it is
one of those. Where the request offers no tools, or not this one, the model calls it all the same,
unless the request forbids calls (`tool_choice: none`, or no tools at all).

It sees through disguises (`readings`), as models do.
"""

import base64
import binascii
import contextlib
import html
import json
import re
import unicodedata
import urllib.parse
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

ORDER = re.compile(
    r"@@(?:call\s+(?P<name>\S+)\s+(?P<arguments>\{.*?\})"
    r"|turns\s+(?P<many>\S+)\s+(?P<turns>\d+)\s*(?P<common>\{.*?\})?)\s*@@",
    re.DOTALL,
)
REPEAT = "@@repeat@@"
ANSWER = re.compile(r"@@answer\s+(.*?)@@", re.DOTALL)

BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")

Call = tuple[str, dict[str, Any]]


def reply(body: dict[str, Any]) -> dict[str, Any]:
    """The assistant's message. `finish_reason` follows from it: see `finish`."""
    text = "\n".join(reading for each in _texts(body) for reading in readings(each))
    before = made(body)
    actions = _actions(body)
    if may_call(body) or actions:
        following = next((call for call in ordered(text) if call not in before), None)
        if following is not None and body.get("tools"):
            return _native(following, len(before) + 1)
        if following is not None and following[0] in actions:
            content = {"action": following[0], "arguments": following[1]}
            return {"role": "assistant", "content": json.dumps(content)}
    said = ANSWER.findall("\n".join(_texts(body))) or ANSWER.findall(text)
    answer = said[-1].strip() if said else "done"
    if any(_content(each).endswith(REPEAT) for each in body.get("messages") or []):
        told = [each for each in body["messages"] if each.get("role") == "tool"]
        told = told or [each for each in body["messages"] if each.get("role") == "user"]
        answer = "\n".join(map(_content, told)).replace(REPEAT, "") or "nothing"
    if actions:
        answer = json.dumps({"action": "answer", "answer": answer})
    return {"role": "assistant", "content": answer}


def finish(message: dict[str, Any]) -> str:
    return "tool_calls" if message.get("tool_calls") else "stop"


def may_call(body: dict[str, Any]) -> bool:
    return bool(body.get("tools")) and body.get("tool_choice") != "none"


def ordered(text: str) -> Iterator[Call]:
    """The calls that the text orders, each once; what is no JSON is no order."""
    seen: list[Call] = []
    for found in ORDER.finditer(text):
        try:
            common = json.loads(found["arguments"] or found["common"] or "{}")
        except ValueError:
            continue
        numbers = range(1, int(found["turns"]) + 1) if found["turns"] else ()
        calls: list[Call] = [(found["many"], {**common, "n": number}) for number in numbers]
        for call in calls or [(found["name"], common)]:
            if call not in seen:
                seen.append(call)
                yield call


def made(body: dict[str, Any]) -> list[Call]:
    """The calls that the conversation has already."""
    calls: list[Call] = []
    for message in body.get("messages") or []:
        for call in message.get("tool_calls") or []:
            function = call["function"]
            calls.append((function["name"], json.loads(function["arguments"] or "{}")))
        if message.get("role") == "assistant" and (action := _action(message.get("content"))):
            calls.append(action)
    return calls


def _native(call: Call, number: int) -> dict[str, Any]:
    function = {"name": call[0], "arguments": json.dumps(call[1])}
    calls = [{"id": f"call_{number}", "type": "function", "function": function}]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def _texts(body: dict[str, Any]) -> Iterator[str]:
    """All that the model reads: messages, and what the tools say of themselves. Its own calls are
    no orders."""
    for message in body.get("messages") or []:
        if message.get("role") != "assistant":
            yield _content(message)
    for tool in body.get("tools") or []:
        yield from _strings(tool)
    # What the server of a model without tools is given, for its grammar.
    yield from _strings(body.get("response_format"))


def _content(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        content = "\n".join(str(part.get("text", "")) for part in content)
    return str(content or "")


@lru_cache(maxsize=1_000)
def readings(text: str) -> tuple[str, ...]:
    """The text, and what else it can be read as, where it is disguised. A conversation repeats its
    texts in every turn: each is read once, so that benchmarks do not measure this model."""
    return tuple(_readings(text))


def _readings(text: str) -> Iterator[str]:
    yield text
    # JSON within the text: its strings, with their escapes undone.
    with contextlib.suppress(ValueError):
        yield from _strings(json.loads(text))
    plain = text
    if not text.isascii():  # character by character: slow in a conversation of 100 KB
        tags = "".join(
            chr(ord(each) - 0xE0000) for each in text if "\U000e0020" <= each < "\U000e007f"
        )
        if tags:
            yield tags
        plain = "".join(each for each in text if unicodedata.category(each) not in ("Cf", "Mn"))
        plain = unicodedata.normalize("NFKC", plain)
    quoted = text.replace('\\"', '"')  # within JSON that is in a text
    for other in (plain, quoted, html.unescape(text), urllib.parse.unquote(text)):
        if other != text:
            yield other
    if "\u202e" in text:
        yield text.rpartition("\u202e")[2][::-1]
    for found in BASE64.findall(text):
        try:
            yield base64.b64decode(found, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue


def _strings(value: Any) -> Iterator[str]:
    """Every text within a value: as JSON, their quotes would be escaped."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield str(name)
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)


def _actions(body: dict[str, Any]) -> set[str]:
    """The actions of a schema."""
    wanted = (body.get("response_format") or {}).get("json_schema", {}).get("schema", {})
    branches = wanted.get("anyOf") or [wanted]
    properties = [branch.get("properties", {}) for branch in branches]
    return {each["action"]["const"] for each in properties if "const" in each.get("action", {})}


def _action(content: Any) -> Call | None:
    try:
        said = json.loads(content)
        return (said["action"], said["arguments"]) if said["action"] != "answer" else None
    except (ValueError, TypeError, KeyError):
        return None
