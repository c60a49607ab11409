"""An upstream behind circuit breakers: one for its connections, and one for each of its models."""

import logging
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from durable_agent_team.gateway.api_error import ApiError
from durable_agent_team.gateway.calls.answer import FailedCall, UpstreamResult
from durable_agent_team.gateway.calls.chat_request import ChatRequest
from durable_agent_team.gateway.calls.relay import Relay
from durable_agent_team.gateway.calls.upstream_protocol import Upstream
from durable_agent_team.gateway.upstreams.circuit import Circuit, State

log = logging.getLogger("gateway.upstream")

CONNECTIONS = "all models"
UNREACHED = frozenset({"upstream_unreachable", "upstream_broke_off"})
NO_QUOTA = frozenset({"insufficient_quota"})
"""Waiting does not help: the operator has to pay."""


class GuardedUpstream:
    """Implements `Upstream`. A refused call reaches no upstream, and is not billed."""

    def __init__(
        self,
        upstream: Upstream,
        max_failures: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstream = upstream
        self._max_failures = max_failures
        self._clock = clock
        self._circuits: dict[str, Circuit] = {}
        self._last_errors: dict[str, ApiError] = {}

    def not_ready(self, upstream: str | None = None) -> str | None:
        return self._upstream.not_ready(upstream)

    def open_circuits(self) -> dict[str, int]:
        """Those that refuse calls now: the model (or `all models`), and for how many seconds."""
        now = self._clock()
        left = {name: circuit.seconds_left(now) for name, circuit in self._circuits.items()}
        return {name: math.ceil(seconds) for name, seconds in left.items() if seconds}

    async def complete(
        self, request: ChatRequest, idempotency_key: str, relay: Relay
    ) -> UpstreamResult:
        names = (CONNECTIONS, request.model)
        admitted: list[str] = []
        for name in names:
            wait = self._circuit(name).admit(self._clock())
            if wait is not None:
                for each in admitted:
                    self._circuit(each).ended()
                return FailedCall(self._refusal(name, wait))
            admitted.append(name)
        try:
            result = await self._upstream.complete(request, idempotency_key, relay)
        except BaseException:
            for name in names:
                self._circuit(name).ended()
            raise
        self._record(request.model, result)
        return result

    async def close(self) -> None:
        await self._upstream.close()

    def _circuit(self, name: str) -> Circuit:
        return self._circuits.setdefault(name, Circuit(self._max_failures))

    def _record(self, model: str, result: UpstreamResult) -> None:
        """Without a status from the upstream, nothing is known of the model."""
        error = result.error if isinstance(result, FailedCall) else None
        status = 200 if error is None else error.extra.get("upstream_status")
        if error is not None and error.code in UNREACHED:
            self._failed(CONNECTIONS, error)
            self._circuit(model).ended()
        elif not isinstance(status, int):
            self._circuit(CONNECTIONS).ended()
            self._circuit(model).ended()
        else:
            self._succeeded(CONNECTIONS)
            busy = error is not None and error.code not in NO_QUOTA
            if error is not None and busy and (status == 429 or status >= 500):
                self._failed(model, error)
            else:
                self._succeeded(model)

    def _failed(self, name: str, error: ApiError) -> None:
        circuit, now = self._circuit(name), self._clock()
        before = circuit.state
        self._last_errors[name] = error
        limited = error.extra.get("upstream_status") == 429
        retry_after = pause_seconds(error.headers.get("Retry-After")) if limited else None
        circuit.failed(now, retry_after)
        if circuit.state is State.OPEN and before is State.CLOSED:
            left = circuit.seconds_left(now)
            log.warning("circuit open for %s, for %.0f s at first: %s", name, left, error.message)

    def _succeeded(self, name: str) -> None:
        circuit = self._circuit(name)
        before = circuit.state
        circuit.succeeded()
        if circuit.state is State.CLOSED and before is not State.CLOSED:
            log.warning("circuit closed for %s", name)

    def _refusal(self, name: str, wait: float) -> ApiError:
        """With the status of a rate limit where the upstream has set one, else 503."""
        last = self._last_errors[name]
        limited = last.extra.get("upstream_status") == 429
        seconds = max(math.ceil(wait), 1)
        return ApiError(
            429 if limited else 503,
            "upstream_error",
            "upstream_circuit_open",
            f"The upstream is not called for {name} for another {seconds} s, because of the last"
            f" failure: {last.message}",
            headers={"Retry-After": str(seconds)},
        )


def pause_seconds(retry_after: str | None) -> float | None:
    """`Retry-After` as seconds or as an HTTP date; None where there is none to honour."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            moment = parsedate_to_datetime(retry_after)
        except (ValueError, TypeError):
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - datetime.now(UTC)).total_seconds()
    return seconds if 0 < seconds < math.inf else None
