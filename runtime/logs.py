"""Logs: one JSON object a line on standard error. No prompts, no answers, no keys."""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from temporalio import activity, workflow

MAX_TEXT = 600


class JsonLines(logging.Formatter):
    """Time, level, logger, message, and what Temporal knows of the run and the activity."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:MAX_TEXT],
        }
        line |= _context(record)
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = describe(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def describe(error: BaseException) -> dict[str, Any]:
    """An exception without its inputs: pydantic's own text would quote them."""
    if isinstance(error, ValidationError):
        lines = error.errors(include_input=False, include_url=False, include_context=False)
        text = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in lines)
    else:
        text = str(error)
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return {
        "type": type(error).__name__,
        "message": text[:MAX_TEXT],
        "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _context(record: logging.LogRecord) -> dict[str, Any]:
    about = getattr(record, "temporal_activity", None) or getattr(record, "temporal_workflow", None)
    if not isinstance(about, dict):
        return {}
    wanted = ("workflow_id", "run_id", "workflow_run_id", "activity_type", "attempt")
    return {key: about[key] for key in wanted if key in about}


def configure(level: int = logging.INFO) -> None:
    """Replaces the root logger's handlers; chatty libraries speak from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # What Temporal knows stands in fields of its own, and not in the message too.
    activity.logger.activity_info_on_message = False
    workflow.logger.workflow_info_on_message = False
    for name in ("httpx", "httpcore", "aiohttp.access", "opentelemetry"):
        logging.getLogger(name).setLevel(logging.WARNING)
