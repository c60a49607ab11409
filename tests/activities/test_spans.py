"""One span a call: what is in it, what is not, and the trace goes on at the gateway."""

import json
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.exceptions import ApplicationError

from activities.calls import spans
from tests.activities.support import AGENT_KEY, Server, agents_at, call, context, serving
from tests.support.exported_spans import spans_of

ANSWER = {
    "choices": [{"message": {"content": "a secret answer"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3, "cost": 0.000013},
}


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    with spans_of(spans, monkeypatch) as exporter:
        yield exporter


async def called(status: int = 200) -> Server:
    body = json.dumps(ANSWER if status == 200 else {"error": {"message": "a secret error"}})
    async with serving((status, {}, body.encode())) as server, agents_at(server.url) as agents:
        try:
            await context().run(agents.call_agent, call(ask="a secret ask"))
        except ApplicationError:
            assert status != 200
    return server


def shown(span: ReadableSpan) -> str:
    return str(span.to_json())


async def test_a_call_is_a_span_by_the_genai_conventions(exported: InMemorySpanExporter) -> None:
    server = await called()
    (span,) = exported.get_finished_spans()
    attributes = dict(span.attributes or {})
    assert span.name == "chat m"
    assert span.kind is trace.SpanKind.CLIENT
    assert attributes["gen_ai.operation.name"] == "chat"
    assert attributes["gen_ai.request.model"] == "m"
    assert attributes["gen_ai.usage.input_tokens"] == 7
    assert attributes["gen_ai.usage.output_tokens"] == 3
    assert attributes["cost_usd"] == 0.000013
    assert span.context is not None
    sent = server.seen[0].headers["traceparent"].split("-")
    assert int(sent[1], 16) == span.context.trace_id
    assert int(sent[2], 16) == span.context.span_id


@pytest.mark.parametrize("status", [200, 403])
async def test_no_prompt_answer_error_text_or_key_is_in_it(
    status: int, exported: InMemorySpanExporter
) -> None:
    await called(status)
    (span,) = exported.get_finished_spans()
    assert "secret" not in shown(span)
    assert AGENT_KEY not in shown(span)


async def test_an_error_is_in_it_by_its_type(exported: InMemorySpanExporter) -> None:
    await called(403)
    (span,) = exported.get_finished_spans()
    assert dict(span.attributes or {})["error.type"] == "Forbidden"
    assert not span.status.is_ok


async def test_without_a_provider_nothing_is_sent_along() -> None:
    server = await called()
    assert "traceparent" not in server.seen[0].headers
