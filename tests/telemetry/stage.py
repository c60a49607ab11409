"""One run through real processes: Temporal, gateway, worker and starter, all told where to send
their telemetry. On its way it meets what calls can meet; somebody tops up an account."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from temporalio.client import Client

from durable_agent_team.atxp.sealing import generate_sealing_key
from durable_agent_team.gateway.keys import KeyMaker
from durable_agent_team.process.project_root import PROJECT_ROOT
from tests.support.gateway import SECRET
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.otlp import Receiver, receiver
from tests.support.secrets import contents
from tests.support.temporal import server
from tests.support.upstream import Rule, ScriptedUpstream
from tests.support.warm import warm_starter
from tests.support.warm.process import WarmProcess, start_warm

RUN = "telemetry-run-1"
SEALING_KEY = generate_sealing_key()
UPSTREAM_KEY = "upstream-key-0123456789-0123456789"
GOAL = "Goal-marker: enter the market of Zanzibar"
PROMPT = "Prompt-marker"
ANSWER = "Answer-marker"
INTERVAL_MILLISECONDS = "100"

SHOP = PROJECT_ROOT / "tests/activities/tools/hostile_server.py"

TEAM: dict[str, Any] = {
    "name": "brief",
    "goal": GOAL,
    "tool_servers": {"shop": {"command": [sys.executable, "-I", "-S", str(SHOP)]}},
    "orchestrator": {"model": "m", "budget_usd": 1},
    "agents": {
        "research": {
            "role": "Researcher",
            "instructions": f"{PROMPT} instructions",
            "model": "m",
            "budget_usd": 1,
            "timeout_seconds": 3,
            "retry": {"initial_seconds": 0.05},
        },
        "poor": {"role": "Clerk", "model": "m", "budget_usd": "0.0001"},
        "editor": {"role": "Editor", "model": "smollm2-135m", "budget_usd": 1},
        "clerk": {
            "role": "Clerk",
            "model": "m",
            "budget_usd": 1,
            "tools": [
                {
                    "server": "shop",
                    "only": ["meta"],
                    "effects": "none",
                    "key_argument": "request_key",
                }
            ],
        },
    },
    "tasks": [
        {"id": "broken", "agent": "research", "ask": f"{PROMPT} broken"},
        {"id": "slow", "agent": "research", "ask": f"{PROMPT} slow"},
        {
            "id": "short",
            "agent": "research",
            "ask": f"{PROMPT} short",
            "checks": {"min_length": 30},
        },
        {"id": "dear", "agent": "poor", "ask": f"{PROMPT} dear"},
        {"id": "desk", "agent": "clerk", "ask": f"{PROMPT} desk"},
        {
            "id": "brief",
            "agent": "editor",
            "ask": f"{PROMPT} brief",
            "depends_on": ["broken", "slow", "short", "dear"],
        },
    ],
    "result": "brief",
}
LONG = f"{ANSWER}: an answer of more than thirty characters"
CALL = {"name": "meta", "arguments": json.dumps({"value": f"{PROMPT} argument"})}
TOOL_CALL: dict[str, Any] = {
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_1", "type": "function", "function": CALL}],
            },
        }
    ],
    "usage": {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25},
}


def rules() -> list[Rule]:
    """An upstream's error, an answer after the timeout, an answer that fails its check."""
    return [
        Rule(contains=f"{PROMPT} broken", status=503, times=1),
        # Answered when the attempt is over: the next one gets the stored answer, paid once.
        Rule(contains=f"{PROMPT} slow", text=LONG, latency=4, times=1),
        Rule(contains=f"{PROMPT} short", text=ANSWER, times=1),
        Rule(contains=f"{PROMPT} desk", body=TOOL_CALL, times=1),
        Rule(text=LONG),
    ]


@dataclass
class Ledger:
    """One line of the gateway's books."""

    agent: str
    model: str
    micro_usd: int
    prompt_tokens: int
    completion_tokens: int


@dataclass
class Evidence:
    """What is left when every process has ended by itself."""

    received: Receiver
    ledger: list[Ledger]
    secrets: dict[str, str]
    worker_log: str
    gateway_log: str
    starter_out: str
    files: dict[str, bytes]
    """What the processes wrote: databases, logs, reports."""
    header_bytes: list[int]
    """Of each activity in Temporal's history."""
    tool_meta: dict[str, Any]
    """The `_meta` that the server of `shop` got."""


