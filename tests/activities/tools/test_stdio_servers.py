"""Servers as processes: what they do must neither stop, nor fill, nor fool the worker."""

import asyncio
import importlib
import json
import os
import resource
import shlex
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from activities.tools.called_tool import CalledTool
from activities.tools.exceptions import ToolAsks, ToolBroke, ToolTimedOut, ToolUnreachable
from activities.tools.mcp import stdio_transport, unasked
from durable_agent_team.contracts.tool_kinds import CommandServer
from tests.activities.programs.support import is_running
from tests.activities.tools.support import TOKEN, hostile, sessions

Caller = Callable[..., Coroutine[Any, Any, CalledTool]]


@asynccontextmanager
async def calling(server: CommandServer, **worker: str) -> AsyncIterator[Caller]:
    async with sessions({"PATH": os.environ["PATH"], **worker}) as opened:

        async def call(name: str, value: Any = "", seconds: float = 10, **more: Any) -> CalledTool:
            async with opened.connection("it", server) as connection:
                return await connection.call(name, {"value": str(value), **more}, {}, seconds)

        yield call


async def test_one_process_serves_many_calls_at_once() -> None:
    async with calling(hostile()) as call:
        results = await asyncio.gather(*(call("echo", number) for number in range(20)))
        assert [each.text for each in results] == [str(number) for number in range(20)]
        assert (await call("slow", 0)).text == "slow 21"


async def test_it_gets_what_env_names_and_nothing_else() -> None:
    server = hostile(env={"HOSTILE_TOKEN": "$FILES_TOKEN", "DOCS": "$DOCS"}, directory="/tmp")
    worker = {
        "FILES_TOKEN": TOKEN,
        "DOCS": "/srv/documents",
        "ATXP_API_KEY": "parent",
        "HOME": "/h",
    }
    async with calling(server, **worker) as call:
        found = await call("env")
        assert TOKEN not in found.text
        given = json.loads(found.text)
        assert (await call("where")).text == "/tmp"
    assert given.pop("HOSTILE_TOKEN") == "[key]"
    assert given.pop("DOCS") == "/srv/documents"
    assert set(given) <= {"PATH", "HOME", "LANG", "LC_CTYPE"}


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("$MISSING", "`env` of the server names $MISSING for X, which the worker's environment"),
        ("$CRM_API_KEY", "write `env: {X: $AGENTS_CRM_KEY}`"),
        ("$ATXP_API_KEY", "`env` of the server names $ATXP_API_KEY, which no server gets"),
    ],
)
async def test_a_variable_that_it_cannot_get_is_named(source: str, says: str) -> None:
    async with calling(hostile(env={"X": source}), ATXP_API_KEY="parent") as call:
        with pytest.raises(ToolUnreachable, match="the server 'it'") as caught:
            await call("echo")
    assert says in str(caught.value)
    assert caught.value.final


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("no-such-program",), "no-such-program: No such file or directory"),
        (("sh", "-c", "echo out of luck >&2; exit 3"), "exit code 3; it said: out of luck"),
        (("sh", "-c", "exit 0"), "it ended with exit code 0"),
    ],
)
async def test_a_server_that_does_not_start_says_why(command: tuple[str, ...], says: str) -> None:
    async with calling(CommandServer(command=command)) as call:
        with pytest.raises(ToolUnreachable) as caught:
            await call("echo")
    assert says in str(caught.value)
    assert caught.value.final


async def test_an_address_that_a_server_says_is_whole() -> None:
    """As `mcp-remote` says where to sign in, before it waits."""
    address = f"https://issuer.example/authorize?{'a' * 400}"
    text = f"{'b ' * 500}{address} {'c' * 300}"
    command = ("sh", "-c", f"echo '{text}' >&2; sleep 60")
    async with calling(CommandServer(command=command, connect_seconds=4)) as call:
        with pytest.raises(ToolUnreachable) as caught:
            await call("echo")
    assert f"it said: {address} c" in str(caught.value)


async def test_a_server_that_never_answers_is_given_up_after_connect_seconds() -> None:
    async with calling(CommandServer(command=("sleep", "60"), connect_seconds=0.3)) as call:
        with pytest.raises(ToolUnreachable, match="did not answer within") as caught:
            await call("echo")
    assert not caught.value.final


