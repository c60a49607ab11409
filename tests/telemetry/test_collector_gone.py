"""A collector that is gone, or takes the connection and says nothing, holds nobody up."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import aiohttp
import pytest

from durable_agent_team.process.project_root import PROJECT_ROOT
from tests.gateway.client import Api, body
from tests.support.gateway_process import gateway_process
from tests.support.upstream import ScriptedUpstream

ENDS = (
    "from durable_agent_team.process import interpreter_exit, telemetry\n"
    "telemetry.start_metrics(); telemetry.plugins()\n"
    "from opentelemetry import metrics, trace\n"
    "with trace.get_tracer('x').start_as_current_span('a'): pass\n"
    "metrics.get_meter('x').create_counter('c').add(1)\n"
    "import time; began = time.monotonic()\n"
    "telemetry.flush(); print(time.monotonic() - began); interpreter_exit.exit_process(0)"
)


@pytest.fixture(params=["gone", "silent"])
def endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "gone":
        yield "http://127.0.0.1:1"
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_command_ends_all_the_same(endpoint: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ENDS],
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "PATH": ""},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert float(ended.stdout) < 6, "three seconds, and a busy machine"


async def test_a_gateway_serves_and_stops_all_the_same(endpoint: str) -> None:
    async with (
        ScriptedUpstream() as upstream,
        gateway_process(upstream.url, otel_exporter_otlp_endpoint=endpoint) as gateway,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(gateway.url, http).open()
        assert (await agent.chat(body())).status == 200
        began = time.monotonic()
        assert await asyncio.wait_for(gateway.end(15), 30) == 0
        assert time.monotonic() - began < 15
