"""Runs as MCP tools: the official client starts `starter.py mcp`, or connects to it by HTTP.

Here a forked process takes the place of the script (tests/support/warm), except in the tests of
HTTP and of standard output."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from temporalio.client import Client as TemporalClient
from temporalio.exceptions import ApplicationError

from durable_agent_team.cli.commands import serve_mcp
from durable_agent_team.contracts import names
from durable_agent_team.contracts.base import exact_time
from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import Failure, Waiting
from durable_agent_team.mcp_server.waiting_tools import tool_of
from durable_agent_team.process import settings
from tests.cli.support import ROOT, TEAM, Starter, new_id, serving
from tests.cli.test_approvals import ARGUMENTS, begun, model
from tests.support.fakes import FakeWorld
from tests.support.ports import lasting_ports
from tests.support.tools import ToolWorld
from tests.support.warm import warm_command
from workflows.people.parking import wake_command
from workflows.state.agent_account import AgentAccount

READING = {
    "list_teams", "list_runs", "run_state", "run_spend", "wait_for_run", "run_result",
    "list_approvals",
}  # fmt: skip
ACTING = {
    "start_run", "approve", "reject", "answer", "retry_task", "cancel_task", "pause_run",
    "resume_run", "cancel_run",
}  # fmt: skip
POOR = TEAM.replace("Editor, budget_usd: 1", "Editor, budget_usd: 0.005")
APPROVED = TEAM.replace("goal:", "approve_plan: true\ngoal:")


@asynccontextmanager
async def stdio(starter: Starter, *arguments: str) -> AsyncIterator[Client]:
    program, *words = await asyncio.to_thread(warm_command, "starter.py mcp")
    command = StdioServerParameters(
        command=program, args=[*words, *arguments], env=starter.environment()
    )
    async with Client(command, read_timeout_seconds=60) as client:
        yield client


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def ended(client: Client, run: str) -> dict[str, Any]:
    """The run's state at its end."""
    while not (state := await call(client, "wait_for_run", run=run, seconds=20))["ended"]:
        await asyncio.sleep(0.1)
    return state


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return "\n".join(getattr(each, "text", "") for each in result.content)


async def test_a_client_starts_a_run_and_reads_its_answer_and_price(
    starter: Starter, world: FakeWorld
) -> None:
    run = new_id()
    async with stdio(starter, starter.team()) as client:
        assert client.server_info is not None
        assert client.server_info.version
        assert {tool.name for tool in (await client.list_tools()).tools} == READING | ACTING
        [team] = (await call(client, "list_teams"))["teams"]
        assert (team["team"], team["tasks"]) == ("brief", ["facts", "prices", "text"])
        started = await call(client, "start_run", team="brief", goal="Another goal", id=run)
        assert started["run"] == run
        state = await ended(client, run)
        assert (state["goal"], state["status"]) == ("Another goal", "completed")
        result = await call(client, "run_result", run=run)
        spend = await call(client, "run_spend", run=run)
        assert result["total"]["spent_usd"] == spend["total"]["spent_usd"] == "0.04"
        assert result["answer"]
        listed = (await call(client, "list_runs"))["runs"]
        assert run in [each["workflow_id"] for each in listed]
        assert "already taken" in await refused(client, "start_run", team="brief", id=run)
    assert len(world.calls) == 4, "the second start has paid nothing"


async def test_what_waits_is_seen_and_approved(starter: Starter, world: FakeWorld) -> None:
    run, other = new_id(), new_id()
    async with stdio(starter, starter.team(APPROVED)) as client:
        for each in (run, other):
            await call(client, "start_run", team="brief", id=each)
        state = await call(client, "wait_for_run", run=run, seconds=20)
        assert not state["ended"]
        assert [each["subject"] for each in state["waiting"]] == ["plan"]
        assert "has not ended" in await refused(client, "run_result", run=run)
        await call(client, "approve", run=run, subject="plan", approved=True)
        state = await ended(client, run)
        assert state["status"] == "completed"
        assert "has ended" in await refused(client, "cancel_run", run=run)
        await call(client, "wait_for_run", run=other, seconds=20)
        await call(client, "cancel_run", run=other, reason="not now")
        await ended(client, other)
        result = await call(client, "run_result", run=other)
        assert (result["status"], result["cancel_reason"]) == ("cancelled", "not now")


