"""One OpenTelemetry span and a few metrics for each call of a tool, by the GenAI conventions
("Execute tool span"): names and outcomes, never an argument or a result.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import metrics, trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from temporalio.exceptions import ApplicationError

from activities.calls.metrics import CANCELLED, OK, SPEND
from activities.calls.span_parents import activity_link, below_agent
from activities.labelling import label_activity
from durable_agent_team.contracts.telemetry_labels import (
    AGENT,
    CALL_KEY,
    TASK,
    TEAM,
    UNKNOWN,
    labels,
)
from durable_agent_team.contracts.tool_call import ToolOrder, ToolResult
from durable_agent_team.contracts.tool_kinds import ServerTools

TOOL_ERROR = "tool_error"
"""The outcome of a call whose tool itself reports an error."""

_tracer = trace.get_tracer("activities.tools.tool_activities")
_meter = metrics.get_meter("agent_team")

TOOL_CALLS = _meter.create_counter(
    "agent_team.tool_calls",
    unit="{call}",
    description="Attempts of calls of tools, by how they ended.",
)
TOOLS_RUNNING = _meter.create_up_down_counter(
    "agent_team.tool_calls_running",
    unit="{call}",
    description="Calls of tools in flight in this worker.",
)
TOOL_DURATION = _meter.create_histogram(
    "gen_ai.execute_tool.duration",
    unit="s",
    description="How long an attempt of a call of a tool took.",
    explicit_bucket_boundaries_advisory=[0.01 * 2**power for power in range(14)],
)


class ToolAttempt:
    """Records how one attempt ended."""

    def __init__(self) -> None:
        self.outcome = OK
        self.micro_usd = 0

    def answered(self, result: ToolResult) -> ToolResult:
        self.outcome = TOOL_ERROR if result.is_error else OK
        self.micro_usd = int(result.charged_usd.scaleb(6))
        return result


@contextmanager
def tool_span(order: ToolOrder) -> Iterator[ToolAttempt]:
    """Opens the span of one attempt, with its metrics and the labels of its log lines."""
    known = label_activity({TASK: order.task, AGENT: order.agent, CALL_KEY: order.key})
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": order.facts.name,
        "gen_ai.agent.name": order.agent,
    }
    counted = {**attributes, TEAM: labels().get(TEAM, UNKNOWN)}
    attempt, began = ToolAttempt(), time.perf_counter()
    TOOLS_RUNNING.add(1, counted)
    with _tracer.start_as_current_span(
        f"execute_tool {order.facts.name}",
        context=below_agent(order.trace),
        links=activity_link() if order.trace else None,
        kind=SpanKind.INTERNAL,
        attributes={
            **attributes,
            "gen_ai.tool.call.id": order.key,
            "gen_ai.tool.type": _type(order),
            **known,
        },
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        error: str | None = None
        try:
            yield attempt
            if attempt.outcome == TOOL_ERROR:
                error = TOOL_ERROR
        except BaseException as failed:
            error = failed.type if isinstance(failed, ApplicationError) else type(failed).__name__
            is_cancelled = isinstance(failed, asyncio.CancelledError)
            attempt.outcome = CANCELLED if is_cancelled else error or UNKNOWN
            raise
        finally:
            if error is not None:
                span.set_attribute("error.type", error)
                span.set_status(Status(StatusCode.ERROR))
            TOOLS_RUNNING.add(-1, counted)
            TOOL_CALLS.add(1, {**counted, "agent_team.outcome": attempt.outcome})
            timed = {**counted, "error.type": error} if error else counted
            TOOL_DURATION.record(time.perf_counter() - began, timed)
            if attempt.micro_usd:
                SPEND.add(attempt.micro_usd, counted)


def trace_context(order: ToolOrder) -> Mapping[str, str]:
    """What is sent in `_meta`: this span's context, or what the order brought."""
    carrier: dict[str, str] = {}
    if trace.get_current_span().get_span_context().is_valid:
        from opentelemetry import propagate  # noqa: PLC0415  after OTEL_PROPAGATORS was checked

        propagate.inject(carrier)
    return carrier or order.trace


def _type(order: ToolOrder) -> str:
    """`extension` runs at a server of somebody's, `function` in the worker (GenAI conventions)."""
    return "extension" if isinstance(order.tool, ServerTools) else "function"
