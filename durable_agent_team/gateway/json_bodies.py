"""JSON as the bodies of requests and responses have it: compact UTF-8."""

import json
from typing import Any

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def dump(data: dict[str, Any], errors: str = "replace") -> bytes:
    """Half of a surrogate pair becomes `?`; with `errors="strict"` it raises UnicodeEncodeError."""
    return _ENCODER.encode(data).encode(errors=errors)
