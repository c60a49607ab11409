"""A remote agent's task as its server reports it, in either version of the protocol. Pure.

Read leniently: a missing or unknown field never makes a finished task unreadable.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from activities.programs.remote.remote_errors import RemoteFailed
from durable_agent_team.contracts.call import MAX_REMOTE_TASK
from durable_agent_team.rules.safe_text import is_blank

COMPLETED: Final = "completed"
REJECTED: Final = "rejected"
ASKING: Final = frozenset({"input-required", "auth-required"})
UNSUCCESSFUL: Final = frozenset({"failed", REJECTED, "canceled"})


@dataclass(frozen=True, slots=True)
class RemoteMessage:
    """Parts without metadata: `data` is the JSON of the parts that have it."""

    text: str = ""
    data: tuple[Any, ...] = ()
    message_id: str = ""
    from_agent: bool = True

    @property
    def is_empty(self) -> bool:
        return is_blank(self.text) and not self.data

    def shown(self, wants_json: bool = False) -> str:
        """Its text, or its data as JSON: which comes first depends on what is wanted."""
        if self.data and (wants_json or is_blank(self.text)):
            value = self.data[0] if len(self.data) == 1 else list(self.data)
            return json.dumps(value, ensure_ascii=False)
        return self.text


@dataclass(frozen=True, slots=True)
class RemoteTask:
    id: str
    context_id: str = ""
    state: str = ""
    """Lower case with hyphens, such as `input-required`."""
    since: str = ""
    """The time of the state, as the agent sent it: fasta2a's has no zone."""
    status: RemoteMessage | None = None
    artifacts: tuple[RemoteMessage, ...] = ()
    history: tuple[RemoteMessage, ...] = field(default=(), repr=False)

    def answer(self, wants_json: bool = False) -> str:
        """From the artifacts; without any, from the status message; at last, from the agent's last
        message in the history: servers differ. Empty where there is none."""
        full = [each for each in self.artifacts if not each.is_empty]
        if wants_json and any(each.data for each in full):
            full = [each for each in full if each.data][-1:]
        if full:
            return "\n\n".join(each.shown(wants_json) for each in full)
        return self.said(wants_json)

    def said(self, wants_json: bool = False) -> str:
        """The status message, or the agent's last message in the history."""
        if self.status is not None and not self.status.is_empty:
            return self.status.shown(wants_json)
        for message in reversed(self.history):
            if message.from_agent and not message.is_empty:
                return message.shown(wants_json)
        return ""

    @property
    def has_ended(self) -> bool:
        return self.state == COMPLETED or self.state in UNSUCCESSFUL

    @property
    def asks(self) -> bool:
        return self.state in ASKING

    def has_message(self, message_id: str) -> bool:
        return any(message.message_id == message_id for message in self.history)


def task_or_message(result: Any) -> RemoteTask | RemoteMessage:
    """The result of sending a message. 1.0 and HTTP+JSON wrap it: `{"task": …}`, `{"message": …}`
    (0.3: `msg`). Raises `RemoteFailed`."""
    if isinstance(result, dict):
        if isinstance(result.get("task"), dict):
            return read_task(result["task"])
        for name in ("message", "msg"):
            if isinstance(result.get(name), dict):
                return _message(result[name])
        if result.get("kind") == "message" or "messageId" in result:
            return _message(result)
    return read_task(result)


def read_task(value: Any) -> RemoteTask:
    """Raises `RemoteFailed` where it is none."""
    if not isinstance(value, dict) or not isinstance(value.get("id"), str) or not value["id"]:
        raise RemoteFailed("its response is not a task: it has no id", permanent=True)
    if len(value["id"]) > MAX_REMOTE_TASK:
        raise RemoteFailed(
            f"its task's id is longer than {MAX_REMOTE_TASK} characters", permanent=True
        )
    given = value.get("status")
    status: dict[str, Any] = given if isinstance(given, dict) else {}
    said = status.get("message") or status.get("update")
    return RemoteTask(
        id=value["id"],
        context_id=_string(_either(value, "contextId", "context_id")),
        state=_state(status.get("state")),
        since=_string(status.get("timestamp")),
        status=_message(said) if isinstance(said, dict) else None,
        artifacts=tuple(_message(each) for each in _dicts(value.get("artifacts"))),
        history=tuple(_message(each) for each in _dicts(value.get("history"))),
    )


def _state(value: Any) -> str:
    """`TASK_STATE_INPUT_REQUIRED` of 1.0 and `input-required` of 0.3 are the same."""
    state = _string(value).lower().removeprefix("task_state_").replace("_", "-")
    return "canceled" if state == "cancelled" else state


def _message(value: dict[str, Any]) -> RemoteMessage:
    parts = [*_dicts(value.get("parts")), *_dicts(value.get("content"))]
    role = _string(value.get("role")).lower()
    return RemoteMessage(
        text=_joined([each["text"] for each in parts if isinstance(each.get("text"), str)]),
        data=tuple(_data(each) for each in parts if each.get("data") is not None),
        message_id=_string(_either(value, "messageId", "message_id")),
        from_agent=not role.endswith("user"),
    )


def _data(part: dict[str, Any]) -> Any:
    """HTTP+JSON of 0.3 wraps it once more; fasta2a wraps a result whose schema it gives."""
    value, metadata = part["data"], part.get("metadata")
    if isinstance(value, dict) and set(value) == {"data"}:
        value = value["data"]
    is_wrapped = isinstance(metadata, dict) and "json_schema" in metadata
    if is_wrapped and isinstance(value, dict) and set(value) == {"result"}:
        return value["result"]
    return value


def _joined(texts: list[str]) -> str:
    """A line for each part; as they are, where they are the pieces of a stream: then white space
    stands at some of the seams."""
    seams = pairwise(texts)
    are_pieces = any(left[-1:].isspace() or right[:1].isspace() for left, right in seams)
    return ("" if are_pieces else "\n").join(texts)


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    return (
        (each for each in value if isinstance(each, dict)) if isinstance(value, list) else iter(())
    )


def _either(value: dict[str, Any], *names: str) -> Any:
    return next((value[name] for name in names if name in value), None)


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
