"""The reasoning items of OpenAI's Responses as chat answers carry them: `reasoning_details`.

The spelling is OpenRouter's ("Preserving reasoning blocks"), whose clients send such a list back
unchanged: one entry of type `reasoning.encrypted` for each item. `before` is ours: how many of the
answer's other items, its text and its calls of tools, came before it. Responses take an item back
only where it was. `origin`, ours too, names the model that thought it: no other can decrypt it.
"""

from typing import Any

from durable_agent_team.gateway.doors.fields import Json

DETAILS = "reasoning_details"
ENCRYPTED = "reasoning.encrypted"
FORMAT = "openai-responses-v1"


def detail_of(item: Json, index: int, before: int, origin: str) -> Json | None:
    """`index` is its number in the list, by which clients put streamed lists together. None for an
    item that nobody can be asked to take back: it has no encrypted content."""
    data, identity = item.get("encrypted_content"), item.get("id")
    if not isinstance(data, str) or not isinstance(identity, str):
        return None
    made: Json = {"type": ENCRYPTED, "format": FORMAT, "id": identity, "data": data}
    made |= {"index": index, "before": before, "origin": origin}
    if summary := summary_texts(item):
        made["summary"] = summary
    return made


def item_of(detail: Json) -> Json:
    """The reasoning item again."""
    texts = detail.get("summary") or []
    return {
        "type": "reasoning",
        "id": detail["id"],
        "summary": [{"type": "summary_text", "text": each} for each in texts],
        "encrypted_content": detail["data"],
    }


def place_of(detail: Json) -> int:
    """How many of the answer's other items came before it."""
    before: int = detail.get("before", 0)
    return max(before, 0)


def valid_details(value: Any) -> list[Json]:
    """The entries that came from Responses and are well-formed; others are another provider's."""
    details = value if isinstance(value, list) else []
    return [each for each in details if is_detail(each)]


def details_from(origin: str | None, value: Any) -> list[Any]:
    """Those that this model takes back; for None, those that did not come from Responses here."""
    details = value if isinstance(value, list) else []
    return [each for each in details if _origin(each) == origin]


def _origin(detail: Any) -> Any:
    return detail.get("origin") if isinstance(detail, dict) else None


def is_detail(value: Any) -> bool:
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
    summary = item.get("summary")
    parts = summary if isinstance(summary, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return [each for each in texts if isinstance(each, str) and each]
