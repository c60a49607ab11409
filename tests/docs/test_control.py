"""Runs the Temporal CLI's commands of `docs/control.md` against a real run."""

import asyncio
import re
import shlex
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest_asyncio
from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.control import Adjustment
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.names import WORKFLOW
from durable_agent_team.contracts.run import RunReport, RunState, RunStatus, TaskStatus
from durable_agent_team.contracts.tool_call import ToolFailure, ToolOrder
from tests.cli.support import serving
from tests.docs.pages import ROOT, blocks
from tests.support.fakes import FakeWorld
from tests.support.run_reports import report_of
from tests.support.temporal import server, temporal_cli
from tests.support.tools import Said, ToolWorld, calls
from workflows.orchestrator import Orchestrator

PAGE = ROOT / "docs" / "control.md"
TEXT = PAGE.read_text(encoding="utf-8")
TEAM = {
    "name": "control",
    "goal": "Say whether bicycles sell well in spring.",
    "approve_plan": True,
    "orchestrator": {"budget_usd": 1},
    "agents": {
        "rich": {"role": "Writer", "budget_usd": 1},
        "poor": {"role": "Writer", "budget_usd": "0.0005"},
        "third": {"role": "Writer", "budget_usd": "0.0005"},
    },
    "tasks": [
        {"id": "a", "agent": "rich", "ask": "Name a colour."},
        {"id": "b", "agent": "poor", "ask": "Name a fruit."},
        {"id": "c", "agent": "rich", "ask": "Name an animal.", "depends_on": ["a"]},
        {"id": "d", "agent": "third", "ask": "Name a bird."},
    ],
}
"""`a` never ends; `b` and `d` park: their accounts are too small for a call at 0.01 USD."""


