"""The package's dispatcher, which keeps what a server has answered as it came, from the session.

A session checks a result against its protocol's version and refuses one that is slightly off, such
as a content block of a kind that is not in it. By then the tool has run. The check takes
milliseconds for a hundred blocks, in which the worker does nothing else, and a result may have a
million.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

from mcp.shared.dispatcher import CallOptions
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.transport_context import TransportContext
from mcp_types import RequestId

ANSWERS: Final[ContextVar[list[dict[str, Any]] | None]] = ContextVar("answers", default=None)
"""Gets the answer of each request that is made in its context, in the session's place."""


class RawDispatcher(JSONRPCDispatcher[TransportContext]):
    async def send_raw_request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        opts: CallOptions | None = None,
        *,
        _related_request_id: RequestId | None = None,
    ) -> dict[str, Any]:
        answer = await super().send_raw_request(
            method, params, opts, _related_request_id=_related_request_id
        )
        kept = ANSWERS.get()
        if kept is None:
            return answer
        kept.append(answer)
        return {}
