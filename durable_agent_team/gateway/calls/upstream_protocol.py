"""What a call needs from an upstream. Implemented in `upstreams`."""

from typing import Protocol

from durable_agent_team.gateway.calls.answer import UpstreamResult
from durable_agent_team.gateway.calls.chat_request import ChatRequest
from durable_agent_team.gateway.calls.relay import Relay


class Upstream(Protocol):
    def not_ready(self, upstream: str | None = None) -> str | None:
        """Why no call can be made now; None if it is ready. `upstream`: of that one only, where
        there are several."""

    def open_circuits(self) -> dict[str, int]:
        """Models that it refuses to call for now, and for how many seconds."""

    async def complete(
        self, request: ChatRequest, idempotency_key: str, relay: Relay
    ) -> UpstreamResult:
        """Makes the request once. It does not retry, since each attempt may cost.

        Chunks of a streamed answer that the client may receive at once go to `relay`.
        """

    async def close(self) -> None: ...
