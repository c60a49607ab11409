"""Removes the operator's key from what an upstream answers, before anything is cut or stored."""

import base64
import json
from typing import Any
from urllib.parse import quote

from durable_agent_team.gateway.calls.upstream_json import upstream_object
from durable_agent_team.gateway.json_bodies import dump

MIN_SECRET = 8
"""A shorter key is a placeholder, such as `none`, and a common word of answers."""
REMOVED = "[removed]"


class SecretFilter:
    """Finds the key in plain, in hexadecimal, in base64 and URL-encoded."""

    def __init__(self, secret: str = "") -> None:
        raw = secret.encode()
        forms = {
            secret,
            json.dumps(secret)[1:-1],
            quote(secret, safe=""),
            raw.hex(),
            base64.b64encode(raw).decode().rstrip("="),
            base64.urlsafe_b64encode(raw).decode().rstrip("="),
        }
        self._forms = sorted(forms, key=len, reverse=True) if len(secret) >= MIN_SECRET else []

    def text(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, REMOVED)
        return text

    def body(self, raw: bytes) -> bytes:
        """A body that contains the key is written again; any other is returned as it is."""
        if not self._forms:
            return raw
        data = upstream_object(raw) if b"\\" in raw else None  # `\u0073` is a letter, too
        seen = raw.decode(errors="replace") if data is None else dump(data).decode()
        if self.text(seen) == seen:
            return raw
        data = data or upstream_object(raw)
        return self.text(seen).encode() if data is None else dump(self._value(data))

    def _value(self, value: Any) -> Any:
        """The value, whose depth is bounded, with the key removed from every text in it."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if isinstance(value, dict):
            return {self.text(name): self._value(item) for name, item in value.items()}
        return value
