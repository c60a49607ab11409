"""Servers of 2026-07-28, made with the official package, by HTTP."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import uvicorn
from mcp.server.mcpserver import MCPServer

from activities.tools.mcp.sessions import McpSessions
from durable_agent_team.contracts.tool_kinds import UrlServer
from tests.activities.tools.support import sessions
from tests.support.ports import lasting_ports


def made() -> MCPServer:
    server: MCPServer = MCPServer("newest", log_level="CRITICAL")

    @server.tool()
    async def add(a: int, b: int) -> int:
        """Adds two numbers."""
        return a + b

    @server.tool()
    async def fails() -> str:
        """Fails."""
        raise ValueError("no luck")

    return server


@pytest.fixture
async def opened() -> AsyncIterator[tuple[McpSessions, UrlServer]]:
    [port] = lasting_ports(1)
    app = made().streamable_http_app(streamable_http_path="/mcp")
    config = uvicorn.Config(app, port=port, log_level="critical", access_log=False)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    async with sessions() as made_sessions:
        yield made_sessions, UrlServer(url=f"http://127.0.0.1:{port}/mcp")
    server.should_exit = True
    await serving


async def test_tools_are_listed_and_called(opened: tuple[McpSessions, UrlServer]) -> None:
    made_sessions, url = opened
    async with made_sessions.listed("it", url, fresh=True) as (connection, tools):
        assert not connection.is_legacy
        assert tools["add"].description == "Adds two numbers."
        results = await asyncio.gather(
            *(connection.call("add", {"a": number, "b": 1}, {}, 10) for number in range(10))
        )
        assert [each.text for each in results] == [str(number + 1) for number in range(10)]
        failed = await connection.call("fails", {}, {}, 10)
        assert failed.is_error
        wrong = await connection.call("add", {"a": "x"}, {}, 10)
        assert wrong.is_error
