"""Fills the ids of tool calls that an upstream left empty, before an answer is stored or passed on,
and tells apart the calls of a streamed one.

Frameworks make up random ids for these, so that the next body is another one each time, and a
second attempt would pay again. The same call has the same ids; an id that is there is not changed.
"""

import hashlib
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
class CallPlaces:
    """To which call of a streamed answer a chunk belongs.

    Not by the index alone: some servers leave it out, or give several calls the same one (Ollama),
    or the rest of a call another one than its beginning. An id that is known is that of its call;
    a new one with a name begins a call.
    """

    names: list[str] = field(default_factory=list)
    """Those of the calls so far."""
    _by_id: dict[str, int] = field(default_factory=dict)
    _by_index: dict[int | str, int] = field(default_factory=dict)
    _with_id: set[int] = field(default_factory=set)

    def place(self, call: Json) -> tuple[int, bool]:
        """The number of the chunk's call, and whether it begins there."""
        function = call.get("function")
        given = function.get("name") if isinstance(function, dict) else None
        name = given if isinstance(given, str) else ""
        identity = "" if _is_empty(call.get("id")) else str(call["id"])
        index = call.get("index")
        index = index if isinstance(index, int | str) else None
        place = self._known(identity, name, index)
        begins = place is None
        if place is None:
            place = len(self.names)
            self.names.append("")
        self.names[place] = self.names[place] or name
        if identity:
            self._by_id.setdefault(identity, place)
            self._with_id.add(place)
        if index is not None:
            self._by_index[index] = place
        return place, begins

    def _known(self, identity: str, name: str, index: int | str | None) -> int | None:
        if identity in self._by_id:
            return self._by_id[identity]
        if index is not None and index in self._by_index:
            place = self._by_index[index]
            known = self.names[place] and place in self._with_id
            is_other = bool(identity and name and known)
            return None if is_other else place
        begins = name or (identity and index is None) or not self.names
        return None if begins or identity else len(self.names) - 1


@dataclass
class StreamedIds:
    """Fills the ids of one streamed answer, and the numbers of its calls. A call's first chunk has
    its id."""

    body_hash: str
    _places: dict[int, CallPlaces] = field(default_factory=dict)
    """By choice."""
    _filled: dict[tuple[int, int], bool] = field(default_factory=dict)
    """By choice and call: whether the call's id was filled."""

    def fill(self, choices: list[Json]) -> bool:
        """In place. Whether anything was changed."""
        changed = False
        for number, choice in enumerate(choices):
            delta = choice.get("delta") or {}
            for call in _objects(delta.get("tool_calls")):
                changed |= self._fill_call(_index(choice, number), call)
        return changed

    def _fill_call(self, choice: int, call: Json) -> bool:
        number, begins = self._places.setdefault(choice, CallPlaces()).place(call)
        place = (choice, number)
        changed = call.get("index") != number or isinstance(call.get("index"), bool)
        call["index"] = number
        empty = _is_empty(call.get("id"))
        if begins:
            self._filled[place] = empty
            if empty:
                call["id"] = _made(self.body_hash, *place)
            return changed or empty
        if empty or not self._filled[place]:
            return changed
        call.pop("id", None)  # it comes too late: clients have the other one
        return True


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
