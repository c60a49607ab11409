"""The reasoning items of OpenAI's Responses in chat answers: entries of `reasoning_details`.

OpenRouter introduced the field ("Preserving reasoning blocks"), and its clients return the list
unchanged with the next request. Each reasoning item is one entry of type `reasoning.encrypted`.
Two fields are our own:

- `before`: how many of the answer's other items (its text, its calls of tools) preceded the item.
  Responses accept an item only in the position where it was.
- `origin`: the model that produced it. No other model can decrypt it.
"""

from typing import Any

from durable_agent_team.gateway.doors.fields import Json

DETAILS = "reasoning_details"
ENCRYPTED = "reasoning.encrypted"
FORMAT = "openai-responses-v1"
TEXTS = ("text", "summary")


def detail_of(item: Json, index: int, before: int, origin: str) -> Json | None:
    """The entry for an item, or None if the item has no encrypted content: such an item cannot be
    sent back. `index` is its number in the list; clients join the parts of a stream by it."""
    data, identity = item.get("encrypted_content"), item.get("id")
    if not isinstance(data, str) or not isinstance(identity, str):
        return None
    made: Json = {"type": ENCRYPTED, "format": FORMAT, "id": identity, "data": data}
    made |= {"index": index, "before": before, "origin": origin}
    if summary := summary_texts(item):
        made["summary"] = summary
    return made


def item_of(detail: Json) -> Json:
    """The reasoning item that `detail_of` made the entry from."""
    texts = detail.get("summary") or []
    return {
        "type": "reasoning",
        "id": detail["id"],
        "summary": [{"type": "summary_text", "text": each} for each in texts],
        "encrypted_content": detail["data"],
    }


def items_before(detail: Json) -> int:
    """How many of the answer's other items preceded it."""
    before: int = detail.get("before", 0)
    return max(before, 0)


def valid_details(value: Any) -> list[Json]:
    """The well-formed entries that came from Responses, out of a message's `reasoning_details`.
    Others belong to another provider."""
    details = value if isinstance(value, list) else []
    return [each for each in details if is_detail(each)]


def details_from(origin: str | None, value: Any) -> list[Any]:
    """The entries that the model `origin` produced over Responses; for None, those that no model
    produced over Responses."""
    details = value if isinstance(value, list) else []
    return [each for each in details if _origin(each) == origin]


def joined_details(parts: list[Any]) -> list[Any]:
    """Whole entries from those of a stream, whose texts come in parts of the same index."""
    found: list[Any] = []
    texts: list[dict[str, list[str]]] = []
    for part in parts:
        if not found or not _continues(part, found[-1]):
            found.append(dict(part) if isinstance(part, dict) else part)
            texts.append({})
        elif isinstance(part, dict):
            found[-1] |= {name: each for name, each in part.items() if each is not None}
        for name in TEXTS if isinstance(part, dict) else ():
            if isinstance(text := part.get(name), str):
                texts[-1].setdefault(name, []).append(text)
    for whole, written in zip(found, texts, strict=True):
        if written:
            whole |= {name: "".join(each) for name, each in written.items()}
    return found


def _continues(part: Any, last: Any) -> bool:
    if not isinstance(part, dict) or not isinstance(last, dict):
        return False
    same = all(part.get(name) == last.get(name) for name in ("type", "index"))
    is_whole = part.get("type") == ENCRYPTED and "data" in part
    return same and part.get("index") is not None and not is_whole


def _origin(detail: Any) -> Any:
    return detail.get("origin") if isinstance(detail, dict) else None


def is_detail(value: Any) -> bool:
    """Whether it has the form that `detail_of` gives an entry."""
    if not isinstance(value, dict) or value.get("type") != ENCRYPTED:
        return False
    summary, before = value.get("summary", []), value.get("before", 0)
    return (
        value.get("format") == FORMAT
        and all(isinstance(value.get(name), str) for name in ("id", "data"))
        and isinstance(summary, list)
        and all(isinstance(each, str) for each in summary)
        and type(before) is int
    )


def summary_texts(item: Json) -> list[str]:
    """The summary of a reasoning item, without empty parts."""
    summary = item.get("summary")
    parts = summary if isinstance(summary, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return [each for each in texts if isinstance(each, str) and each]
