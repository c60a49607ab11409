"""The span of one chat completion, and what is observed of the request for its metrics."""

import re
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from opentelemetry import trace

from durable_agent_team.gateway.amounts import usd
from durable_agent_team.gateway.api_error import ApiError
from durable_agent_team.gateway.calls.call_service import CallOutcome
from durable_agent_team.gateway.calls.charge import BilledAnswer
from durable_agent_team.gateway.otel_providers import GatewayTelemetry
from durable_agent_team.gateway.request_labels import UNKNOWN

_CODE = re.compile(r"[a-z0-9_.-]{1,60}")


def error_attributes(error: ApiError) -> dict[str, str | int]:
    """An upstream can send any text as its code; one that does not look like a code is replaced."""
    kind = error.code if _CODE.fullmatch(error.code) else error.type
    return {"error.type": kind, "http.response.status_code": error.status}


@dataclass
class Observation:
    """What is known about a request. `observe_requests` creates it and records the metrics."""

    model: str = UNKNOWN
    error: ApiError | None = None
    replayed: bool = False


OBSERVATION: ContextVar[Observation] = ContextVar("gateway_observation")


class CallSpan:
    """Records how a call ended, but neither the prompt nor the answer."""

    def __init__(self, span: trace.Span | None, observation: Observation) -> None:
        self._span = span
        self._observation = observation

    def record(self, outcome: CallOutcome) -> None:
        if self._span is None:
            return
        self._observation.error = outcome.error
        self._observation.replayed = outcome.replayed
        attributes: dict[str, Any] = {"atxp.replayed": outcome.replayed}
        if outcome.billed is not None:
            attributes["gen_ai.usage.input_tokens"] = outcome.billed.prompt_tokens
            attributes["gen_ai.usage.output_tokens"] = outcome.billed.completion_tokens
            attributes |= _kinds(outcome.billed)
            attributes["cost_usd"] = usd(outcome.billed.amount)
            attributes["atxp.estimated"] = outcome.billed.estimated
        if outcome.error is not None:
            attributes |= error_attributes(outcome.error)
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.set_attributes(attributes)


def _kinds(billed: BilledAnswer) -> dict[str, int | float]:
    """Tokens by kind, and what caching saved, where they are not zero."""
    usage = billed.usage
    figures = {
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
        "atxp.saved_usd": usd(billed.saved),
    }
    return {name: figure for name, figure in figures.items() if figure}


def trace_call(telemetry: GatewayTelemetry | None, model: str, operation: str = "chat") -> CallSpan:
    """Names the request's span, started by `observe_requests`, after the model."""
    if telemetry is None:
        return CallSpan(None, Observation())
    observation = OBSERVATION.get(Observation())
    observation.model = model
    span = trace.get_current_span()
    span.update_name(f"{operation} {model}")
    span.set_attribute("gen_ai.request.model", model)
    return CallSpan(span, observation)
