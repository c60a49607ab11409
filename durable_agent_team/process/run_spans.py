"""The spans of a run that outlast its activities: `invoke_workflow` of the run, and `invoke_agent`
of each task of an agent with tools (OpenTelemetry's GenAI conventions, "Invoke workflow span" and
"Invoke agent internal span").

Such a span may last for weeks, over several executions of the workflow and on several workers. So
its id follows from what it is about, its children name it as their parent from the beginning, and
it is exported when it has ended (docs/adr/052).
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue
from temporalio import workflow
from temporalio.converter import PayloadConverter
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.worker import (
    ContinueAsNewInput,
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from durable_agent_team.contracts.telemetry_labels import (
    BEGIN_SPAN,
    END_SPAN,
    RUN,
    RUN_SPAN_HEADER,
    TEAM,
    UNKNOWN,
)
from durable_agent_team.process.team_interceptor import KEY, team_name

_FORM = TraceContextTextMapPropagator()


@dataclass(frozen=True)
class RunSpan:
    """The span `invoke_workflow` of a run that has not ended."""

    span: SpanContext
    parent: SpanContext | None
    started_ns: int
    team: str

    def header(self) -> dict[str, Any]:
        """For the next execution of the run."""
        parent = carrier_of(self.parent) if self.parent else {}
        return {"span": carrier_of(self.span), "parent": parent, "started_ns": self.started_ns}

    @classmethod
    def from_header(cls, found: Mapping[str, Any], team: str) -> "RunSpan":
        span, parent = context_of(found["span"]), context_of(found["parent"])
        return cls(span, parent if parent.is_valid else None, found["started_ns"], team)


def context_of(carrier: Mapping[str, str]) -> SpanContext:
    """The span that `traceparent` names. Not valid where there is none."""
    return trace.get_current_span(_FORM.extract(carrier, contexts.Context())).get_span_context()


def carrier_of(span: SpanContext) -> dict[str, str]:
    """`traceparent`, and `tracestate` if there is any."""
    carrier: dict[str, str] = {}
    _FORM.inject(carrier, trace.set_span_in_context(NonRecordingSpan(span)))
    return carrier


def span_below(parent: SpanContext, name: str) -> SpanContext:
    """The context of a span of the parent's trace. The same name gives the same id."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") or 1
    return SpanContext(
        trace_id=parent.trace_id,
        span_id=number,
        is_remote=True,
        trace_flags=parent.trace_flags,
        trace_state=parent.trace_state,
    )


class RunSpans(Interceptor):
    """`export` sends a span that has ended; `resource` is its sender."""

    def __init__(self, export: Callable[[ReadableSpan], None], resource: Resource) -> None:
        self._export = export
        self._resource = resource
        self._runs: dict[str, RunSpan] = {}
        """Those of the executions that this worker has in memory, by Temporal's run id."""

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        input.unsafe_extern_functions.update({BEGIN_SPAN: self._begin, END_SPAN: self._end})

        class Inbound(_Workflow):
            spans = self

        return Inbound

    def enter(self, args: Any) -> RunSpan | None:
        """The run's span, new or from an earlier execution. None while there is no trace."""
        info = workflow.info()
        team = team_name(args, info.typed_search_attributes.get(KEY, UNKNOWN))
        handed_on = info.headers.get(RUN_SPAN_HEADER)
        current = trace.get_current_span().get_span_context()
        if handed_on is not None:
            found = PayloadConverter.default.from_payload(handed_on)
            run = RunSpan.from_header(found, team)
        elif current.is_valid:
            span = span_below(current, f"{info.namespace}/{info.workflow_id}/{info.run_id}")
            run = RunSpan(span, current, workflow.time_ns(), team)
        else:
            return None
        self._runs[info.run_id] = run
        return run

    def leave(self, run_id: str) -> None:
        self._runs.pop(run_id, None)

    def run_of(self, run_id: str) -> RunSpan | None:
        return self._runs.get(run_id)

    def end_run(self, run: RunSpan, error: str | None) -> None:
        about = {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": run.team}
        title = f"invoke_workflow {run.team}"
        self._send(title, run.span, run.parent, run.started_ns, run.team, about, error)

    def _begin(self, name: str) -> dict[str, str]:
        """Called by `workflows.agent_spans`: the context of a new span below the run's."""
        run = self._runs.get(workflow.info().run_id)
        return carrier_of(span_below(run.span, name)) if run is not None else {}

    def _end(
        self,
        title: str,
        carrier: Mapping[str, str],
        started_ns: int,
        about: Mapping[str, AttributeValue],
        error: str | None,
    ) -> None:
        run, span = self._runs.get(workflow.info().run_id), context_of(carrier)
        if run is not None and span.is_valid:
            self._send(title, span, run.span, started_ns, run.team, about, error)

    def _send(
        self,
        title: str,
        span: SpanContext,
        parent: SpanContext | None,
        started_ns: int,
        team: str,
        about: Mapping[str, AttributeValue],
        error: str | None,
    ) -> None:
        if workflow.unsafe.is_replaying_history_events():  # it was sent then
            return
        whose = {RUN: workflow.info().workflow_id, TEAM: team}
        failed = {"error.type": error} if error else {}
        self._export(
            ReadableSpan(
                name=title,
                context=span,
                parent=parent,
                resource=self._resource,
                attributes={**about, **whose, **failed},
                kind=trace.SpanKind.INTERNAL,
                status=Status(StatusCode.ERROR) if error else Status(),
                start_time=started_ns,
                end_time=max(workflow.time_ns(), started_ns),
            )
        )


class _Workflow(WorkflowInboundInterceptor):
    spans: RunSpans

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        self.next.init(_Outbound(outbound, self.spans))

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        run = self.spans.enter(input.args)
        if run is None:
            return await self.next.execute_workflow(input)
        # Not detached: the context ends with the execution's own task.
        contexts.attach(trace.set_span_in_context(NonRecordingSpan(run.span)))
        run_id = workflow.info().run_id
        try:
            result = await self.next.execute_workflow(input)
        except FailureError as error:
            kind = error.type if isinstance(error, ApplicationError) else type(error).__name__
            self.spans.end_run(run, kind or UNKNOWN)
            raise
        finally:
            self.spans.leave(run_id)
        self.spans.end_run(run, None)
        return result


class _Outbound(WorkflowOutboundInterceptor):
    def __init__(self, next: WorkflowOutboundInterceptor, spans: RunSpans) -> None:
        super().__init__(next)
        self._spans = spans

    def continue_as_new(self, input: ContinueAsNewInput) -> NoReturn:
        run = self._spans.run_of(workflow.info().run_id)
        if run is not None:
            payload = PayloadConverter.default.to_payload(run.header())
            input.headers = {**input.headers, RUN_SPAN_HEADER: payload}
        self.next.continue_as_new(input)