async def test_calls_of_tools_are_listed_approved_rejected_and_answered(
    starter: Starter, client: TemporalClient
) -> None:
    async with serving(client, ToolWorld(model)), stdio(starter) as mcp:
        yes, no = [(await begun(starter))[0] for _ in range(2)]
        [pending] = (await call(mcp, "list_approvals", run=yes))["approvals"]
        assert (pending["subject"], pending["what"]) == ("settle:2.1", "shop:refund")
        assert json.loads(pending["content"]) == ARGUMENTS
        other = {"run": yes, "subject": "settle:2.1", "approved": True, "sha256": "0" * 64}
        assert "look at it again" in await refused(mcp, "approve", **other)
        approved = await call(mcp, "approve", **{**other, "sha256": pending["sha256"]})
        assert approved["by"].endswith(" by MCP"), "not to be taken for a person at a terminal"
        await call(mcp, "reject", run=no, subject="settle:2.1", note="never delivered")
        for run, answer in ((yes, "result of 2.1"), (no, "never delivered")):
            await ended(mcp, run)
            assert answer in (await call(mcp, "run_result", run=run))["answer"]
        wrong = {"run": yes, "subject": "settle:2.1", "decision": "skip"}
        assert "ended" in await refused(mcp, "answer", **wrong)


async def parked(client: Client, run: str) -> dict[str, Any]:
    """What waits in the run, which has one thing that does."""
    state = await call(client, "wait_for_run", run=run, seconds=20)
    [waiting] = state["waiting"]
    return dict(waiting)


async def test_limits_are_the_business_of_whoever_starts_the_server(
    starter: Starter, world: FakeWorld
) -> None:
    run = new_id()
    async with stdio(starter, starter.team(POOR)) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == READING | ACTING
        await call(client, "start_run", team="brief", id=run)
        waiting = await parked(client, run)
        assert waiting["type"] == "BudgetExhausted"
        assert "tool" not in waiting, "nothing that is offered helps"
        given = {"run": run, "agent": "editor", "budget_usd": 1}
        assert "Unknown tool" in await refused(client, "adjust_budget", **given)
        await call(client, "cancel_run", run=run)
        await ended(client, run)


async def test_a_limit_is_raised_up_to_what_was_allowed(starter: Starter, world: FakeWorld) -> None:
    """The limits of the run come to 6.005 USD at its start."""
    run = new_id()
    async with stdio(starter, starter.team(POOR), "--budgets-up-to", "6.5") as client:
        assert "6.5 USD" in (client.instructions or "")
        await call(client, "start_run", team="brief", id=run)
        tool = (await parked(client, run))["tool"]
        assert tool["name"] == "adjust_budget"
        enough = {"agent": "editor", "budget_usd": "0.010", "raise_only": True}
        assert tool["arguments"] == {"run": run, **enough}
        too_much = {"run": run, "agent": "editor", "budget_usd": "0.600001"}
        problem = await refused(client, "adjust_budget", **too_much)
        assert "with the other agents' 6 USD" in problem
        assert "6.5 USD" in problem
        for wrong in ("much", "-1", 0, "0.1234567"):
            text = await refused(
                client, "adjust_budget", **{**tool["arguments"], "budget_usd": wrong}
            )
            assert "budget_usd" in text
        lowered = {"run": run, "agent": "research", "budget_usd": 0.9}
        assert (await call(client, "adjust_budget", **lowered))["budget_usd"] == "0.9"
        adjusted = await call(client, tool["name"], **tool["arguments"])
        assert (adjusted["agent"], adjusted["budget_usd"]) == ("editor", "0.010")
        assert (await ended(client, run))["status"] == "completed"


