"""Servers by HTTP: refusals, broken connections, sizes, and what came of the call."""

import asyncio
import json
import resource
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from activities.tools.called_tool import CalledTool
from activities.tools.exceptions import (
    ToolAsks,
    ToolBroke,
    ToolError,
    ToolTimedOut,
    ToolUnreachable,
)
from activities.tools.mcp import bounded_events, bounded_http
from activities.tools.mcp.answers import SessionGone
from activities.tools.mcp.sessions import McpSessions
from durable_agent_team.contracts.tool_kinds import UrlServer
from tests.activities.tools import hostile_server
from tests.activities.tools.hostile_http import HostileHttp, hostile_http
from tests.activities.tools.support import TOKEN, sessions
from tests.support.ports import lasting_ports

Caller = Callable[..., Coroutine[Any, Any, CalledTool]]


def caller(opened: McpSessions, server: UrlServer) -> Caller:
    async def call(name: str, value: Any = "", seconds: float = 10) -> CalledTool:
        async with opened.connection("it", server) as connection:
            return await connection.call(name, {"value": str(value)}, {}, seconds)

    return call


@asynccontextmanager
async def calling(**changes: Any) -> AsyncIterator[tuple[HostileHttp, Caller]]:
    async with hostile_http() as server, sessions({"CRM_AUTH": TOKEN}) as opened:
        yield server, caller(opened, UrlServer(url=server.url, **changes))


async def test_headers_go_with_every_request_and_nowhere_else() -> None:
    async with calling(headers={"Authorization": "Bearer $CRM_AUTH"}) as (server, call):
        assert (await call("echo", f"it is {TOKEN}")).text == "it is [key]"
    posts = [headers for method, headers, _ in server.seen if method == "POST"]
    assert {each["Authorization"] for each in posts} == {f"Bearer {TOKEN}"}
    assert server.seen[-1][0] == "DELETE"  # the session is ended


@pytest.mark.parametrize(
    ("status", "kind", "sent"),
    [
        (400, ToolBroke, True),
        (401, ToolUnreachable, False),
        (403, ToolUnreachable, False),
        (404, SessionGone, False),
        (405, ToolUnreachable, False),
        (409, ToolBroke, True),
        (413, ToolUnreachable, False),
        (429, ToolUnreachable, False),
        (500, ToolBroke, True),
        (502, ToolBroke, True),
        (503, ToolBroke, True),
        (504, ToolBroke, True),
    ],
)
async def test_a_refusal_says_whether_the_tool_may_have_run(
    status: int, kind: type[ToolError], sent: bool
) -> None:
    async with calling() as (_, call):
        with pytest.raises(kind, match=f"status {status}") as caught:
            await call("status", status)
        assert caught.value.sent is sent
        assert (await call("echo", "on")).text == "on"


