"""Many upstreams as one: each call goes to the upstream that serves its model."""

import asyncio
from collections.abc import Mapping

from durable_agent_team.gateway.calls.answer import UpstreamResult
from durable_agent_team.gateway.calls.chat_request import ChatRequest
from durable_agent_team.gateway.calls.relay import Relay
from durable_agent_team.gateway.calls.upstream_protocol import Upstream


class UpstreamRouter:
    """Implements `Upstream`. Each upstream has circuits of its own, so that one that is down stops
    only its own models."""

    def __init__(self, upstreams: Mapping[str, Upstream]) -> None:
        self._upstreams = upstreams

    def not_ready(self, upstream: str | None = None) -> str | None:
        """Without a name: the first that is not ready."""
        if upstream is not None:
            return self._upstreams[upstream].not_ready()
        found = (each.not_ready() for each in self._upstreams.values())
        return next((problem for problem in found if problem), None)

    def open_circuits(self) -> dict[str, int]:
        """With the upstream's name before the model's, where there are several."""
        if len(self._upstreams) == 1:
            return next(iter(self._upstreams.values())).open_circuits()
        return {
            f"{name}: {model}": seconds
            for name, upstream in self._upstreams.items()
            for model, seconds in upstream.open_circuits().items()
        }

    async def complete(
        self, request: ChatRequest, idempotency_key: str, relay: Relay
    ) -> UpstreamResult:
        upstream = self._upstreams[request.target.upstream]
        return await upstream.complete(request, idempotency_key, relay)

    async def close(self) -> None:
        await asyncio.gather(*(each.close() for each in self._upstreams.values()))
