"""One OpenTelemetry span a call, by the GenAI conventions: names, tokens, cost; never a text.

Only the API is used: without a provider set up by the process it costs nothing and goes nowhere.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from temporalio.exceptions import ApplicationError

from atxp.chat import Completion
from contracts.calls import CallRequest

_tracer = trace.get_tracer("activities.agents")


@contextmanager
def call_span(call: CallRequest) -> Iterator[Span]:
    """The span of one attempt. An error is recorded by its type alone: texts stay outside."""
    attributes: dict[str, str | int | float] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": call.model,
        "gen_ai.request.max_tokens": call.max_tokens,
        "gen_ai.request.temperature": call.temperature,
        "gen_ai.agent.name": call.account.agent,
        "task": call.task,
    }
    with _tracer.start_as_current_span(
        f"chat {call.model}",
        kind=SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except BaseException as error:
            kind = error.type if isinstance(error, ApplicationError) else type(error).__name__
            span.set_attribute("error.type", kind or "unknown")
            span.set_status(Status(StatusCode.ERROR))
            raise


def trace_headers() -> dict[str, str]:
    """`traceparent` and its like, for the gateway to continue the trace."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers


def record(span: Span, done: Completion) -> None:
    span.set_attribute("gen_ai.usage.input_tokens", done.usage.prompt_tokens)
    span.set_attribute("gen_ai.usage.output_tokens", done.usage.completion_tokens)
    span.set_attribute("cost_usd", float(done.cost.usd))
    span.set_attribute("cost_estimated", done.cost.estimated)
    span.set_attribute("replayed", done.replayed)
    if done.finish_reason:
        span.set_attribute("gen_ai.response.finish_reasons", [done.finish_reason])
