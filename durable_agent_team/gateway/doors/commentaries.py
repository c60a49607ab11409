"""What a model says on its way to a call of a tool or to its answer: OpenAI's `commentary`.

A commentary before a call of a tool is the text of that answer. One before the answer itself is an
aside: not part of the answer, which may be JSON. Asides become reasoning here, since chat answers
carry that beside their text.
"""

from dataclasses import dataclass, field

from durable_agent_team.gateway.doors.chat_answer import content_text, object_of, text_of
from durable_agent_team.gateway.doors.fields import Json

COMMENTARY = "commentary"
"""A message's `phase`."""
Place = int | str
"""Which item an event is about: its index in the output; its id where a server gives no index."""
ADDED = "output_item.added"
ENDS = ("completed", "incomplete", "failed", "cancelled", "done", "error")
"""The last event of some servers is `response.done`."""
MOST_HELD = 2_000


def without_asides(items: list[Json]) -> list[Json]:
    """A whole Response's output, in which asides are reasoning."""
    found, next_kind = [], ""
    for item in reversed(items):
        if _is_commentary(item):
            found.append(_as_reasoning(item) if next_kind == "message" else item)
        else:
            found.append(item)
            next_kind = text_of(item, "type") if _decides(item) else next_kind
    return found[::-1]


@dataclass
class AsideFilter:
    """Makes the asides of a stream reasoning. It holds events back from the start of a commentary
    until the item after it shows what the commentary is."""

    _held: list[Json] = field(default_factory=list)
    _undecided: set[Place] = field(default_factory=set)
    _asides: set[Place] = field(default_factory=set)

    def feed(self, event: Json) -> list[Json]:
        """Takes the next event, and returns those that are no longer held back."""
        kind, item = event_kind(event), object_of(event, "item")
        if kind == ADDED and _is_commentary(item):
            self._undecided.add(place_of(event))
        self._held.append(event)
        decided = kind == ADDED and _decides(item)
        ends = not kind or kind in ENDS
        if self._undecided and not decided and not ends and len(self._held) <= MOST_HELD:
            return []
        if decided and item.get("type") == "message":
            self._asides |= self._undecided
        held, self._held, self._undecided = self._held, [], set()
        return [self._sorted(each) for each in held]

    def _sorted(self, event: Json) -> Json:
        if place_of(event) not in self._asides:
            return event
        item = object_of(event, "item")
        if item.get("type") == "message":
            return {**event, "item": _as_reasoning(item)}
        text, _, what = event_kind(event).partition(".")
        is_text = text in ("output_text", "refusal") and what in ("delta", "done")
        return {**event, "type": f"response.reasoning_text.{what}"} if is_text else event


def event_kind(event: Json) -> str:
    return text_of(event, "type").removeprefix("response.")


def place_of(event: Json) -> Place:
    index = event.get("output_index")
    if isinstance(index, int):
        return index
    return text_of(event, "item_id") or text_of(object_of(event, "item"), "id")


def _is_commentary(item: Json) -> bool:
    return item.get("type") == "message" and item.get("phase") == COMMENTARY


def _decides(item: Json) -> bool:
    """Whether it shows what a commentary before it is."""
    return item.get("type") in ("message", "function_call") and not _is_commentary(item)


def _as_reasoning(message: Json) -> Json:
    content = [{"type": "reasoning_text", "text": content_text(message)}]
    return {"type": "reasoning", "id": message.get("id"), "content": content}