async def test_one_that_may_have_been_installing_itself_says_what_to_do(tmp_path: Path) -> None:
    """Its next start would begin the installation again."""
    npx = tmp_path / "npx"
    npx.write_text("#!/bin/sh\nsleep 60\n")
    npx.chmod(0o755)
    async with calling(CommandServer(command=(str(npx), "-y", "it"), connect_seconds=0.3)) as call:
        with pytest.raises(ToolUnreachable, match=rf"run `{npx} -y it` once yourself"):
            await call("echo")


async def test_a_server_that_ends_when_it_is_probed_is_started_again(tmp_path: Path) -> None:
    dies = tmp_path / "died"
    server = hostile(env={"HOSTILE_DIES": "$DIES"})
    async with calling(server, DIES=str(dies)) as call:
        assert (await call("echo", "hello")).text == "hello"
    assert dies.exists()


async def test_a_server_that_dies_in_a_call_may_have_run_it_and_is_started_anew() -> None:
    server = hostile(env={"HOSTILE_TOKEN": "$FILES_TOKEN"})
    async with calling(server, FILES_TOKEN=TOKEN) as call:
        first, second = await asyncio.gather(
            call("slow", 0.2), call("half_answer"), return_exceptions=True
        )
        assert isinstance(first, CalledTool)
        assert isinstance(second, ToolBroke)
        assert second.sent
        with pytest.raises(ToolBroke) as caught:
            await call("die")
        assert caught.value.sent
        assert "exit code 7; it said: dying with [key]" in str(caught.value)
        assert (await call("echo", "again")).text == "again"


async def test_a_tool_that_hangs_is_timed_out_and_its_process_is_not_used_again() -> None:
    async with calling(hostile()) as call:
        with pytest.raises(ToolTimedOut, match="no result within") as caught:
            await call("slow", 60, 0.3)
        assert caught.value.sent
        assert (await call("slow", 0)).text == "slow 1"  # of a new process


async def test_a_call_that_is_cancelled_ends_its_server() -> None:
    async with sessions() as opened, opened.connection("it", hostile()) as connection:
        calling = asyncio.create_task(connection.call("slow", {"value": "60"}, {}, 60))
        await asyncio.sleep(0.1)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        assert connection.retired


@pytest.mark.parametrize("kind", ["message", "tools/list_changed"])
async def test_a_flood_is_stopped(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdio_transport, "MAX_UNASKED_BYTES", 5_000_000)
    async with calling(hostile()) as call:
        with pytest.raises(ToolBroke, match="too much that is no answer") as caught:
            await call("flood", kind, 30)
        assert caught.value.sent
        assert (await call("echo", "x")).text == "x"


ANSWER = '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"%s"}]}}'


async def test_a_flood_of_answers_that_nobody_asked_for_is_stopped() -> None:
    async with calling(hostile()) as call:
        flood = [[60_000, ANSWER % ("999999", "x")]]
        with pytest.raises(ToolBroke, match="too much that is no answer"):
            await call("plays", json.dumps(flood), 30)
        late = [ANSWER % ("999999", "x"), ANSWER % ("null", "y"), ANSWER % ('"a"', "z")]
        assert (await call("plays", json.dumps(late))).text == "[]"
        twice = [ANSWER % ("$ID", "first"), ANSWER % ("$ID", "second")]
        assert (await call("plays", json.dumps(twice))).text == "first"


async def test_a_proxy_that_had_no_answer_does_not_know_whether_the_tool_has_run() -> None:
    """In a result, as the SDKs make of an exception in a tool."""
    said = ANSWER % ("$ID", "MCP error -32001: Request timed out")
    async with calling(hostile()) as call:
        assert (await call("plays", json.dumps([said]))).text.endswith("timed out")
        failed = said.replace('"content"', '"isError":true,"content"')
        with pytest.raises(ToolBroke, match="a server behind this one did not answer") as caught:
            await call("plays", json.dumps([failed]))
    assert caught.value.sent


