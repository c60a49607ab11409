"""An upstream behind circuit breakers: one for its connections, one for each of its models, and one
for the operator's money at the provider."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace

from durable_agent_team.gateway.api_error import ApiError
from durable_agent_team.gateway.calls.answer import FailedCall, UpstreamResult
from durable_agent_team.gateway.calls.chat_request import ChatRequest
from durable_agent_team.gateway.calls.relay import Relay
from durable_agent_team.gateway.calls.upstream_protocol import Upstream
from durable_agent_team.gateway.upstreams.circuit import Circuit, State
from durable_agent_team.gateway.upstreams.out_of_funds import OutOfFunds
from durable_agent_team.providers.error_kind import OUT_OF_FUNDS_CODE

log = logging.getLogger("gateway.upstream")

CONNECTIONS = "all models"
UNREACHED = frozenset({"upstream_unreachable", "upstream_broke_off"})


class GuardedUpstream:
    """Implements `Upstream`. A refused call reaches no upstream, and is not billed."""

    def __init__(
        self,
        upstream: Upstream,
        max_failures: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        name: str = "",
    ) -> None:
        """`name`: of the upstream, which its errors then have in `upstream`."""
        self._upstream = upstream
        self._max_failures = max_failures
        self._clock = clock
        self._circuits: dict[str, Circuit] = {}
        self._last_errors: dict[str, ApiError] = {}
        self._funds = OutOfFunds()
        self._unpaid: ApiError | None = None
        """The upstream's last error about the operator's money."""
        self._name = name

    def not_ready(self, upstream: str | None = None) -> str | None:
        return self._upstream.not_ready(upstream)

    def open_circuits(self) -> dict[str, int]:
        """Those that refuse calls now: the model (or `all models`), and for how many seconds."""
        now = self._clock()
        left = {name: circuit.seconds_left(now) for name, circuit in self._circuits.items()}
        found = {name: math.ceil(seconds) for name, seconds in left.items() if seconds}
        return {CONNECTIONS: 1, **found} if self._funds.is_out else found

    async def complete(
        self, request: ChatRequest, idempotency_key: str, relay: Relay
    ) -> UpstreamResult:
        refused = self._refused(request.model)
        if refused is not None:
            return FailedCall(refused)
        probe = self._funds.is_out
        try:
            result = await self._upstream.complete(request, idempotency_key, relay)
        except BaseException:
            self._funds.ended(self._clock(), probe=probe)
            for name in (CONNECTIONS, request.model):
                self._circuit(name).ended()
            raise
        result = self._with_name(result)
        self._record_funds(result, probe)
        self._record(request.model, result)
        return result

    def _refused(self, model: str) -> ApiError | None:
        """The error of a call that may not be made now; None if it may."""
        now = self._clock()
        wait = self._funds.admit(now)
        if wait is not None:
            return self._unpaid_refusal(wait)
        admitted: list[str] = []
        for name in (CONNECTIONS, model):
            wait = self._circuit(name).admit(now)
            if wait is not None:
                for each in admitted:
                    self._circuit(each).ended()
                self._funds.ended(now, probe=self._funds.is_out)
                return self._refusal(name, wait)
            admitted.append(name)
        return None

    def _with_name(self, result: UpstreamResult) -> UpstreamResult:
        if not isinstance(result, FailedCall) or not self._name:
            return result
        message, extra = result.error.message, {**result.error.extra, "upstream": self._name}
        message = message.replace("at the upstream", f"at upstream {self._name!r}", 1)
        return replace(result, error=replace(result.error, message=message, extra=extra))

    async def close(self) -> None:
        await self._upstream.close()

    def _circuit(self, name: str) -> Circuit:
        found = self._circuits.get(name)
        if found is None:
            found = self._circuits[name] = Circuit(self._max_failures)
        return found

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
            busy = error is not None and error.code != OUT_OF_FUNDS_CODE
            if error is not None and busy and (status == 429 or status >= 500):
                self._failed(model, error)
            else:
                self._succeeded(model)

    def _record_funds(self, result: UpstreamResult, probe: bool) -> None:
        """Only an answer says that the upstream is paid: another refusal may come before that."""
        which = f"upstream {self._name!r}" if self._name else "the upstream"
        if not isinstance(result, FailedCall):
            if self._funds.answered(probe=probe):
                log.warning("%s answers again: the operator's account is in funds", which)
        elif result.error.code == OUT_OF_FUNDS_CODE:
            self._unpaid = result.error
            if self._funds.refused(self._clock(), probe=probe):
                log.error("%s is called only for a probe now: %s", which, result.error.message)
        else:
            self._funds.ended(self._clock(), probe=probe)

    def _unpaid_refusal(self, wait: float) -> ApiError:
        """Without `upstream_status`: the upstream was not asked."""
        last = self._unpaid
        assert last is not None
        extra = {name: last.extra[name] for name in ("upstream",) if name in last.extra}
        retry_after = {"Retry-After": str(max(math.ceil(wait), 1))}
        return ApiError(503, "upstream_error", OUT_OF_FUNDS_CODE, last.message, extra, retry_after)

    def _failed(self, name: str, error: ApiError) -> None:
        circuit, now = self._circuit(name), self._clock()
        before = circuit.state
        self._last_errors[name] = error
        limited = error.extra.get("upstream_status") == 429
        told = error.headers.get("Retry-After") if limited else None
        circuit.failed(now, None if told is None else float(told))
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