@pytest.mark.parametrize(
    ("name", "value", "kind", "sent"),
    [
        ("drop", "", ToolBroke, True),
        ("lies", "", ToolBroke, True),
        ("events", "end", ToolBroke, True),
        ("events", "garbage", ToolBroke, True),
        ("events", "flood", ToolBroke, True),
        ("compressed", "", ToolBroke, True),
        ("page", "", ToolBroke, True),
        ("accepted", "", ToolBroke, True),
        ("redirect", "", ToolUnreachable, False),
        ("slow", "60", ToolTimedOut, True),
    ],
)
async def test_trouble_in_a_call_harms_no_other_call(
    name: str, value: str, kind: type[ToolError], sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a connection breaks, the package ends every call of the session."""
    if value == "flood":
        monkeypatch.setattr(bounded_events, "MAX_STREAM_BYTES", 3_000_000)
    async with calling() as (_, call):
        beside = asyncio.create_task(call("slow", 1))
        with pytest.raises(kind) as caught:
            await call(name, value, 0.5 if name == "slow" else 30)
        assert caught.value.sent is sent
        assert (await beside).text == "1"


@pytest.mark.parametrize("kind", ["json", "events"])
async def test_20_mb_take_neither_time_nor_memory(kind: str) -> None:
    async with calling() as (_, call):
        await call("echo")
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.thread_time()
        large = await call("big", f"{kind} 20000000", 60)
        seconds = time.thread_time() - began
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert large.is_error
        assert "more than is read" in large.text
        assert seconds < 10
        assert grown < 60 * 1024, f"{grown} KB"
        fits = await call("big", f"{kind} 2000000")
        assert len(fits.text) + fits.left_out == 2_000_000


async def test_a_stream_that_ends_before_its_answer_is_continued_and_the_call_is_sent_once() -> (
    None
):
    async with calling() as (server, call):
        assert (await call("resumes")).text == "resumed"
    assert server.calls == 1
    asked = [headers for _, headers, _ in server.seen if "Last-Event-ID" in headers]
    assert [each["Last-Event-ID"] for each in asked] == ["e-1"]


RESULT = 'data: {"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"%s"}]}}\n\n'
PROGRESS = 'data: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n\n'
PING = 'data: {"jsonrpc":"2.0","id":"p$N","method":"ping"}\n\n'


async def test_progress_with_the_numbers_of_its_events_is_no_flood() -> None:
    """A server that can continue a stream gives each event one."""
    steps = [[5_000, f"id: e-$N\n{PROGRESS}"], RESULT % ("$ID", "done")]
    async with calling() as (server, call):
        assert (await call("plays", json.dumps(steps))).text == "done"
        result = RESULT % (4, "resumed")
        server.kept["e-4999"] = result.encode()
        assert (await call("plays", json.dumps(steps[:1]))).text == "resumed"
        server.kept["e-9"] = result.replace("4", "5").encode()
        steps = [[10, f"id: e-$N\n{PROGRESS}"], "break"]
        assert (await call("plays", json.dumps(steps))).text == "resumed"


async def test_progress_that_is_too_long_is_left_out() -> None:
    """It is not taken for a result that is too long: the tool has not ended."""
    head, tail = PROGRESS.replace("{}", '{"message":"$"}').split("$")
    steps = [f"id: e-$N\n{head}", [900, "y" * 10_000], tail, 0.1, RESULT % ("$ID", "done")]
    async with calling() as (_, call):
        assert (await call("plays", json.dumps(steps), 30)).text == "done"
        steps[0] = RESULT.partition("%s")[0] + "$ID"
        assert "more than is read" in (await call("plays", json.dumps(steps), 30)).text


async def test_an_answer_to_another_request_is_not_the_result() -> None:
    steps = [RESULT % (1, "late"), RESULT % ('"x"', "odd"), RESULT % ('"$ID"', "own")]
    async with calling() as (_, call):
        assert (await call("plays", json.dumps(steps))).text == "own"


async def test_a_server_that_takes_no_answers_holds_no_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounded_http, "TAKEN_SECONDS", 0.3)
    async with calling() as (server, call):
        await call("echo")
        server.holds = True
        steps = [[100, PING], RESULT % ("$ID", "done")]
        assert (await call("plays", json.dumps(steps))).text == "done"
        assert (await call("echo", "on", 5)).text == "on"
    answers = [said for _, _, said in server.seen if said and "method" not in said]
    assert [each["id"] for each in answers] == ["p0"]


async def test_a_server_that_does_not_end_a_session_does_not_hold_the_end_of_the_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounded_http, "TAKEN_SECONDS", 0.3)
    async with calling() as (server, call):
        await call("echo")
        server.holds = True
        before = time.perf_counter()
    assert time.perf_counter() - before < 30, "it holds them for 60"
    assert server.seen[-1][0] == "DELETE"


async def test_a_redirect_is_not_followed_and_says_where_it_leads() -> None:
    async with calling() as (_, call):
        with pytest.raises(ToolUnreachable, match="redirects to http://elsewhere"):
            await call("redirect")


async def test_a_request_in_a_stream_is_answered_by_itself() -> None:
    asked = PING.replace("ping", "sampling/createMessage")
    steps = [PING, asked.replace("p$N", "q"), 0.3, RESULT % ("$ID", "done")]
    async with calling() as (server, call):
        assert (await call("plays", json.dumps(steps))).text == "done"
    answers = {said["id"]: said for _, _, said in server.seen if said and "method" not in said}
    assert answers["p0"]["result"] == {}
    assert answers["q"]["error"]["code"] == -32602
    assert server.calls == 1


async def test_a_stream_that_ends_at_once_is_not_asked_for_all_the_time() -> None:
    ends = ["id: e\nretry: 0\ndata:\n\n"]
    async with calling() as (server, call):
        server.stream = ends
        with pytest.raises(ToolTimedOut):
            await call("plays", json.dumps(ends), 1.5)
    assert 2 <= sum(method == "GET" for method, _, _ in server.seen) <= 10


async def test_a_session_id_that_is_no_header_is_said_to_be_one() -> None:
    async with hostile_http() as server, sessions() as opened:
        server.session = "se\u00dfion"
        call = caller(opened, UrlServer(url=server.url))
        with pytest.raises(ToolUnreachable, match="its session id has characters"):
            await call("echo")


async def test_a_half_of_a_character_in_an_event_stream_is_replaced() -> None:
    async with calling() as (_, call):
        assert (await call("events", "half")).text == "\ufffd"


@pytest.mark.parametrize("name", ["atxp", "mpp", "sign_in", "x402"])
async def test_a_demand_parks(name: str) -> None:
    async with calling() as (_, call):
        with pytest.raises(ToolAsks) as caught:
            await call(name)
    assert caught.value.demand.url
    assert not caught.value.sent


async def test_a_server_that_wants_money_before_it_talks_asks() -> None:
    async with calling() as (server, call):
        server.refuses = web.json_response(hostile_server.X402, status=402)
        with pytest.raises(ToolAsks, match="10000 atomic units of USDC on base"):
            await call("echo")


async def test_a_refusal_for_a_person_reaches_no_model_as_a_json_rpc_error() -> None:
    """Servers send both: the status says what is missing, and the error only "Unauthorized"."""
    said = {"jsonrpc": "2.0", "id": None, "error": {"code": -32001, "message": "Unauthorized"}}
    scope = {"www-authenticate": 'Bearer error="insufficient_scope", scope="pay"'}
    coins = {"www-authenticate": 'Payment id="a", realm="shop.example", method="card"'}
    async with calling() as (server, call):
        assert (await call("echo", "on")).text == "on"
        server.refuses = web.json_response(said, status=401)
        with pytest.raises(ToolUnreachable, match="status 401: give it a valid token"):
            await call("echo")
        server.refuses = web.json_response(said, status=403, headers=scope)
        with pytest.raises(ToolUnreachable, match="status 403: give it a valid token"):
            await call("echo")
        server.refuses = web.json_response(said, status=402, headers=coins)
        with pytest.raises(ToolAsks, match=r"to be paid card at https://shop\.example"):
            await call("echo")


@pytest.mark.parametrize("status", [502, 504])
async def test_a_gateway_without_an_answer_says_nothing_of_the_tool(status: int) -> None:
    """Some send a JSON-RPC error with it, which is not the tool's."""
    said = {"jsonrpc": "2.0", "id": None, "error": {"code": -32603, "message": "no upstream"}}
    async with calling() as (server, call):
        assert (await call("echo", "on")).text == "on"
        server.refuses = web.json_response(said, status=status)
        with pytest.raises(ToolBroke, match=f"status {status}") as caught:
            await call("echo")
    assert caught.value.sent


async def test_a_server_that_refuses_the_token_says_so() -> None:
    async with calling(headers={"Authorization": "$CRM_AUTH"}) as (server, call):
        challenge = {"www-authenticate": f'Bearer realm="{TOKEN}"'}
        server.refuses = web.Response(status=401, headers=challenge)
        with pytest.raises(ToolUnreachable, match="status 401: give it a valid token") as caught:
            await call("echo")
    assert TOKEN not in str(caught.value)
    assert caught.value.final


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize("before", [0, 280], ids=["whole", "at the cut"])
async def test_a_refusal_that_repeats_the_token_does_not_show_it(status: int, before: int) -> None:
    async with calling(headers={"Authorization": "$CRM_AUTH"}) as (server, call):
        assert (await call("echo", "on")).text == "on"
        server.refuses = web.Response(status=status, text=f"{'-' * before} bad token {TOKEN}")
        with pytest.raises(ToolError, match=f"status {status}: ") as caught:
            await call("echo")
    assert TOKEN[:4] not in str(caught.value)


async def test_a_demand_that_repeats_the_token_does_not_show_it() -> None:
    async with calling(headers={"Authorization": "$CRM_AUTH"}) as (server, call):
        assert (await call("echo", "on")).text == "on"
        page = f"pay at https://pay.example/?of={TOKEN}"
        server.refuses = web.Response(status=402, text=page)
        with pytest.raises(ToolAsks, match=r"to be paid at https://pay\.example") as caught:
            await call("echo")
    assert TOKEN not in f"{caught.value} {caught.value.demand}"


METADATA = "https://crm.example/.well-known/oauth-protected-resource/mcp"


async def test_a_refused_token_says_who_issues_another_and_where_it_belongs() -> None:
    """RFC 9728: the `resource_metadata` of the challenge, or the well-known address."""
    named = {"www-authenticate": f'Bearer resource_metadata="{METADATA}", scope="crm.read"'}
    headers = {"Authorization": "Bearer $CRM_AUTH"}
    async with calling(headers=headers) as (server, call):
        await call("echo", "hello")
        server.refuses = web.Response(status=401, headers=named)
        with pytest.raises(ToolUnreachable) as caught:
            await call("echo")
        assert f"{METADATA} says who issues tokens (scope: crm.read)" in str(caught.value)
        assert "set CRM_AUTH where the worker is started" in str(caught.value)
        assert "then `retry`" in str(caught.value)
    async with calling() as (server, call):
        server.refuses = web.Response(status=401, headers={"www-authenticate": "Bearer"})
        with pytest.raises(ToolUnreachable, match="then `retry`") as caught:
            await call("echo")
        assert "/.well-known/oauth-protected-resource/mcp says who issues" in str(caught.value)


@pytest.mark.parametrize(("status", "final"), [(404, False), (405, True)])
async def test_an_address_without_a_server_is_said_to_be_one(status: int, final: bool) -> None:
    """Such as a wrong path, or a server of the older transport over SSE."""
    async with calling() as (server, call):
        server.refuses = web.Response(status=status, text="page not found")
        with pytest.raises(ToolUnreachable, match=f"'it': .* {status}, .* correct `url`") as caught:
            await call("echo")
    assert caught.value.final is final


async def test_a_server_that_is_not_there_may_be_there_later() -> None:
    [port] = lasting_ports(1)
    async with sessions() as opened:
        call = caller(opened, UrlServer(url=f"http://127.0.0.1:{port}/mcp"))
        with pytest.raises(ToolUnreachable, match="it does not answer") as caught:
            await call("echo")
    assert not caught.value.final


def not_found(code: int, number: Any) -> web.Response:
    """As the official servers answer: the Python one with -32600, the TypeScript one -32001."""
    said = {"code": code, "message": "Session not found"}
    return web.json_response({"jsonrpc": "2.0", "id": number, "error": said}, status=404)


@pytest.mark.parametrize(
    "no_session",
    [
        lambda: web.Response(status=404, text="no such session"),
        lambda: not_found(-32600, "server-error"),
        lambda: not_found(-32001, None),
        lambda: not_found(-32601, 2),
    ],
    ids=["text", "python", "typescript", "method"],
)
async def test_a_session_that_the_server_forgot_is_begun_anew(
    no_session: Callable[[], web.Response],
) -> None:
    async with hostile_http() as server, sessions() as opened:
        server.no_session = no_session
        url = UrlServer(url=server.url)
        for _ in range(2):
            async with opened.listed("it", url, fresh=True) as (connection, tools):
                assert "echo" in tools
                await connection.call("echo", {"value": "x"}, {}, 5)
            server.sessions.clear()
    assert server.calls == 2


async def test_a_server_that_forgets_each_session_is_named() -> None:
    """As one of several instances does that do not share their sessions."""
    async with hostile_http() as server, sessions() as opened:
        url = UrlServer(url=server.url)
        server.session = "other\t"  # not as it comes back
        with pytest.raises(ToolUnreachable, match="the server 'it': it does not know") as caught:
            async with opened.listed("it", url, fresh=True):
                pass
    assert not caught.value.final
    assert sum(said.get("method") == "initialize" for _, _, said in server.seen if said) == 2


async def test_a_variable_that_is_no_header_is_refused() -> None:
    async with hostile_http() as server, sessions({"CRM_AUTH": "a\r\nb: c"}) as opened:
        call = caller(opened, UrlServer(url=server.url, headers={"Authorization": "$CRM_AUTH"}))
        with pytest.raises(ToolUnreachable, match="`headers` names for Authorization"):
            await call("echo")
