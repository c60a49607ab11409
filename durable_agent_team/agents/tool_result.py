"""What a function returned, as the text that a model or another task reads.

Standard library only, Python 3.10 or newer.
"""

import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import uuid
from typing import Any

MAX_TEXT = 1_000_000
"""Characters that go to the worker. Of a longer text these are the beginning and the end."""
MAX_ERROR = 2_000


class NoResult(Exception):
    """The function returned something that is neither a text nor JSON."""


def result_text(value: Any) -> str:
    """A text as it is, anything else as JSON; also dataclasses, dates, sets, enums and the models
    of pydantic. Raises `NoResult`."""
    if isinstance(value, str):
        return bounded(str(value))
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise NoResult(
            f"it ran, and returned a {type(value).__name__} that is neither a text nor a JSON"
            f" value: {error}"
        ) from None
    return bounded(text)


def error_text(error: BaseException) -> str:
    """The type and the message of an exception, bounded."""
    try:
        message = str(error)
    except Exception:
        message = "(its message cannot be read)"
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_ERROR else f"{text[: MAX_ERROR - 1]}…"


def bounded(text: str) -> str:
    """The beginning and the end of a text that is too long, without halves of surrogate pairs."""
    if len(text) > MAX_TEXT:
        half = MAX_TEXT // 2
        left_out = len(text) - 2 * half
        text = f"{text[:half]}\n[{left_out:,} characters left out]\n{text[-half:]}"
    return text.encode("utf-8", "replace").decode()


def plain(value: Any) -> Any:
    """For `json.dumps`: the JSON value of what has one. Raises TypeError."""
    if hasattr(value, "model_dump"):  # pydantic's models
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, uuid.UUID, pathlib.PurePath)):
        return str(value)
    raise TypeError(f"a {type(value).__name__} is no JSON value")
