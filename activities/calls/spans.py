"""One OpenTelemetry span and a few metrics for each call, by the GenAI conventions: names, tokens
and cost, never a text. Uses only the API, which does nothing unless the process sets up providers.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from temporalio.exceptions import ApplicationError

from activities.calls import metrics
from activities.calls.span_parents import activity_link, below_agent
from activities.labelling import label_activity
from durable_agent_team.atxp.chat_client import Completion
from durable_agent_team.atxp.exceptions import MalformedAnswer, ProviderRefused
from durable_agent_team.atxp.pricing import usage_of
from durable_agent_team.contracts.call import CallRequest, CallResult, Usage
from durable_agent_team.contracts.telemetry_labels import (
    AGENT,
    CALL_KEY,
    LABELS,
    SPAN_ID,
    TASK,
    TEAM,
    TRACE_ID,
    UNKNOWN,
    labels,
)

PROVIDER = "atxp"

_tracer = trace.get_tracer("activities.calls.call_agent")


def kinds(usage: Usage) -> dict[str, int | float]:
    """Tokens that have a price of their own, and what caching saved, where they are not zero."""
    figures = {
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
        "saved_usd": float(usage.saved_usd),
    }
    return {name: figure for name, figure in figures.items() if figure}


class Attempt:
    """Records one attempt on its span and in the metrics of its team, agent and model."""

    def __init__(self, call: CallRequest, span: Span) -> None:
        self._call = call
        self._span = span
        self._outcome = metrics.OK
        self._began = time.perf_counter()
        self._attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": PROVIDER,
            "gen_ai.request.model": call.model,
            "gen_ai.agent.name": call.account.agent,
            TEAM: labels().get(TEAM, UNKNOWN),
        }
        metrics.RUNNING.add(1, self._attributes)

    def answered(self, done: Completion) -> None:
        """Records a billed answer; `judged` then records whether it passed its checks."""
        self._span.set_attribute("gen_ai.usage.input_tokens", done.usage.prompt_tokens)
        self._span.set_attribute("gen_ai.usage.output_tokens", done.usage.completion_tokens)
        for name, figure in kinds(done.usage).items():
            self._span.set_attribute(name, figure)
        self._span.set_attribute("cost_usd", float(done.cost.usd))
        self._span.set_attribute("cost_estimated", done.cost.estimated)
        self._span.set_attribute("replayed", done.replayed)
        if done.finish_reason:
            self._span.set_attribute("gen_ai.response.finish_reasons", [done.finish_reason])
        self._charge(done.cost.usd, done.usage, replayed=done.replayed)

    def useless(self, error: MalformedAnswer | ProviderRefused) -> None:
        """Records a failure that may have been billed."""
        if error.billed_usd:
            self._charge(error.billed_usd, usage_of(error.body), replayed=False)

    def judged(self, result: CallResult) -> CallResult:
        """Records the result, which failed its checks if it has reasons, and returns it."""
        if result.reasons:
            self._outcome = metrics.REFUSED if result.refusal else metrics.CHECK_FAILED
        if not result.text and result.replayed:
            self._charge(result.cost_usd, result.usage, replayed=True)
        return result

    def failed(self, error: BaseException) -> None:
        """Records an error by its type only, never by its text."""
        kind = error.type if isinstance(error, ApplicationError) else type(error).__name__
        self._attributes["error.type"] = kind or UNKNOWN
        self._span.set_attribute("error.type", kind or UNKNOWN)
        self._span.set_status(Status(StatusCode.ERROR))
        if isinstance(error, asyncio.CancelledError):
            self._outcome = metrics.CANCELLED
        else:
            self._outcome = metrics.OUTCOMES.get(kind or "", metrics.REFUSED)

    def ended(self) -> None:
        error = self._attributes.pop("error.type", None)
        metrics.RUNNING.add(-1, self._attributes)
        metrics.CALLS.add(1, {**self._attributes, "agent_team.outcome": self._outcome})
        seconds = time.perf_counter() - self._began
        timed = {**self._attributes, "error.type": error} if error else self._attributes
        metrics.DURATION.record(seconds, timed)

    def _charge(self, usd: Decimal, usage: Usage, *, replayed: bool) -> None:
        micro_usd = int(usd.scaleb(6))
        key = self._call.idempotency_key
        metrics.count_charge(self._attributes, key, micro_usd, usage, replayed=replayed)


@contextmanager
def call_span(call: CallRequest) -> Iterator[Attempt]:
    """Opens the span of one attempt, with its metrics and the labels of its log lines."""
    known = label_activity(
        {TASK: call.task, AGENT: call.account.agent, CALL_KEY: call.idempotency_key}
    )
    attributes: dict[str, str | int | float] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": call.model,
        "gen_ai.request.max_tokens": call.max_tokens,
        "gen_ai.agent.name": call.account.agent,
        **known,
    }
    agent_span = call.conversation.trace if call.conversation is not None else {}
    if call.conversation is not None:
        attributes["gen_ai.conversation.id"] = call.conversation.id
        attributes["agent_team.turn"] = call.conversation.turn
    if call.temperature is not None:
        attributes["gen_ai.request.temperature"] = call.temperature
    with _tracer.start_as_current_span(
        f"chat {call.model}",
        context=below_agent(agent_span),
        links=activity_link() if agent_span else None,
        kind=SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        _label_trace(known, span)
        attempt = Attempt(call, span)
        try:
            yield attempt
        except BaseException as error:
            attempt.failed(error)
            raise
        finally:
            attempt.ended()


def _label_trace(known: dict[str, str], span: Span) -> None:
    about = span.get_span_context()
    if about.is_valid:
        ids = {TRACE_ID: f"{about.trace_id:032x}", SPAN_ID: f"{about.span_id:016x}"}
        LABELS.set({**known, **ids})