async def test_money_is_moved_within_what_was_allowed(starter: Starter, world: FakeWorld) -> None:
    """The limits of the run come to 6.005 USD, before and after."""
    run = new_id()
    given = {"run": run, "from_agent": "research", "to_agent": "editor", "amount_usd": "0.4"}
    async with stdio(starter, starter.team(POOR), "--budgets-up-to", "6.004") as client:
        await call(client, "start_run", team="brief", id=run)
        assert (await parked(client, run))["type"] == "BudgetExhausted"
        problem = await refused(client, "transfer", **given)
        assert "all limits come to 6.005 USD, above max_total_usd, 6.004 USD" in problem
    async with stdio(starter, starter.team(POOR)) as client:
        assert "Unknown tool" in await refused(client, "transfer", **given)
    async with stdio(starter, starter.team(POOR), "--budgets-up-to", "6.005") as client:
        for wrong, word in (("9", "has only"), ("-1", "amount_usd"), ("much", "amount_usd")):
            assert word in await refused(client, "transfer", **{**given, "amount_usd": wrong})
        moved = await call(client, "transfer", **given)
        assert moved["from_agent"]["budget_usd"] == "0.6"
        assert moved["to_agent"]["budget_usd"] == "0.405"
        assert (await ended(client, run))["status"] == "completed"


async def test_a_run_is_paused_and_continued_and_one_task_is_stopped(
    starter: Starter, world: FakeWorld
) -> None:
    gate, asked = asyncio.Event(), asyncio.Event()

    async def rule(call: CallRequest) -> None:
        asked.set()
        await gate.wait()

    world.rule = rule
    run = new_id()
    async with stdio(starter, starter.team()) as client:
        await call(client, "start_run", team="brief", id=run)
        await asyncio.wait_for(asked.wait(), 30)
        assert (await call(client, "pause_run", run=run))["status"] == "paused"
        gate.set()
        state = await call(client, "run_state", run=run)
        while [each["status"] for each in state["tasks"]][:2] != ["done", "done"]:
            await asyncio.sleep(0.1)
            state = await call(client, "run_state", run=run)
        assert state["paused"]
        assert len(world.calls) == 2, "nothing new has begun"
        assert "nothing to cancel" in await refused(client, "cancel_task", run=run, task="facts")
        assert (await call(client, "resume_run", run=run))["status"] == "resumed"
        assert (await ended(client, run))["status"] == "completed"
        assert "has ended" in await refused(client, "pause_run", run=run)
        gate.clear()
        other = new_id()
        await call(client, "start_run", team="brief", id=other)
        await call(client, "cancel_task", run=other, task="text", reason="not needed")
        gate.set()
        tasks = (await ended(client, other))["tasks"]
        assert [each["status"] for each in tasks] == ["done", "done", "cancelled"]
        assert tasks[2]["failure"]["message"] == "not needed"


async def test_a_parked_task_is_tried_again_and_one_that_is_done_is_not(
    starter: Starter, world: FakeWorld
) -> None:
    def rule(call: CallRequest) -> None:
        if call.task == "text" and len([each for each in world.calls if each.task == "text"]) == 1:
            raise ApplicationError("prove it", type=ErrorType.PAYMENT_REQUIRED, non_retryable=True)

    world.rule = rule
    run = new_id()
    async with stdio(starter, starter.team()) as client:
        await call(client, "start_run", team="brief", id=run)
        waiting = await parked(client, run)
        tool, since = waiting["tool"], waiting["since"]
        expected = {"run": run, "task": "text", "since": since}
        assert tool == {"name": "retry_task", "arguments": expected}
        late = {**expected, "since": "2030-01-01T00:00:00Z"}
        assert "does not wait any more" in await refused(client, "retry_task", **late)
        calls = len(world.calls)
        problem = await refused(client, "retry_task", run=run, task="facts")
        assert "it is done, and would be paid again" in problem
        assert f"retry {run} facts" in problem
        assert "no such task" in await refused(client, "retry_task", run=run, task="nothing")
        assert len(world.calls) == calls, "nothing of that was paid"
        await call(client, tool["name"], **tool["arguments"])
        assert (await ended(client, run))["status"] == "completed"


