"""The gateway's log on standard error: JSON lines, or text on a terminal. It contains neither
prompts nor keys."""

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

from opentelemetry import trace

from durable_agent_team.gateway.log_handler import BatchingHandler
from durable_agent_team.gateway.request_labels import LOG_FIELDS, labels
from durable_agent_team.providers.url_secrets import without_url_secrets

TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"
MAX_TEXT = 2_000
_ENCODER = json.JSONEncoder(ensure_ascii=False)


class _SafeFormatter(logging.Formatter):
    """Removes keys and escapes control characters, so that no text can forge a line or act on a
    terminal. Every text of a record goes through `clean`."""

    def __init__(self, pattern: str | None = None, scrub: Callable[[str], str] = str) -> None:
        super().__init__(pattern)
        self._without_keys = scrub

    def _scrub(self, text: str) -> str:
        return without_url_secrets(self._without_keys(text))

    def clean(self, text: str) -> str:
        return escape_controls(self._scrub(text)[:MAX_TEXT])

    def formatException(self, ei: Any) -> str:
        """Its last lines, indented: no line of it looks like the beginning of a record."""
        lines = self._scrub(super().formatException(ei))[-MAX_TEXT:].split("\n")
        return "\n".join("  " + escape_controls(line) for line in lines)


class JsonFormatter(_SafeFormatter):
    """One object a line, with the run, task, agent and trace that the caller sent."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.clean(record.getMessage()),
            **context_fields(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return _ENCODER.encode(line)


class TextFormatter(_SafeFormatter):
    """For terminals. Run, task, agent and trace are at the end of the line."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = self.clean(record.message)
        line = super().formatMessage(record)
        known = " ".join(f"{name}={value}" for name, value in context_fields().items())
        return f"{line} [{known}]" if known else line


def escape_controls(text: str) -> str:
    r"""Everything that is not printable as an escape, such as `\n` or `\u202e`."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def context_fields() -> dict[str, str]:
    known = labels()
    fields = {
        field: escape_controls(known[name]) for name, field in LOG_FIELDS.items() if name in known
    }
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        fields |= {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
    return fields


def configure(
    form: Literal["json", "text"] | None = None, scrub: Callable[[str], str] = str
) -> None:
    """Without a `form`: text on a terminal, JSON otherwise. `scrub` removes keys from a text."""
    handler = BatchingHandler(sys.stderr)
    chosen = form or ("text" if sys.stderr.isatty() else "json")
    handler.setFormatter(
        TextFormatter(TEXT, scrub) if chosen == "text" else JsonFormatter(scrub=scrub)
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("httpx", "opentelemetry"):
        logging.getLogger(name).setLevel(logging.WARNING)
