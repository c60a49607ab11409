"""The words with which an answer that failed its checks goes back to its agent."""

import json
from collections.abc import Iterable
from typing import Any

MAX_SHOWN_SCHEMA = 4_000
"""Characters of a schema that a repair shows."""
OF_SCHEMA = ("The answer is not JSON", "At ")
"""How the reasons begin that a schema gives."""


def repair_text(reasons: Iterable[str], output: str | dict[str, Any], room: str = "") -> str:
    """`room` says how long the next answer may be, where the last one was cut off."""
    listed = "\n".join(f"- {reason}" for reason in reasons)
    text = f"This answer was rejected:\n{listed}\nAnswer again, with this put right."
    return text + room + _shape(output, reasons)


def _shape(output: str | dict[str, Any], reasons: Iterable[str]) -> str:
    """The schema of an answer that did not follow it: then nothing holds the model to it, whatever
    `response_format` says."""
    if isinstance(output, str) or not any(each.startswith(OF_SCHEMA) for each in reasons):
        return ""
    schema = json.dumps(output, ensure_ascii=False, separators=(",", ":"))
    return f"\nThe JSON Schema of the answer:\n{schema}" if len(schema) <= MAX_SHOWN_SCHEMA else ""
