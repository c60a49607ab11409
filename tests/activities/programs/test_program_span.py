"""One span for each execution of a program: figures and how it ended, and no text."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from temporalio.exceptions import ApplicationError

from activities.programs import program_span
from durable_agent_team.contracts.call import CallResult, Usage
from durable_agent_team.contracts.program import ProgramCall
from durable_agent_team.contracts.program_kinds import CommandRun
from tests.activities.support import call
from tests.support.exported_spans import spans_of

ORDER = ProgramCall(
    call=call(ask="a secret ask"),
    run=CommandRun(command=("market", "a secret argument")),
    scope="scope-1",
    execution=2,
    role="Researchers",
    timeout_seconds=60,
)


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    with spans_of(program_span, monkeypatch) as exporter:
        yield exporter


def test_an_execution_is_a_span_with_its_cost(exported: InMemorySpanExporter) -> None:
    result = CallResult(
        answer="a secret answer",
        cost_usd=Decimal("0.02"),
        usage=Usage(prompt_tokens=7, completion_tokens=3),
        started_at=datetime.now(UTC),
        seconds=1,
    )
    with program_span.program_span(ORDER, {"agent_team.task": "t"}) as span:
        program_span.record_result(span, result)
    (found,) = exported.get_finished_spans()
    attributes = dict(found.attributes or {})
    assert found.name == f"invoke_agent {ORDER.call.account.agent}"
    assert attributes["gen_ai.operation.name"] == "invoke_agent"
    assert (attributes["program.scope"], attributes["program.execution"]) == ("scope-1", 2)
    assert (attributes["cost_usd"], attributes["gen_ai.usage.input_tokens"]) == (0.02, 7)
    assert attributes["agent_team.task"] == "t"
    assert "secret" not in str(found.to_json())


def test_a_failure_is_recorded_by_its_type(exported: InMemorySpanExporter) -> None:
    with (
        pytest.raises(ApplicationError),
        program_span.program_span(ORDER, {}),
    ):
        raise ApplicationError("a secret error", type="ProgramFailed")
    (found,) = exported.get_finished_spans()
    assert (found.attributes or {})["error.type"] == "ProgramFailed"
    assert found.status.status_code is StatusCode.ERROR
    assert "secret" not in str(found.to_json())
