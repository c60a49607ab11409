"""The results of tools in the order of their calls, for the hash of a request.

Frameworks that run tools at the same time append their results as they arrive (LlamaIndex does), so
that the body of a second attempt differs from the first one in nothing but that order. It has no
meaning: each result names its call. What is sent upstream keeps the order of the client.
"""

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


def results_in_order(body: Json) -> Json:
    """A body of any door; itself where its results are in order already."""
    for field in ("messages", "input"):
        items = body.get(field)
        if isinstance(items, list) and (ordered := _Results().sorted(items)) is not None:
            body = {**body, field: ordered}
    return body


class _Results:
    """Sorts each row of results that follow one another by the places of their calls."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._calls = 0

    def sorted(self, items: list[Any], *, blocks: bool = True) -> list[Any] | None:
        """None where nothing moves. `blocks`: look into the contents of messages as well."""
        ordered: list[Any] = []
        row: list[tuple[str, Any]] = []
        moved = False
        for item in items:
            result = _result_of(item)
            if result is not None:
                row.append((result, item))
                continue
            moved |= self._end(row, ordered)
            for call in _calls_of(item):
                self._places[call] = self._calls = self._calls + 1
            content = item.get("content") if blocks and isinstance(item, dict) else None
            if isinstance(content, list):
                inside = self.sorted(content, blocks=False)
                moved |= inside is not None
                item = item if inside is None else {**item, "content": inside}
            ordered.append(item)
        moved |= self._end(row, ordered)
        return ordered if moved else None

    def _end(self, row: list[tuple[str, Any]], ordered: list[Any]) -> bool:
        """Appends the row, and empties it. One with a result of an unknown call stays as it is."""
        by_call = list(row)
        if all(call in self._places for call, _ in row):
            by_call.sort(key=lambda each: self._places[each[0]])
        moved = by_call != row
        ordered += [item for _, item in by_call]
        row.clear()
        return moved


def _result_of(item: Any) -> str | None:
    """The id of the call whose result this message, item or block is."""
    if not isinstance(item, dict):
        return None
    if item.get("role") == "tool":
        call = item.get("tool_call_id")
    elif item.get("type") == "function_call_output":
        call = item.get("call_id")
    elif item.get("type") == "tool_result":
        call = item.get("tool_use_id")
    else:
        return None
    return call if isinstance(call, str) else None


def _calls_of(item: Any) -> Iterator[str]:
    """The ids of the calls in a message, item or block."""
    if not isinstance(item, dict):
        return
    calls = item.get("tool_calls")
    listed = calls if isinstance(calls, list) else []
    found = [each.get("id") for each in listed if isinstance(each, dict)]
    if item.get("type") == "function_call":
        found.append(item.get("call_id"))
    elif item.get("type") == "tool_use":
        found.append(item.get("id"))
    yield from (each for each in found if isinstance(each, str))
