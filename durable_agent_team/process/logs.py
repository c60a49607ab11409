"""Logs on standard error: JSON lines, or text on a terminal. No prompts, answers or keys: those in
addresses, which libraries repeat, are hidden."""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Literal

from opentelemetry import trace
from pydantic import ValidationError
from temporalio import activity, workflow

from durable_agent_team.contracts.telemetry_labels import (
    AGENT,
    CALL_KEY,
    RUN,
    SPAN_ID,
    TASK,
    TEAM,
    TRACE_ID,
    labels,
)
from durable_agent_team.providers.url_secrets import without_url_secrets
from durable_agent_team.rules.safe_text import json_text, one_line

MAX_TEXT = 600
LogFormat = Literal["json", "text"]
FROM_TEMPORAL = ("workflow_id", "run_id", "activity_type", "attempt")
FROM_CORE = ("workflow_id", "run_id", "task_queue", "error")
MAX_CORE = 300
FROM_LABELS = {
    RUN: "workflow_id",
    TEAM: "team",
    TASK: "task",
    AGENT: "agent",
    CALL_KEY: "call_key",
    TRACE_ID: "trace_id",
    SPAN_ID: "span_id",
}


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the ids of the run, the call and
    the trace that the line belongs to, as far as they are known."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": shown(record.getMessage()),
        }
        line |= context(record)
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = describe(record.exc_info[1])
        return json_text(json.dumps(line, ensure_ascii=False))


class TextLines(logging.Formatter):
    """The same as text: ids at the end of the line, an error's traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        line = f"{time} {record.levelname} {record.name}: {shown(record.getMessage())}"
        line = one_line(line)
        about = " ".join(f"{name}={value}" for name, value in context(record).items())
        if about:
            line += f" [{one_line(about)}]"
        if record.exc_info and record.exc_info[1] is not None:
            error = describe(record.exc_info[1])
            line += "".join(f"\n  {one_line(text)}" for text in (*error["at"], error["message"]))
        return line


def shown(text: str) -> str:
    """As much of a message as a line has room for."""
    return without_url_secrets(text)[:MAX_TEXT]


def describe(error: BaseException) -> dict[str, Any]:
    """An exception as fields, without its inputs, which pydantic's own message would quote."""
    if isinstance(error, ValidationError):
        lines = error.errors(include_input=False, include_url=False, include_context=False)
        text = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in lines)
    else:
        text = str(error)
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return {
        "type": type(error).__name__,
        "message": shown(text),
        "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def context(record: logging.LogRecord) -> dict[str, Any]:
    """The ids of the run, the call and the trace, as far as they are known where it was logged."""
    about = _temporal(record)
    if "workflow_run_id" in about:
        about = {**about, "run_id": about["workflow_run_id"]}
    found = {key: about[key] for key in FROM_TEMPORAL if key in about}
    found |= _core(record)
    known = labels()
    found |= {field: known[name] for name, field in FROM_LABELS.items() if known.get(name)}
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        found |= {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
    return found


def _core(record: logging.LogRecord) -> dict[str, Any]:
    """Fields of a line that Temporal's core wrote: ids, and why it could not reach the server."""
    fields = getattr(getattr(record, "temporal_log", None), "fields", None)
    if not isinstance(fields, dict):
        return {}
    return {key: shown(str(fields[key]))[:MAX_CORE] for key in FROM_CORE if key in fields}


def _temporal(record: logging.LogRecord) -> dict[str, Any]:
    """What Temporal's loggers add to a record; for others, the current activity or workflow."""
    about = getattr(record, "temporal_activity", None) or getattr(record, "temporal_workflow", None)
    if isinstance(about, dict):
        return about
    if activity.in_activity():
        info = activity.info()
        return {
            "workflow_id": info.workflow_id,
            "run_id": info.workflow_run_id,
            "activity_type": info.activity_type,
            "attempt": info.attempt,
        }
    if workflow.in_workflow():
        return {"workflow_id": workflow.info().workflow_id, "run_id": workflow.info().run_id}
    return {}


def configure(level: int = logging.INFO, form: LogFormat | None = None) -> None:
    """Replaces the root logger's handlers; verbose libraries log warnings and errors only.

    Without a `form`: text on a terminal, JSON anywhere else.
    """
    handler = logging.StreamHandler(sys.stderr)
    chosen = form or ("text" if sys.stderr.isatty() else "json")
    handler.setFormatter(TextLines() if chosen == "text" else JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # The fields have what Temporal would otherwise append to the message.
    activity.logger.activity_info_on_message = False
    workflow.logger.workflow_info_on_message = False
    for name in ("httpx", "httpcore", "aiohttp.access", "opentelemetry"):
        logging.getLogger(name).setLevel(logging.WARNING)
