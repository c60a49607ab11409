"""Results and definitions of servers that are built to hold the worker, or to be unstorable."""

import asyncio
import json
from typing import Any

import pytest
from mcp_types import ToolListChangedNotification

from activities.tools.exceptions import ToolTimedOut, ToolUnreachable
from activities.tools.mcp import connection as connection_module
from activities.tools.mcp.called_result import MAX_BLOCKS, MAX_TEXT, called_tool
from activities.tools.mcp.connection import MAX_LISTED, MAX_PAGES, Connection
from activities.tools.mcp.definitions import server_tool
from activities.tools.mcp.stdio_transport import _parsed
from durable_agent_team.contracts.tool_kinds import CommandServer
from durable_agent_team.rules.tools.result_text import head_and_tail
from tests.support.cpu_time import cpu_within

MOST_SECONDS = 1.0
"""Of CPU time; on a quiet machine each takes less than 0.1. Before, it was 2 to 11 seconds."""
LARGE = 8_000_000


def texts(*said: str, structured: Any = None) -> dict[str, Any]:
    blocks = [{"type": "text", "text": each} for each in said]
    return {"content": blocks, "structuredContent": structured}


BOMBS: dict[str, dict[str, Any]] = {
    "control characters": texts("\x1b" * LARGE),
    "a block for each character": texts(*["x"] * 200_000, structured={"a": 1}),
    "a number in each block": texts(*["[1,2]"] * 100_000, structured=[[1, 2]] * 100_000),
    "one list, twice": texts(f"[{'1,' * (LARGE // 2)}1]", structured={"a": [1, 2]}),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_large_result_is_read_at_once(name: str) -> None:
    with cpu_within(MOST_SECONDS):
        called = called_tool(BOMBS[name])
    assert len(called.text) <= 5 * MAX_TEXT


def test_what_is_left_out_counts_in_what_the_model_is_told() -> None:
    called = called_tool(texts("a" * MAX_TEXT + "é" * MAX_TEXT + "z" * MAX_TEXT))
    assert called.left_out == 3 * MAX_TEXT
    shown = head_and_tail(called.text, 1_000, called.left_out)
    assert len(shown.encode()) <= 1_000
    assert f"of {4 * MAX_TEXT} bytes are left out here" in shown
    assert (shown[0], shown[-1]) == ("a", "z")


def test_blocks_beyond_the_limit_are_counted() -> None:
    assert (
        "[1 more blocks of content, not shown]"
        in called_tool(texts(*["x"] * (MAX_BLOCKS + 1))).text
    )


def test_what_is_nested_too_deeply_to_be_written_is_named() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    called = called_tool({**texts("done"), "structuredContent": deep})
    assert called.text == "done\n[structured content, nested too deeply, not shown]"


def nested(levels: int, inner: str) -> str:
    return '{"a":' * levels + inner + "}" * levels


def line(result: str) -> bytes:
    return f'{{"jsonrpc":"2.0","id":1,"result":{result}}}'.encode(errors="surrogatepass")


LINES = {
    "deep": line(nested(950, "1")),
    "deeper than can be parsed": line(nested(5_000, "1")),
    "deep, with half a character": line(nested(700, '"\\ud800"')),
    "half a character as bytes": line('{"a":"\ud800"}'),
    "a number of 5,000 digits": line('{"a":' + "9" * 5_000 + "}"),
    "bytes that are no text": b'{"jsonrpc":"2.0","id":1,"result":{"a":"\xff"}}',
}


@pytest.mark.parametrize("name", LINES)
def test_a_line_is_an_answer_or_says_why_not(name: str) -> None:
    """Whatever it has, the request with its number ends, and the session goes on."""
    assert _parsed(LINES[name]).id == 1


def test_half_a_character_does_not_come_in() -> None:
    _parsed(LINES["half a character as bytes"]).model_dump_json()


SCHEMAS = {
    "deep": json.loads(nested(300, "1")),
    "NaN": {"const": float("nan")},
    "infinity": {"maximum": float("inf")},
    "half a character": {"\ud800": {}},
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_definition_that_cannot_be_sent_is_left_out(name: str) -> None:
    """In the prompt of its agent, it would fail each call."""
    schema = {"type": "object", "properties": {"a": SCHEMAS[name]}}
    assert server_tool({"name": "x", "inputSchema": schema}) is None


async def test_a_server_with_thousands_of_tools_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is too long is none."""
    connection = Connection("many", CommandServer(command=("true",)), {})
    known = [{"name": f"t{n}", "inputSchema": {"type": "object"}} for n in range(MAX_LISTED + 1)]
    known[0]["name"] = "x" * 1_000_000
    pages: list[dict[str, Any]] = [{"tools": known[:-1], "nextCursor": "2"}, {"tools": known[-1:]}]

    async def page(cursor: str | None, _: float) -> dict[str, Any]:
        return pages[0 if cursor is None else 1]

    monkeypatch.setattr(connection, "_page", page)
    assert len(await connection.tools()) == MAX_LISTED
    known[0]["name"] = "one-more"
    with pytest.raises(ToolUnreachable, match=f"more than {MAX_LISTED} tools"):
        await connection.tools(fresh=True)


async def test_a_list_of_tools_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose next page is the same page ends there."""
    connection = Connection("many", CommandServer(command=("true",)), {})
    asked: list[str | None] = []
    same = False

    async def page(cursor: str | None, _: float) -> dict[str, Any]:
        asked.append(cursor)
        tool = {"name": "echo", "inputSchema": {"type": "object"}}
        return {"tools": [tool], "nextCursor": "again" if same else f"{len(asked)}"}

    monkeypatch.setattr(connection, "_page", page)
    with pytest.raises(ToolUnreachable, match=f"more than {MAX_PAGES} pages"):
        await connection.tools()
    assert len(asked) == MAX_PAGES
    asked, same = [], True
    assert list(await connection.tools(fresh=True)) == ["echo"]
    assert asked == [None, "again"]


async def test_a_list_whose_pages_go_in_a_circle_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Connection("many", CommandServer(command=("true",)), {})
    asked: list[str | None] = []

    async def page(cursor: str | None, _: float) -> dict[str, Any]:
        asked.append(cursor)
        tool = {"name": f"t{cursor}", "inputSchema": {"type": "object"}}
        return {"tools": [tool], "nextCursor": "b" if cursor == "a" else "a"}

    monkeypatch.setattr(connection, "_page", page)
    assert list(await connection.tools()) == ["tNone", "ta", "tb"]
    assert asked == [None, "a", "b"]


async def test_a_list_has_a_time_and_is_asked_for_once_by_all_who_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What changes while it is read makes the next one read it again."""
    monkeypatch.setattr(connection_module, "ALL_PAGES_SECONDS", 0.5)
    connection = Connection("slow", CommandServer(command=("true",)), {})
    asked: list[str | None] = []
    pages, changes = 1, False

    async def page(cursor: str | None, seconds: float) -> dict[str, Any]:
        asked.append(cursor)
        assert seconds <= 0.5
        await asyncio.sleep(0.2)
        if changes:
            await connection._noticed(ToolListChangedNotification())
        tool = {"name": "echo", "inputSchema": {"type": "object"}}
        return {"tools": [tool]} | ({"nextCursor": f"{len(asked)}"} if len(asked) < pages else {})

    monkeypatch.setattr(connection, "_page", page)
    listed = await asyncio.gather(*(connection.tools(fresh=True) for _ in range(10)))
    assert all(list(each) == ["echo"] for each in listed)
    assert len(asked) == 2  # of the first, and of all who asked while it was read
    await connection.tools()
    assert len(asked) == 2
    changes = True
    for _ in range(2):
        await connection.tools(fresh=True)
    await connection.tools()
    assert len(asked) == 5
    asked, pages, changes = [], 9, False
    with pytest.raises(ToolUnreachable, match="takes more than"):
        await connection.tools(fresh=True)
    assert len(asked) == 3


async def test_a_list_that_does_not_come_is_waited_for_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = Connection("held", CommandServer(command=("true",)), {})
    asked = 0

    async def page(cursor: str | None, _: float) -> dict[str, Any]:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.1)
        raise ToolTimedOut("no result within 30 s", sent=True)

    monkeypatch.setattr(connection, "_page", page)
    waiting = (connection.tools(fresh=True) for _ in range(10))
    failed = await asyncio.gather(*waiting, return_exceptions=True)
    said = {str(each) for each in failed if isinstance(each, ToolUnreachable) and not each.final}
    assert said == {"the server 'held': it does not list its tools: no result within 30 s"}
    assert asked == 2
    with pytest.raises(ToolUnreachable):
        await connection.tools(fresh=True)
    assert asked == 3
