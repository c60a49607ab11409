"""What a real receiver got of a real run: one trace, the ledger's sums, and nobody's words."""

import json
import re
from collections import Counter
from typing import Any

from tests.support import secrets
from tests.support.otlp import Point, Received
from tests.telemetry.stage import ANSWER, GOAL, PROMPT, RUN, TEAM, Evidence

CALLS = ("chat m", "chat smollm2-135m")


def the_trace(evidence: Evidence, start: str = "StartWorkflow:Orchestrator") -> list[Received]:
    """All spans of the trace that the starter began with this one."""
    [started] = [each for each in evidence.received.spans if each.span.name == start]
    trace = started.span.trace_id
    return [each for each in evidence.received.spans if each.span.trace_id == trace]


def of(spans: list[Received], service: str) -> list[Received]:
    return [each for each in spans if each.service == service and each.span.name in CALLS]


def test_one_trace_goes_from_the_starter_to_the_gateway(evidence: Evidence) -> None:
    spans = the_trace(evidence)
    by_id = {each.span.span_id: each for each in spans}
    at_gateway, at_worker = of(spans, "atxp-gateway"), of(spans, "durable-agent-team")
    assert len(at_gateway) == len(of(evidence.received.spans, "atxp-gateway")) >= 8
    assert len(at_worker) == len(of(evidence.received.spans, "durable-agent-team")) >= 8
    for span in at_gateway:
        assert by_id[span.span.parent_span_id] in at_worker
    for each in at_gateway:
        root = each
        while root.span.parent_span_id:
            root = by_id[root.span.parent_span_id]
        assert root.span.name == "StartWorkflow:Orchestrator"


def test_a_span_says_whose_call_it_is_on_both_sides(evidence: Evidence) -> None:
    spans = the_trace(evidence)
    for side in ("atxp-gateway", "durable-agent-team"):
        tasks = {each.attributes["agent_team.task"] for each in of(spans, side)}
        assert {"broken", "slow", "short", "dear", "brief"} <= tasks
        for each in of(spans, side):
            assert each.attributes["agent_team.run"] == RUN
            assert each.attributes["agent_team.team"] == "brief"


def accounts_lines(evidence: Evidence) -> list[dict[str, Any]]:
    return [
        line
        for line in lines(evidence.gateway_log)
        if re.search(r" /v1/(agents|transfers)", line["message"])
    ]


def test_lines_about_accounts_name_run_agent_and_trace(evidence: Evidence) -> None:
    """All opened by one request, one read and topped up, and all closed by one request."""
    found = accounts_lines(evidence)
    assert {line["workflow_id"] for line in found} == {RUN}
    assert {line["team"] for line in found} == {"brief"}
    opening, closing = (
        next(line for line in found if line["message"].startswith(f"{method} /v1/agents/batch"))
        for method in ("POST", "PATCH")
    )
    of_one = [line for line in found if line not in (opening, closing)]
    assert [line["message"].partition("/agt_")[0] for line in of_one] == [
        "GET /v1/agents",
        "PATCH /v1/agents",
    ]
    assert {line["agent"] for line in of_one} == {"poor"}
    assert all(line["account_name"].startswith(f"poor@{RUN}/") for line in of_one)
    of_run, of_update = (
        the_trace(evidence, start)[0].span.trace_id.hex()
        for start in ("StartWorkflow:Orchestrator", "StartWorkflowUpdate:adjust_budget")
    )
    assert {line["trace_id"] for line in of_one} == {of_update}, "of the command that asked"
    assert {line["trace_id"] for line in (opening, closing)} == {of_run}


def test_spans_about_accounts_stand_within_their_activity(evidence: Evidence) -> None:
    by_id = {each.span.span_id: each for each in evidence.received.spans}
    found = [
        each
        for each in evidence.received.spans
        if each.service == "atxp-gateway" and "/v1/agents" in each.span.name
    ]
    assert {each.span.name for each in found} == {
        "POST /v1/agents/batch",
        "GET /v1/agents/{id}",
        "PATCH /v1/agents/{id}",
        "PATCH /v1/agents/batch",
    }
    for each in found:
        parent = by_id[each.span.parent_span_id]
        assert parent.service == "durable-agent-team"
        assert parent.span.name.startswith("RunActivity:")
        assert each.attributes["agent_team.run"] == RUN
        of_one = "{id}" in each.span.name
        assert each.attributes.get("agent_team.agent") == ("poor" if of_one else None)
    told = {line["span_id"] for line in accounts_lines(evidence)}
    assert told == {each.span.span_id.hex() for each in found}


def sums(points: Any, *names: str) -> Counter[Any]:
    total: Counter[Any] = Counter()
    for point in points:
        total[tuple(point.attributes[name] for name in names)] += point.value
    return total


def test_the_spend_is_the_ledger_to_the_micro_dollar(evidence: Evidence) -> None:
    booked: Counter[Any] = Counter()
    for line in evidence.ledger:
        booked[line.agent, line.model] += line.micro_usd
    names = ("gen_ai.agent.name", "gen_ai.request.model")
    for metric in ("agent_team.spend_micro_usd", "gateway.spend_micro_usd"):
        points = list(evidence.received.points(metric, agent_team_team="brief"))
        assert sums(points, *names) == booked, metric
        assert points == list(evidence.received.points(metric))
    assert sum(booked.values()) > 0
    said = sum(
        each.attributes.get("cost_usd", 0) for each in of(the_trace(evidence), "atxp-gateway")
    )
    assert round(said * 1_000_000) == sum(booked.values())