@pytest.mark.parametrize(
    ("failure", "is_tool", "name", "arguments"),
    [
        (
            ErrorType.BUDGET_EXHAUSTED,
            False,
            "adjust_budget",
            {"agent": "a", "budget_usd": "1.5", "raise_only": True},
        ),
        (ErrorType.PAYMENT_REQUIRED, False, "retry_task", {"task": "s"}),
        (ErrorType.UPSTREAM_OUT_OF_FUNDS, False, "retry_task", {"task": "s"}),
        (ErrorType.EFFECT_UNKNOWN, True, "answer", {"subject": "s"}),
        (ErrorType.TOOL_UNAVAILABLE, True, "answer", {"subject": "s", "decision": "retry"}),
        (ErrorType.INPUT_REQUIRED, False, "answer", {"subject": "s", "decision": "result"}),
    ],
)
def test_what_waits_names_its_tool(
    failure: ErrorType, is_tool: bool, name: str, arguments: dict[str, str | bool]
) -> None:
    account = AgentAccount("a", "m", Decimal(1))
    why = Failure(
        type=failure, message="no", required_usd=Decimal("0.6"), remaining_usd=Decimal("0.1")
    )
    now = datetime.now(UTC)
    if name != "adjust_budget" and failure is not ErrorType.UPSTREAM_OUT_OF_FUNDS:
        arguments = {**arguments, "since": exact_time(now)}
    for run in ("brief", "-a b", "zero\u200bwidth"):
        command = wake_command(run, "s", account, why, now, is_tool=is_tool)
        installed = command.replace(names.STARTER, "durable-agent-team")
        for each in (command, installed):
            waiting = Waiting(subject="s", agent="a", reason="no", command=each, since=now)
            expected = {"name": name, "arguments": {"run": run, **arguments}}
            assert tool_of(run, waiting, {name}) == expected
            assert tool_of(run, waiting, {"other"}) is None


async def test_mistakes_are_answered_in_words(starter: Starter) -> None:
    async with stdio(starter, starter.team()) as client:
        assert "not offered; there is 'brief'" in await refused(client, "start_run", team="other")
        assert "no such run" in await refused(client, "run_state", run="nobody")
        assert "run = a\\nb: this has characters" in await refused(client, "run_state", run="a\nb")
        text = await refused(client, "list_runs", limit=1_000)
        assert text == "limit = 1000: is too large (use 100 or less)"
        assert await refused(client, "approve", run="r", subject="plan") == "approved: is missing"
        text = await refused(client, "start_run", team="brief", goal="x" * 5_000)
        assert "goal" in text
        assert "Traceback" not in text


async def test_an_argument_that_a_tool_does_not_have_is_refused_and_not_dropped(
    starter: Starter, world: FakeWorld
) -> None:
    run = new_id()
    async with stdio(starter, starter.team(APPROVED)) as client:
        text = await refused(client, "start_run", team="brief", id=run, budget_usd=0.01)
        assert text == "budget_usd: is not known (one of: team, goal, id)"
        await call(client, "start_run", team="brief", id=run)
        await call(client, "wait_for_run", run=run, seconds=20)
        guarded = {"run": run, "subject": "plan", "approved": True, "sha_256": "0" * 64}
        text = await refused(client, "approve", **guarded)
        assert text == "sha_256: is not known (did you mean `sha256`?)"
        assert "Unknown tool" in await refused(client, "no_such_tool", run=run)
    assert not world.calls


async def test_read_only_offers_the_tools_that_change_nothing(starter: Starter) -> None:
    async with stdio(starter, starter.team(), "--read-only") as client:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == READING
        indented = [tool.name for tool in tools if "  " in (tool.description or "")]
        assert indented == [], "the code's indentation is in what a model reads"
        assert "Unknown tool" in await refused(client, "cancel_run", run="any")


async def test_without_temporal_the_tools_say_so(starter: Starter) -> None:
    nowhere = Starter("127.0.0.1:9", starter.folder)
    async with stdio(nowhere) as client:
        assert "127.0.0.1:9" in await refused(client, "list_runs")
        assert (await call(client, "list_teams"))["teams"] == []


