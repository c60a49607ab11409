"""Fills the ids of tool calls that an upstream left empty, before an answer is stored or passed on.

Frameworks make up random ids for these, so that the next body is another one each time, and a
second attempt would pay again. The same call has the same ids; an id that is there is not changed.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

DIGITS: Final = 24
Json = dict[str, Any]


def fill_ids(answer: Json, body_hash: str) -> None:
    """Fills those of a whole chat answer, in place. `body_hash` is that of the request."""
    for number, choice in enumerate(_objects(answer.get("choices"))):
        message = choice.get("message")
        if isinstance(message, dict) and message.get("tool_calls"):
            for position, call in enumerate(_objects(message.get("tool_calls"))):
                if _is_empty(call.get("id")):
                    call["id"] = _made(body_hash, _index(choice, number), position)


@dataclass
class StreamedIds:
    """Fills the ids of one streamed answer. A call's first chunk has its id."""

    body_hash: str
    _seen: dict[tuple[int, int], bool] = field(default_factory=dict)
    """By choice and position: whether the call's id was filled."""
    _calls: Counter[int] = field(default_factory=Counter)
    """How many of a choice were seen."""

    def fill(self, choices: list[Json]) -> bool:
        """In place. Whether anything was changed."""
        changed = False
        for number, choice in enumerate(choices):
            delta = choice.get("delta") or {}
            for call in _objects(delta.get("tool_calls")):
                changed |= self._fill_call(_index(choice, number), call)
        return changed

    def _fill_call(self, choice: int, call: Json) -> bool:
        place = (choice, self._position(choice, call))
        empty = _is_empty(call.get("id"))
        if place not in self._seen:
            self._seen[place] = empty
            self._calls[choice] += 1
            if empty:
                call["id"] = _made(self.body_hash, *place)
            return empty
        if empty or not self._seen[place]:
            return False
        call.pop("id", None)  # it comes too late: clients have the other one
        return True

    def _position(self, choice: int, call: Json) -> int:
        """Without an index, an id or a function's name begins a new call."""
        index = call.get("index")
        if isinstance(index, int):
            return index
        seen = self._calls[choice]
        function = call.get("function")
        named = isinstance(function, dict) and bool(function.get("name"))
        begins = named or not _is_empty(call.get("id"))
        return seen if begins or not seen else seen - 1


def _made(body_hash: str, choice: int, position: int) -> str:
    text = f"{body_hash}:{choice}:{position}".encode()
    return "call_" + hashlib.sha256(text).hexdigest()[:DIGITS]


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _index(choice: Json, number: int) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else number


def _objects(value: Any) -> list[Json]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