def test_tokens_are_the_ledgers_too(evidence: Evidence) -> None:
    for kind, booked in (
        ("input", sum(line.prompt_tokens for line in evidence.ledger)),
        ("output", sum(line.completion_tokens for line in evidence.ledger)),
    ):
        for metric in ("gen_ai.client.token.usage", "gateway.tokens"):
            assert evidence.received.total(metric, gen_ai_token_type=kind) == booked, metric


def test_calls_are_counted_by_how_they_ended(evidence: Evidence) -> None:
    received = evidence.received
    ended = sums(received.points("agent_team.calls"), "agent_team.outcome")
    assert ended["upstream_error",] == 1
    assert ended["check_failed",] == 1
    assert ended["exhausted",] == 1
    assert ended["timeout",] >= 1
    assert ended["ok",] == 8, "six tasks, one with a turn before its answer, and the final answer"
    attempts = sum(point.count for point in received.points("gen_ai.client.operation.duration"))
    assert attempts == sum(ended.values())
    at_gateway = sums(received.points("gateway.calls"), "gateway.outcome")
    assert at_gateway["replayed",] >= 1
    assert sum(at_gateway.values()) == attempts
    refused = sums(received.points("gateway.refusals"), "gateway.reason")
    assert refused == {("budget_exhausted",): 1}
    assert received.total("gateway.reservations") == len(evidence.ledger) + 1
    assert received.total("gateway.reserved_micro_usd") == 0
    assert received.total("agent_team.calls_running") == 0


def test_tasks_that_wait_run_and_are_parked_were_seen(evidence: Evidence) -> None:
    """Parked was waited for; at the end nothing is left."""
    peaks = evidence.received.peaks
    state = "agent_team.task.state"
    seen = {
        point.attributes[state]: peak
        for point, peak in peaks.values()
        if point.name == "agent_team.tasks"
    }
    assert seen["parked"] == 1
    assert seen["waiting"] == 1
    assert evidence.received.total("agent_team.tasks") == 0


def test_the_metrics_of_temporals_sdk_stand_beside_them(evidence: Evidence) -> None:
    names = {point.name for point in evidence.received.series.values()}
    assert "temporal_workflow_completed" in names
    assert "temporal_activity_execution_latency" in names
    services = {
        point.service
        for point in evidence.received.series.values()
        if point.name.startswith("temporal_")
    }
    assert services == {"durable-agent-team"}


def test_the_history_grows_by_a_small_header_an_activity(evidence: Evidence) -> None:
    assert len(evidence.header_bytes) >= 8
    assert 0 < max(evidence.header_bytes) < 250


def test_no_metric_has_a_label_without_an_end(evidence: Evidence) -> None:
    def endless(point: Point) -> bool:
        values = {str(value) for value in point.attributes.values()}
        tasks = {"broken", "slow", "short", "dear"}
        return bool(values & (tasks | {RUN})) or "call_key" in str(point.attributes)

    assert [point for point in evidence.received.series.values() if endless(point)] == []


def test_no_key_and_nobodys_words_went_out(evidence: Evidence) -> None:
    places = {
        "telemetry": bytes(evidence.received.raw),
        "worker's log": evidence.worker_log.encode(),
        "gateway's log": evidence.gateway_log.encode(),
    }
    words = {"goal": GOAL, "prompt": PROMPT, "answer": ANSWER}
    assert GOAL in evidence.starter_out or ANSWER in evidence.starter_out
    assert all(len(data) > 500 for data in places.values())
    assert secrets.found({**evidence.secrets, **words}, places) == []
    assert secrets.found(evidence.secrets, {"output": evidence.starter_out.encode()}) == []


def test_no_key_is_in_any_file_of_the_run(evidence: Evidence) -> None:
    """Temporal's database, the gateway's, the logs, both reports, each with its run in it."""
    files = evidence.files
    databases = {"temporal.db", "gateway.db"}
    assert databases | {"worker.log", "gateway.log", "report.md", "report.html"} <= files.keys()
    for name in ("temporal.db", "report.md", "report.html"):
        assert any(RUN.encode() in data for each, data in files.items() if name in each), name
    assert {"sealing", "parent", "secret", "upstream"} < evidence.secrets.keys()
    assert len(evidence.secrets) == 4 + len(TEAM["agents"]) + 1, "and the orchestrator's"
    assert secrets.found(evidence.secrets, files) == []


def lines(log: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.splitlines()]


def test_a_line_of_the_workers_log_names_run_task_agent_and_trace(evidence: Evidence) -> None:
    trace = the_trace(evidence)[0].span.trace_id.hex()
    [failed] = [
        line
        for line in lines(evidence.worker_log)
        if line.get("task") == "broken" and line["level"] == "warning"
    ]
    assert failed["workflow_id"] == RUN
    assert failed["run_id"]
    assert (failed["team"], failed["agent"]) == ("brief", "research")
    assert failed["trace_id"] == trace
    assert len(failed["span_id"]) == 16
    assert failed["call_key"]


def test_the_gateways_lines_join_them(evidence: Evidence) -> None:
    chats = [
        line for line in lines(evidence.gateway_log) if "/v1/chat/completions" in line["message"]
    ]
    assert len(chats) >= 8
    trace = the_trace(evidence)[0].span.trace_id.hex()
    assert {line["trace_id"] for line in chats} == {trace}
    assert {line["workflow_id"] for line in chats} == {RUN}
    assert {line["task"] for line in chats} > {"broken", "slow", "short", "dear", "brief"}
    keys = {line["call_key"] for line in lines(evidence.worker_log) if "call_key" in line}
    assert keys <= {line["call_key"] for line in chats}
