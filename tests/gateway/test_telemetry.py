"""Spans: one for each call, in the caller's trace, without a word of what was said."""

import asyncio
from collections.abc import Mapping

import aiohttp
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from gateway.telemetry import wanted
from tests.gateway.client import Api, body
from tests.support.gateway import gateway_process
from tests.support.upstream import Rule, ScriptedUpstream

TRACE = "0af7651916cd43dd8448eb211c80319c"
USED = {"prompt_tokens": 20, "completion_tokens": 5}


@pytest.mark.parametrize(
    ("environment", "on"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "True"}, False),
    ],
)
def test_off_unless_asked_for(environment: Mapping[str, str], on: bool) -> None:
    assert wanted(environment) is on


async def test_a_real_receiver_gets_the_spans() -> None:
    spans: list[Span] = []
    raw = bytearray()

    async def receive(request: web.Request) -> web.Response:
        data = await request.read()
        raw.extend(data)
        message = ExportTraceServiceRequest.FromString(data)
        for resource in message.resource_spans:
            for scope in resource.scope_spans:
                spans.extend(scope.spans)
        return web.Response(body=b"", content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/traces", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        await call_traced(endpoint)
    finally:
        await runner.cleanup()
    [answered, refused] = spans
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    found = {a.key: a.value for a in answered.attributes}
    assert found["gen_ai.operation.name"].string_value == "chat"
    assert found["gen_ai.request.model"].string_value == "m"
    assert found["gen_ai.usage.input_tokens"].int_value == 20
    assert found["gen_ai.usage.output_tokens"].int_value == 5
    assert found["cost_usd"].double_value == 0.00003
    assert {a.key: a.value.string_value for a in refused.attributes}["error.type"] == (
        "upstream_500"
    )
    assert b"secret prompt" not in raw
    assert b"secret answer" not in raw


async def call_traced(endpoint: str) -> None:
    rules = [Rule(text="secret answer", usage=USED, times=1), Rule(status=500)]
    async with (
        ScriptedUpstream(rules) as upstream,
        gateway_process(upstream.url, otel_exporter_otlp_endpoint=endpoint) as gateway,
        aiohttp.ClientSession(headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}) as http,
    ):
        agent = await Api(gateway.url, http).open()
        assert (await agent.chat(body("secret prompt"))).status == 200
        assert (await agent.chat(body("secret prompt"))).status == 500
        assert await asyncio.wait_for(gateway.end(15), 20) == 0
