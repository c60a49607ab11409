"""The gateway's log on standard error: JSON lines, or text on a terminal. It contains neither
prompts nor keys."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal

from opentelemetry import trace

from durable_agent_team.gateway.request_labels import LOG_FIELDS, labels

TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"
MAX_TEXT = 2_000


class JsonFormatter(logging.Formatter):
    """One object a line, with the run, task, agent and trace that the caller sent."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:MAX_TEXT],
            **context_fields(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)[-MAX_TEXT:]
        return json.dumps(line, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """For terminals. Run, task, agent and trace are at the end of the line."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = super().formatMessage(record)
        known = " ".join(f"{name}={value}" for name, value in context_fields().items())
        return f"{line} [{known}]" if known else line


def context_fields() -> dict[str, str]:
    known = labels()
    fields = {field: known[name] for name, field in LOG_FIELDS.items() if name in known}
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        fields |= {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
    return fields


def configure(form: Literal["json", "text"] | None = None) -> None:
    """Without a `form`: text on a terminal, JSON otherwise."""
    handler = logging.StreamHandler(sys.stderr)
    chosen = form or ("text" if sys.stderr.isatty() else "json")
    handler.setFormatter(TextFormatter(TEXT) if chosen == "text" else JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("httpx", "opentelemetry"):
        logging.getLogger(name).setLevel(logging.WARNING)