@dataclass(frozen=True)
class Shell:
    """Runs commands of the page with the Temporal CLI."""

    handle: WorkflowHandle[Any, Any]
    address: str

    async def run(self, command: str, code: int = 0) -> str:
        words = [
            self.handle.id if word == "RUN" else word.replace("RUN", self.handle.id)
            for word in shlex.split(command)
        ]
        process = await asyncio.create_subprocess_exec(
            temporal_cli(),
            *words[1:],
            "--address",
            self.address,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == code, f"{command}\n{out.decode()}"
        return out.decode()

    async def until(self, status: dict[str, TaskStatus]) -> RunState:
        for _ in range(200):
            state = RunState.model_validate(await self.handle.query("state"))
            if status.items() <= {task.id: task.status for task in state.tasks}.items():
                return state
            await asyncio.sleep(0.05)
        raise AssertionError(state)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client() -> AsyncIterator[Client]:
    async with server() as environment:
        yield environment.client


@pytest_asyncio.fixture(loop_scope="session")
async def shell(client: Client) -> AsyncIterator[Shell]:
    never = asyncio.Event()

    async def hold(call: CallRequest) -> None:
        if call.task == "a":
            await never.wait()

    async with serving(client, FakeWorld(hold)):
        handle = await client.start_workflow(
            WORKFLOW, {"team": TEAM}, id="control", task_queue="orchestrator", result_type=RunReport
        )
        yield Shell(handle, client.service_client.config.target_host)


def commands(*words: str, about_tools: bool = False) -> list[str]:
    """Returns the page's commands that contain all of these words, in the order of the page."""
    lines = [line for block in blocks(PAGE, "") for line in block.splitlines()]
    own = [line for line in lines if line.startswith("temporal ")]
    own = [line for line in own if ('"settle' in line) == about_tools]
    return [line for line in own if all(word in line for word in words)]


async def test_every_command_of_the_page_does_what_it_says(shell: Shell) -> None:
    left = set(commands()) - set(commands("workflow start"))

    async def run(*words: str, code: int = 0) -> str:
        found = commands(*words)
        assert found, words
        left.difference_update(found)
        return "".join([await shell.run(each, code) for each in found])

    while (await shell.handle.query("state"))["status"] != RunStatus.APPROVAL:
        await asyncio.sleep(0.05)
    assert '"status":"approval"' in await run("--type state")
    assert '"agent":"poor"' in await run("--type spend")
    assert '"subject":"plan"' in await run("--type approvals")
    await run("--name approve")
    parked = {"a": TaskStatus.RUNNING, "b": TaskStatus.PARKED, "d": TaskStatus.PARKED}
    await shell.until(parked)
    await run("--name pause")
    assert (await shell.handle.query("state"))["paused"]
    await run("--name resume")
    assert not (await shell.handle.query("state"))["paused"]
    assert "agent:poor budget_usd:0.001" in await run("--name adjust_budget")
    assert "third" in await run("--name transfer")
    assert "max_attempts:3" in await run("--name adjust_agent")
    assert "task:e" in await run("--name add_task")
    limits = await run("--name adjust_run")
    assert "deadline:2035-12-31T17:00:00Z max_parallel:5" in limits
    assert "deadline:<nil> max_parallel:5" in limits
    assert "status:cancelled" in await run("--name cancel_task")
    assert "task:d" in await run("--name retry_task")
    await run("--name adjust ")
    state = await shell.until({"c": TaskStatus.CANCELLED, "b": TaskStatus.PARKED})
    assert not state.refusals
    spend = await shell.handle.query("spend")
    budgets = {each["agent"]: each["budget_usd"] for each in spend["agents"]}
    assert budgets == {"orchestrator": "1", "rich": "0.995", "poor": "0.001", "third": "0.0055"}
    await run("workflow list")
    await run("--name cancel ")
    assert "cancelled: no longer needed" in await run("workflow result", code=1)
    assert left == set(), "every other command was run"


def clerk(call: CallRequest) -> Said:
    """Looks, refunds, and answers with what it was told."""
    assert call.conversation is not None
    results = [each for entry in call.conversation.entries for each in entry.results]
    steps = [calls(("look", {})), calls(("refund", {"order": "A-17", "share": "half"}))]
    return steps[len(results)] if len(results) < len(steps) else f"told: {results[-1].text}"


def refuses(order: ToolOrder) -> str:
    if order.facts.name == "refund":
        raise ApplicationError(
            "the shop is closed", ToolFailure(), type=ErrorType.TOOL_UNAVAILABLE, non_retryable=True
        )
    return "seen"


ANSWERS = [
    ("--name adjust", "told: result of 2.1"),
    ('"approved": true}', "told: result of 2.1"),
    ("Refund all of it.", "told: .*Refund all of it."),
    ('"arguments"', "told: "),
    ('"decision": "skip"', "told: "),
]
"""A word of each command that answers a call of a tool, and what the agent then answers."""


async def test_the_commands_about_tools_answer_what_waits(client: Client) -> None:
    left = set(commands(about_tools=True)) - set(commands("--type", about_tools=True))
    for number, (word, answer) in enumerate(ANSWERS):
        is_parked = "decision" in word
        approval = "never" if is_parked else "always"
        world = ToolWorld(clerk, refuses) if is_parked else ToolWorld(clerk)
        async with serving(client, world):
            handle = await client.start_workflow(
                WORKFLOW, {"team": shop(approval)}, id=f"tools-{number}",
                task_queue="orchestrator", result_type=RunReport,
            )  # fmt: skip
            shell = Shell(handle, client.service_client.config.target_host)
            while not (await handle.query("state"))["waiting"]:
                await asyncio.sleep(0.05)
            if not number:
                for query in commands("--type", about_tools=True):
                    assert "A-17" in await shell.run(query), query
            command = next(each for each in sorted(left) if word in each)
            left.remove(command)
            await shell.run(command)
            report = await report_of(handle)
        assert report.status is RunStatus.COMPLETED
        assert re.fullmatch(f"{answer}.*", report.answer or "", re.DOTALL), report.answer
    assert left == set()


def shop(approval: str) -> dict[str, Any]:
    look = {"python": "shop:look", "effects": "none", "trusted": True}
    refund = {"python": "shop:refund", "effects": "once", "approve": approval}
    return {
        "name": "shop",
        "goal": "Serve the customer",
        "agents": {"clerk": {"role": "Clerk", "budget_usd": 1, "tools": [look, refund]}},
        "tasks": [{"id": "settle", "agent": "clerk", "ask": "Refund order 7."}],
        "final": "handoff",
    }


async def test_a_cancellation_from_temporal_is_the_signals(client: Client) -> None:
    assert "`temporal workflow cancel --workflow-id RUN`" in TEXT
    async with serving(client, FakeWorld()):
        handle = await client.start_workflow(
            WORKFLOW, {"team": TEAM}, id="cancel", task_queue="orchestrator", result_type=RunReport
        )
        shell = Shell(handle, client.service_client.config.target_host)
        await shell.run("temporal workflow cancel --workflow-id RUN")
        report = await report_of(handle)
    assert report.status is RunStatus.CANCELLED


def test_the_page_names_all_queries_signals_and_updates() -> None:
    definition = workflow._Definition.must_from_class(Orchestrator)
    for section, names in (
        ("Queries", definition.queries),
        ("Signals", definition.signals),
        ("Updates", definition.updates),
    ):
        text = TEXT.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
        rows = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
        assert rows == {name for name in names if name and not name.startswith("__")}


def test_the_kinds_of_adjust_are_all_there() -> None:
    kinds = Adjustment.model_json_schema()["discriminator"]["mapping"]
    [row] = [line for line in TEXT.splitlines() if line.startswith("| `adjust` |")]
    assert set(re.findall(r"`(\w+)`", row.rpartition("kind` is")[2])) == set(kinds)
