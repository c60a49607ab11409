"""How a session begins: by which version of the protocol, as whom, and through which proxy."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import httpx2
import mcp_types as types
from mcp.client.session import ClientSession
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from durable_agent_team.providers.proxies import proxy_rules

OWN_NAME: Final = "durable-agent-team"


async def negotiate(session: ClientSession, *, legacy: bool) -> None:
    """The newest version that both know. A server that does not know `server/discover` is of
    2025-11-25 or older, and is initialized."""
    if not legacy:
        try:
            await session.discover()
            return
        except (MCPError, RuntimeError, ValidationError) as error:
            if isinstance(error, MCPError) and error.message == "Connection closed":
                raise
    try:
        await session.initialize()
    except MCPError as error:
        if error.code != types.UNSUPPORTED_PROTOCOL_VERSION:
            raise
        await session.discover()  # it was too slow for the first question, and knows no other


def proxy_of(url: str, worker: Mapping[str, str]) -> str | None:
    address = httpx2.URL(url)
    return proxy_rules(worker).proxy_of(address.scheme, address.host, address.port)


def own_version() -> str:
    try:
        return version(OWN_NAME)
    except PackageNotFoundError:
        return "0"
