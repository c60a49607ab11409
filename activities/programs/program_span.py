"""One OpenTelemetry span for each execution of a program, by the GenAI conventions: names, figures
and how it ended, never a text. The calls of models that it makes are spans of the gateway."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.call import CallResult
from durable_agent_team.contracts.program import ProgramCall
from durable_agent_team.contracts.telemetry_labels import UNKNOWN

_tracer = trace.get_tracer("activities.programs.run_program")


@contextmanager
def program_span(call: ProgramCall, labels: Mapping[str, str]) -> Iterator[Span]:
    """Opens the span of one attempt. `labels` are those of its log lines."""
    agent = call.call.account.agent
    attributes: dict[str, str | int] = {
        **labels,
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": agent,
        "program.scope": call.scope,
        "program.execution": call.execution,
    }
    with _tracer.start_as_current_span(
        f"invoke_agent {agent}",
        kind=SpanKind.INTERNAL,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except BaseException as error:
            kind = error.type if isinstance(error, ApplicationError) else type(error).__name__
            span.set_attribute("error.type", kind or UNKNOWN)
            span.set_status(Status(StatusCode.ERROR))
            raise


def record_result(span: Span, result: CallResult) -> None:
    """What the execution has cost and used."""
    span.set_attribute("cost_usd", float(result.cost_usd))
    span.set_attribute("gen_ai.usage.input_tokens", result.usage.prompt_tokens)
    span.set_attribute("gen_ai.usage.output_tokens", result.usage.completion_tokens)
