"""The MCP server's HTTP connections: which stay open, and what is answered to whom."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx2
import pytest

from durable_agent_team.mcp_server import timed_connection
from durable_agent_team.mcp_server.server import HttpAddress, make_server, serve_http
from tests.support.ports import lasting_ports

HEAD = b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n"
HALVES = {
    "nothing": b"",
    "half of a request line": b"POST /m",
    "half of the headers": HEAD,
    "half of a body": HEAD + b"Content-Length: 10\r\n\r\n{",
    "half of a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
}


@asynccontextmanager
async def served(token: str | None = None) -> AsyncIterator[int]:
    [port] = lasting_ports(1)
    serving = asyncio.create_task(
        serve_http(make_server({}), HttpAddress("127.0.0.1", port, token))
    )
    try:
        async with asyncio.timeout(20), httpx2.AsyncClient() as http:
            while True:
                try:
                    await http.get(f"http://127.0.0.1:{port}/")
                    break
                except httpx2.ConnectError:
                    await asyncio.sleep(0.05)
        yield port
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def test_a_request_that_never_arrives_whole_is_closed_and_an_answer_takes_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timed_connection, "REQUEST_SECONDS", 0.3)
    async with served() as port:
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20 * len(HALVES))]
        for (_, writer), half in zip(opened, 20 * list(HALVES.values()), strict=True):
            writer.write(half)
        async with asyncio.timeout(10):
            for reader, writer in opened:
                await reader.read()
                writer.close()
        slow = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        begin = (
            b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18",'
            b'"capabilities":{},"clientInfo":{"name":"t","version":"1"}}}'
        )
        async with httpx2.AsyncClient() as http:
            url = f"http://127.0.0.1:{port}/mcp"
            answer = await http.post(url, content=begin, headers=slow)
            assert answer.status_code == 200
            session = {"mcp-session-id": answer.headers["mcp-session-id"], **slow}
            async with http.stream("GET", url, headers=session) as events:
                assert events.status_code == 200
                await asyncio.sleep(1)
                listed = b'{"jsonrpc":"2.0","id":2,"method":"tools/list"}'
                said = await http.post(url, content=listed, headers=session)
                assert b"start_run" in said.content
                assert not events.is_closed


@pytest.mark.parametrize(
    ("given", "challenge"),
    [({}, "Bearer"), ({"authorization": "Bearer wrong"}, 'Bearer error="invalid_token"')],
)
async def test_without_the_token_the_challenge_and_the_codes_are_those_of_rfc_6750(
    given: Mapping[str, str], challenge: str
) -> None:
    async with served("secret") as port, httpx2.AsyncClient() as http:
        answer = await http.post(f"http://127.0.0.1:{port}/mcp", content=b"{}", headers=given)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == challenge
    assert answer.json()["error"] == "invalid_token"
    assert "MCP_TOKEN" in answer.json()["error_description"]