async def one_run(folder: Path) -> Evidence:
    """From the starter's first word to the flush of the last process."""
    async with (
        receiver() as received,
        ScriptedUpstream(rules()) as upstream,
        gateway_process(
            upstream.url, upstream_api_key=UPSTREAM_KEY, **environment(received)
        ) as gateway,
        server(database=folder / "temporal.db") as temporal,
    ):
        address = temporal.client.service_client.config.target_host
        desk = Desk(folder, gateway, address, received)
        (folder / "team.yaml").write_text(yaml.safe_dump(TEAM, sort_keys=False))
        async with desk.worker() as worker:
            out = await desk.starter("start", str(folder / "team.yaml"), "--id", RUN)
            await until(lambda: parked(received) == 1, "the gauge of parked tasks")
            out += await desk.starter("budget", RUN, "poor", "1")
            out += await desk.starter("result", RUN)
            for command in ("state", "spend", "list"):
                out += await desk.starter(command, *([] if command == "list" else [RUN]))
            for ending in ("md", "html"):
                report = str(folder / f"report.{ending}")
                # Without the key it does not read the ledger, in requests that name no run.
                out += await desk.starter("report", RUN, "--out", report, ATXP_API_KEY="")
            # Temporal's own cannot be flushed: the last ones are waited for.
            await until(lambda: has(received, "temporal_workflow_completed"), "its end")
            worker.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(worker.wait(), 40) == 0, desk.log
        headers = await header_bytes(temporal.client)
        secrets = {**agents_keys(gateway), "parent": gateway.parent_key, "sealing": SEALING_KEY}
        secrets["upstream"] = UPSTREAM_KEY
        assert await asyncio.wait_for(gateway.end(signal.SIGTERM), 40) == 0
        files = {**contents(folder), **contents(gateway.database.parent)}
        return Evidence(
            received,
            ledger(gateway),
            secrets,
            desk.log,
            gateway.log,
            out,
            files,
            headers,
            tool_meta(upstream),
        )


def tool_meta(upstream: ScriptedUpstream) -> dict[str, Any]:
    """The tool returns what it got, so that the model is told."""
    [message] = [
        each
        for request in upstream.requests
        for each in request.body["messages"]
        if each["role"] == "tool"
    ]
    meta: dict[str, Any] = json.loads(message["content"])["meta"]
    return meta


def environment(received: Receiver) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": received.url,
        "OTEL_METRIC_EXPORT_INTERVAL": INTERVAL_MILLISECONDS,
    }


@dataclass
class Desk:
    """Where processes are started from."""

    folder: Path
    gateway: GatewayProcess
    temporal: str
    received: Receiver

    @property
    def log(self) -> str:
        return (self.folder / "worker.log").read_text()

    @property
    def env(self) -> dict[str, str]:
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "ATXP_"))},
            **environment(self.received),
            "DATA_DIR": str(self.folder),
            "TEMPORAL_ADDRESS": self.temporal,
            "TEMPORAL_NAMESPACE": "default",
            "ATXP_API_URL": self.gateway.base_url,
            "ATXP_LLM_URL": self.gateway.base_url,
            "ATXP_API_KEY": self.gateway.parent_key,
            "SEALING_KEY": SEALING_KEY,
        }

    @asynccontextmanager
    async def worker(self, **more: str) -> AsyncIterator[WarmProcess]:
        with (self.folder / "worker.log").open("wb") as log:
            process = await start_warm("worker.py", {**self.env, **more}, log)
        try:
            line = await asyncio.wait_for(process.stdout.readline(), 60)
            assert line.startswith(b"worker ready"), self.log
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            await process.wait()

    async def starter(self, *arguments: str, **env: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *(*warm_starter(), *arguments),
            env={**self.env, **env},
            cwd=PROJECT_ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await asyncio.wait_for(process.communicate(), 100)
        assert process.returncode == 0, out.decode() + self.log
        return out.decode()


async def until(true: Callable[[], bool], what: str) -> None:
    for _ in range(1_800):
        if true():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{what} did not come within 90 s")


def parked(received: Receiver) -> float:
    return received.total("agent_team.tasks", agent_team_task_state="parked")


async def header_bytes(client: Client) -> list[int]:
    history = await client.get_workflow_handle(RUN).fetch_history()
    return [
        event.activity_task_scheduled_event_attributes.header.ByteSize()
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]


def has(received: Receiver, metric: str) -> bool:
    return any(received.points(metric))


def ledger(gateway: GatewayProcess) -> list[Ledger]:
    """Straight from the database file; an account's name is AGENT@RUN."""
    query = (
        "SELECT a.name, l.model, l.amount, l.prompt_tokens, l.completion_tokens"
        " FROM ledger l JOIN accounts a ON a.id = l.account_id ORDER BY l.id"
    )
    with sqlite3.connect(gateway.database) as database:
        rows = database.execute(query).fetchall()
    return [Ledger(name.partition("@")[0], *rest) for name, *rest in rows]


def agents_keys(gateway: GatewayProcess) -> dict[str, str]:
    with sqlite3.connect(gateway.database) as database:
        ids = [row[0] for row in database.execute("SELECT id FROM accounts")]
    maker = KeyMaker(SECRET)
    return {"secret": SECRET, **{account: maker.agent_key(account) for account in ids}}
