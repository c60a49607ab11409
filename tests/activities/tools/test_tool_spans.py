"""One span for each call of a tool, and its trace goes on at the server: names, and no content."""

import json
import os
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from temporalio.exceptions import ApplicationError

from activities.tools import tool_spans
from durable_agent_team.contracts.tool_kinds import Effects, ServerTools
from tests.activities.tools.support import Rooms, fact, hostile, order, sessions, wanted
from tests.support.exported_spans import spans_of

TOOL = ServerTools(server="shop", effects=Effects.NONE)
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    with spans_of(tool_spans, monkeypatch) as exporter:
        yield exporter


async def test_a_call_is_a_span_and_the_server_gets_its_trace(
    exported: InMemorySpanExporter,
) -> None:
    async with sessions({"PATH": os.environ["PATH"]}) as opened:
        rooms = Rooms(opened)
        box = await rooms.box(wanted(TOOL, servers={"shop": hostile()}))
        trace = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
        for name in ("meta", "x402", "atxp_text", "structured"):
            given = order(
                fact(box, name),
                TOOL,
                hostile(),
                arguments='{"value": "a secret"}',
                trace=trace,
            )
            try:
                result = await rooms.call(given)
            except ApplicationError:
                assert name in ("x402", "atxp_text")
            else:
                if name == "meta":
                    meta = json.loads(result.text)["meta"]
    first, asked, _, fine = exported.get_finished_spans()
    attributes = dict(first.attributes or {})
    assert first.name == "execute_tool meta"
    assert attributes["gen_ai.operation.name"] == "execute_tool"
    assert attributes["gen_ai.tool.name"] == "meta"
    assert attributes["gen_ai.tool.call.id"] == "conversation:3.1"
    assert attributes["gen_ai.tool.type"] == "extension"
    assert attributes["gen_ai.agent.name"] == "clerk"
    assert first.context is not None
    assert f"{first.context.trace_id:032x}" == TRACE
    assert meta["traceparent"].startswith(f"00-{TRACE}-")
    assert (asked.attributes or {})["error.type"] == "ToolAsks"
    assert fine.status.status_code is StatusCode.UNSET
    assert "a secret" not in "".join(str(each.to_json()) for each in exported.get_finished_spans())