async def test_what_is_said_in_a_long_call_is_forgotten_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A tool that runs for a day may report for a day, and its server may send a ping each now and
    then."""
    monkeypatch.setattr(unasked, "FORGOTTEN_IN", 0.5)
    monkeypatch.setattr(stdio_transport, "MAX_UNASKED_BYTES", 50_000)
    monkeypatch.setattr(stdio_transport, "MAX_UNASKED_MESSAGES", 20)
    progress = {"method": "notifications/progress", "params": {"message": "x" * 10_000}}
    said = [json.dumps({"jsonrpc": "2.0", **progress}), request("ping"), 0.3]
    async with calling(hostile()) as call:
        assert (await call("plays", json.dumps(said * 10))).text == "[]"


@pytest.mark.parametrize("number", ['"$ID"', "$ID.0"])
async def test_a_number_may_come_back_as_another_type(number: str) -> None:
    async with calling(hostile()) as call:
        assert (await call("plays", json.dumps([ANSWER % (number, "it")]))).text == "it"
        bad = f'{{"jsonrpc":"2.0","id":{number},"result":[1]}}'
        with pytest.raises(ToolBroke, match="no JSON-RPC response"):
            await call("plays", json.dumps([bad]))


def request(method: str, number: str = '"q"', **params: Any) -> str:
    params = {"message": "?", "messages": [], "maxTokens": 1, "requestedSchema": {}, **params}
    return f'{{"jsonrpc":"2.0","id":{number},"method":"{method}","params":{json.dumps(params)}}}'


URL_MODE = {"mode": "url", "url": "https://x.example", "elicitationId": "1"}


@pytest.mark.parametrize(
    ("method", "more", "code"),
    [
        ("ping", {}, None),
        ("sampling/createMessage", {}, -32600),
        ("roots/list", {}, -32600),
        ("elicitation/create", URL_MODE, -32600),
        ("no/such", {}, -32601),
    ],
)
async def test_a_request_in_the_middle_of_a_call_is_answered_and_nothing_else(
    method: str, more: dict[str, Any], code: int | None
) -> None:
    """Also one with the number of the call."""
    steps = [request(method, **more), None, request("ping", "$ID"), None]
    async with calling(hostile()) as call:
        [answered, same] = json.loads((await call("plays", json.dumps(steps))).text)
    assert answered["id"] == "q"
    assert answered.get("error", {}).get("code") == code
    assert same["result"] == {}


async def test_progress_does_not_keep_a_call_alive() -> None:
    steps = ['{"jsonrpc":"2.0","method":"notifications/progress","params":{}}', 0.1] * 100
    async with calling(hostile()) as call:
        with pytest.raises(ToolTimedOut):
            await call("plays", json.dumps(steps), 0.5)


async def test_a_server_that_closes_its_output_and_lives_on_is_seen() -> None:
    async with calling(hostile()) as call:
        before = time.perf_counter()
        with pytest.raises(ToolBroke, match="it closed its output"):
            await call("plays", json.dumps(["close", 30]), 20)
        assert time.perf_counter() - before < 10


async def test_what_a_server_prints_beside_its_messages_is_passed_over() -> None:
    async with calling(hostile()) as call:
        assert (await call("chatter")).text == "chatter 1"


async def test_20_mb_in_one_line_take_neither_time_nor_memory() -> None:
    """The transport of the package takes 49 s for it."""
    async with calling(hostile()) as call:
        await call("echo")
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.thread_time()
        large = await call("big", 20_000_000, 60)
        seconds = time.thread_time() - began
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert large.is_error
        assert "20000077 bytes" in large.text
        assert seconds < 10
        assert grown < 40 * 1024, f"{grown} KB"
        assert len((await call("big", 1_000_000)).text) == 1_000_000


async def test_a_result_of_half_a_million_blocks_holds_nobody() -> None:
    """The package checks each block against every kind, twice: 100,000 take ten seconds."""
    async with calling(hostile()) as call:
        await call("echo")
        began = time.thread_time()
        result = await call("blocks", 500_000)
        assert time.thread_time() - began < 2
        assert "490000 more blocks of content, not shown" in result.text


@pytest.mark.parametrize("levels", [300, 900, 2_000])
async def test_a_deep_result_is_one_or_cannot_be_read(levels: int) -> None:
    async with calling(hostile()) as call:
        try:
            text = (await call("deep", levels)).text
        except ToolBroke as error:
            text = str(error)
        assert text.startswith(('{"a": {"a": ', "the server's answer is no JSON"))
        assert (await call("echo", "on")).text == "on"


async def test_what_is_written_to_standard_error_holds_nobody() -> None:
    async with calling(hostile()) as call:
        assert (await call("stderr", 3_000_000)).text == "stderr 1"


@pytest.mark.parametrize("name", ["garbage", "nested"])
async def test_an_answer_that_cannot_be_read_may_have_run(name: str) -> None:
    async with calling(hostile()) as call:
        with pytest.raises(ToolBroke, match="no JSON") as caught:
            await call(name)
        assert caught.value.sent
        assert (await call("echo", "on")).text == "on"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("control", "a\\x00b\\x1b]52;c;AAAA\\x07c\\x9bd\ttab\nline"),
        ("surrogate", "cut \ufffd"),
        ("wrong_shape", "[hologram of an unknown kind, not shown]"),
        ("structured", '{"total": 3, "names": ["a", "b", "c"]}'),
        (
            "kinds",
            "a picture\n[resource: file:///b.txt]\nb\n[image: image/png, 3000 bytes, not shown]\n"
            "[resource: a.txt, file:///a.txt]\n"
            "[resource: file:///c.bin, x/y, 300 bytes, not shown]",
        ),
    ],
)
async def test_results_of_every_kind_become_one_text(name: str, text: str) -> None:
    async with calling(hostile()) as call:
        assert await call(name) == CalledTool(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("internal", "error -32603: boom"),
        ("server_error", "error -32000: the disk is full"),
        ("unknown", "unknown 1"),
    ],
)
async def test_an_error_of_the_server_is_a_result(name: str, text: str) -> None:
    async with calling(hostile()) as call:
        assert (await call(name)).text == text


@pytest.mark.parametrize(
    ("name", "kind", "url", "amount"),
    [
        ("atxp", "payment", "https://auth.atxp.ai/payment-request/1", "0.05"),
        ("atxp_text", "payment", "https://auth.atxp.ai/payment-request/2", ""),
        ("mpp", "payment", "https://api.example", "25 usd tempo"),
        ("x402", "payment", "https://pay.example/report", "10000 atomic units of USDC on base"),
        ("sign_in", "sign_in", "https://login.example/start?x=1", ""),
    ],
)
async def test_a_demand_is_never_a_result(name: str, kind: str, url: str, amount: str) -> None:
    async with calling(hostile()) as call:
        with pytest.raises(ToolAsks) as caught:
            await call(name)
    asked = caught.value.demand
    assert (asked.kind, asked.url, asked.amount) == (kind, url, amount)
    assert not caught.value.sent


async def test_what_a_server_asks_a_person_is_refused() -> None:
    async with calling(hostile()) as call:
        said = json.loads((await call("ask")).text)
    assert said["error"]["message"] == "Elicitation not supported"


async def test_nothing_of_it_is_left_when_it_is_closed() -> None:
    server = CommandServer(command=("sh", "-c", f"{shlex.join(hostile().command)}; true"))
    async with calling(server) as call:
        child = int((await call("child")).text)
        assert is_running(child)
    assert not is_running(child)


async def test_it_is_closed_when_nobody_uses_it() -> None:
    async with sessions(idle_seconds=0.2) as opened:
        async with opened.connection("it", hostile()) as connection:
            await asyncio.sleep(0.5)
            assert not connection.ended.is_set()
        await asyncio.wait_for(connection.ended.wait(), 10)


async def test_a_stateful_server_has_a_session_for_each_conversation() -> None:
    server = hostile(stateful=True)
    async with sessions() as opened:

        async def count(conversation: str) -> tuple[str, str]:
            async with opened.connection("it", server, conversation) as connection:
                called = await connection.call("slow", {"value": "0"}, {}, 10)
                return connection.id, called.text

        first, second, other = await count("a"), await count("a"), await count("b")
    assert (first[1], second[1], other[1]) == ("slow 1", "slow 2", "slow 1")
    assert first[0] == second[0] != other[0]


async def test_code_that_changed_under_a_worker_is_not_called_a_missing_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(_: str) -> None:
        raise ImportError("cannot import name 'x' from 'activities.y'")

    async with calling(hostile()) as call:
        monkeypatch.setattr(importlib, "import_module", fails)
        with pytest.raises(ToolUnreachable, match=r"cannot import name 'x'.*start it again"):
            await call("echo")
        monkeypatch.setattr(importlib, "import_module", _no_mcp)
        with pytest.raises(ToolUnreachable, match="the package `mcp` is not installed"):
            await call("echo")


def _no_mcp(_: str) -> None:
    raise ModuleNotFoundError("No module named 'mcp'", name="mcp")