async def test_by_http_with_a_token(starter: Starter, world: FakeWorld) -> None:
    [port] = lasting_ports(1)
    process = await starter.begin("mcp", starter.team(), "--http", str(port), MCP_TOKEN="secret")
    url = f"http://127.0.0.1:{port}/mcp"
    try:
        assert process.stderr is not None
        assert f"serving MCP at {url}" in (await process.stderr.readline()).decode()
        async with httpx2.AsyncClient() as http:
            while (answer := await _post(http, url)) is None:
                await asyncio.sleep(0.1)
            assert answer.status_code == 401
        async with (
            httpx2.AsyncClient(headers={"Authorization": "Bearer secret"}) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            assert (await call(client, "list_teams"))["teams"][0]["team"] == "brief"
            assert isinstance((await call(client, "list_runs"))["runs"], list)
            await _attack(http, url)
            assert (await call(client, "list_teams"))["teams"], "it goes on"
        _, half = await asyncio.open_connection("127.0.0.1", port)
        half.write(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n" + HALF)
        await half.drain()
    finally:
        process.send_signal(signal.SIGINT)
        _, err = await asyncio.wait_for(process.communicate(), 20)
    assert b"Traceback" not in err
    assert b"secret" not in err


PING = b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n'
HALF = b"Authorization: Bearer secret\r\nContent-Length: 9\r\n\r\n{"
"""It is in flight when the server is told to end, and keeps it from nothing."""

NONSENSE = [
    b"no json", b"[]", b'{"a":' * 5_000, b'{"jsonrpc":"2.0","id":' + b"9" * 5_000 + b"}",
    b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}', b"\xff\xfe", b"[" + b"{}," * 10_000 + b"{}]",
]  # fmt: skip


async def _attack(http: httpx2.AsyncClient, url: str) -> None:
    """What a web page that has rebound a name to this machine, or a broken client, may send."""
    accepted = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    for header in ({"host": "evil.example"}, {"origin": "https://evil.example"}):
        answer = await http.post(url, content=b"{}", headers={**accepted, **header})
        assert answer.status_code in (403, 421), header
    for body in NONSENSE:
        answer = await http.post(url, content=body, headers=accepted)
        assert answer.status_code == 400
        assert set(answer.json()) == {"jsonrpc", "id", "error"}
        assert "Traceback" not in answer.text


async def _post(http: httpx2.AsyncClient, url: str) -> httpx2.Response | None:
    try:
        return await http.post(url, json={})
    except httpx2.HTTPError:
        return None


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--http", "0.0.0.0:8000"], "MCP_TOKEN"),
        (["--http", "many"], "--http = many: not a port"),
        (["--http", "99999"], "not a port"),
        (["nowhere.yaml"], "nowhere.yaml"),
        (["--budgets-up-to", "much"], "--budgets-up-to = much: this is not an amount"),
        (["--budgets-up-to", "0"], "--budgets-up-to = 0"),
        (["--budgets-up-to", "0.0000001"], "--budgets-up-to"),
        (["--budgets-up-to", "1", "--read-only"], "leave one of them out"),
    ],
)
async def test_wrong_arguments_end_with_2(
    starter: Starter, arguments: list[str], problem: str
) -> None:
    ended = await starter("mcp", *arguments)
    assert ended.code == 2
    assert problem in ended.err
    assert "Traceback" not in ended.err


def test_the_token_may_be_in_the_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """As every setting may: `given_values` reads `.env` and the environment."""
    monkeypatch.setattr(settings, "given_values", lambda: {"MCP_TOKEN": "secret"})
    assert serve_mcp._address("0.0.0.0:8000").token == "secret"


async def test_standard_output_has_only_the_protocol(starter: Starter) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "starter.py"), "mcp", starter.team(),
        env=starter.environment(), stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(b"not json\n"), 30)
    assert all("jsonrpc" in json.loads(line) for line in out.splitlines())
    assert b"Traceback" not in err
    assert process.returncode == 0


async def test_a_client_that_is_killed_is_no_bug_of_the_server(starter: Starter) -> None:
    reader, writer = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "starter.py"), "mcp", starter.team(),
        env=starter.environment(), stdin=asyncio.subprocess.PIPE,
        stdout=writer, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    os.close(writer)
    os.close(reader)
    out, err = await asyncio.wait_for(process.communicate(PING), 30)
    assert not out
    assert b"Traceback" not in err
    assert b"bug" not in err
    assert process.returncode == 0
