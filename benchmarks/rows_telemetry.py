"""Row: what telemetry costs, on and off."""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from aiohttp import web
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.calls.spans import call_span
from benchmarks import jobs
from benchmarks.figures import Figure, Sample, at_most, column, figure, ratios
from benchmarks.process import Process
from benchmarks.stage import Stage, check
from durable_agent_team.atxp.chat_client import Completion
from durable_agent_team.atxp.pricing import Cost
from durable_agent_team.atxp.trace_headers import trace_headers
from durable_agent_team.client.connection import ServiceUnavailable, connect
from durable_agent_team.client.runs import start_run
from durable_agent_team.contracts.call import AccountRef, CallRequest, CallResult, Usage
from durable_agent_team.contracts.team import Team
from durable_agent_team.gateway.api.call_span import trace_call
from durable_agent_team.gateway.calls.call_service import CallOutcome
from durable_agent_team.process.project_root import PROJECT_ROOT
from durable_agent_team.process.settings import ClientSettings
from tests.support.serving import listening

NAMESPACE = "telemetry"
CALLS = 100
PAIRS = 5
HOOKED = 5_000


class Telemetry:
    """The same run on two workers with a gateway each, in turns; and the hooks by themselves."""

    name = "telemetry"
    about = "a run with telemetry on beside one with it off; what is left of it when it is off"
    rounds = (3, 1)

    async def sample(self, stage: Stage) -> Sample:
        team = jobs.fan(CALLS, 0, "tasks")
        found = {"hooks_us": hooks_microseconds(), "off": 0.0, "on": 0.0}
        async with _with_telemetry(stage) as client:
            await _seconds(client, team)
            await stage.run(team)
            for _ in range(PAIRS):
                _, seconds = await stage.run(team)
                found["off"] += seconds
                found["on"] += await _seconds(client, team)
        found["call_us"] = found["off"] / PAIRS / (CALLS + 1) * 1e6
        return found

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        hooks = column(samples, "hooks_us")
        share = [100 * value for value in ratios(samples, "hooks_us", "call_us")]
        each = f"N={CALLS} at 0 ms"
        return [
            figure(self.name, "off: the hooks of one call", hooks, "µs CPU"),
            figure(self.name, f"off: their share of a call, {each}", share, "%", at_most(2)),
            figure(self.name, f"on / off, {each}", ratios(samples, "on", "off"), "×"),
        ]


def hooks_microseconds() -> float:
    """CPU of all that telemetry does in the code of one call, in the worker and in the gateway,
    while nobody wants it."""
    account = AccountRef(agent="a0", account_id="a", sealed_key="k")
    call = CallRequest(
        idempotency_key="k", account=account, task="t", model="m", max_tokens=1, system="", ask=""
    )
    usage, cost = Usage(prompt_tokens=1, completion_tokens=1), Cost(Decimal("0.000003"), False)
    done = Completion("ok", "stop", usage, cost, False, None)
    result = CallResult(
        answer="ok", cost_usd=cost.usd, usage=usage, started_at=datetime.now(UTC), seconds=0
    )
    outcome = CallOutcome(None)

    def hooks() -> None:
        with call_span(call) as attempt:
            trace_headers()
            attempt.answered(done)
            attempt.judged(result)
        trace_call(None, "m").record(outcome)

    def many() -> float:
        began = time.process_time()
        for _ in range(HOOKED):
            hooks()
        return time.process_time() - began

    taken: float = ActivityEnvironment().run(many)
    return taken / HOOKED * 1e6


async def _seconds(client: Client, team: Team) -> float:
    began = time.perf_counter()
    run = await start_run(client, jobs.request(team), id=f"bench-{uuid.uuid4()}")
    report = await run.result()
    seconds = time.perf_counter() - began
    check(report, team)
    return seconds


@asynccontextmanager
async def _with_telemetry(stage: Stage) -> AsyncIterator[Client]:
    """A worker and a gateway more, in a namespace of their own, that send all they have."""
    parts = {part.name: part for part in stage.plan.parts}
    async with AsyncExitStack() as stack:
        on = {"OTEL_EXPORTER_OTLP_ENDPOINT": await _sink(stack)}
        books = {
            "GATEWAY_PORT": "0",
            "GATEWAY_DATABASE": str(stage.folder / f"telemetry-{uuid.uuid4()}.db"),
            "GATEWAY_PRICES": str(stage.folder / "prices.toml"),
        }
        env = {**parts["gateway"].env, **books, **on}
        gateway = await _process(stack, stage, parts["gateway"].command, env)
        url = (await gateway.line("gateway ready")).split()[-1]
        client = await _namespace(stage)
        places = {"ATXP_API_URL": f"{url}/v1", "ATXP_LLM_URL": f"{url}/v1"}
        env = {**parts["worker"].env, **places, "TEMPORAL_NAMESPACE": NAMESPACE, **on}
        worker = await _process(stack, stage, parts["worker"].command, env)
        await worker.line("worker ready")
        yield client


async def _process(
    stack: AsyncExitStack, stage: Stage, command: tuple[str, ...], env: dict[str, str]
) -> Process:
    log = stage.folder / "logs" / f"telemetry-{os.urandom(4).hex()}.log"
    process = Process(command, env, log, PROJECT_ROOT)
    stack.push_async_callback(process.stop)
    await process.start()
    return process


async def _namespace(stage: Stage) -> Client:
    """Made once; the server needs some seconds until all of it knows."""
    day = Duration()
    day.FromTimedelta(timedelta(days=1))
    settings = ClientSettings(
        temporal_address=stage.plan.temporal_address, temporal_namespace=NAMESPACE
    )
    try:
        return await connect(settings)
    except ServiceUnavailable:
        request = RegisterNamespaceRequest(
            namespace=NAMESPACE, workflow_execution_retention_period=day
        )
        await stage.client.workflow_service.register_namespace(request)
    async with asyncio.timeout(60):
        while True:
            try:
                return await connect(settings)
            except ServiceUnavailable:
                await asyncio.sleep(0.2)


async def _sink(stack: AsyncExitStack) -> str:
    """A collector that takes everything and keeps nothing."""

    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(content_type="application/x-protobuf")

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/{signal}", take)
    return await stack.enter_async_context(listening(app))
