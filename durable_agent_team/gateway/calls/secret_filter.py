"""Removes the operator's key from what an upstream answers, before anything is cut or stored."""

from collections.abc import Callable
from typing import Any

from durable_agent_team.gateway.calls.upstream_json import upstream_object
from durable_agent_team.gateway.json_bodies import dump


class SecretFilter:
    """`scrub` removes keys from a text; without it, nothing is removed."""

    def __init__(self, scrub: Callable[[str], str] = str) -> None:
        self.text = scrub

    def body(self, raw: bytes) -> bytes:
        """A body that contains a key is written again; any other is returned as it is."""
        text = raw.decode(errors="replace")
        if b"\\" not in raw and self.text(text) == text:
            return raw
        data = upstream_object(raw)  # `\u0073` is a letter, too
        if data is None:
            return self.text(text).encode()
        cleaned = self._value(data)
        return raw if cleaned == data else dump(cleaned)

    def _value(self, value: Any) -> Any:
        """The value, whose depth is bounded, without keys in its texts and names."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if isinstance(value, dict):
            return {self.text(name): self._value(item) for name, item in value.items()}
        return value
