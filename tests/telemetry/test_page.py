"""docs/telemetry.md lists what a receiver gets and what the logs hold: no more and no less."""

import json
import re
from collections import defaultdict

from durable_agent_team.process.project_root import PROJECT_ROOT
from tests.telemetry.stage import Evidence
from tests.telemetry.test_one_run import CALLS

PAGE = (PROJECT_ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")
ELSEWHERE = {"gateway.overrun_micro_usd"}
"""What this run does not meet: tried in tests/gateway."""


def table(first: str) -> dict[str, list[str]]:
    """The rows of all tables that begin with this column, by their first cell."""
    rows: dict[str, list[str]] = {}
    inside = False
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        inside = line.startswith("|") and (inside or cells[0] == first)
        if inside and cells[0].startswith("`"):
            rows[cells[0].strip("`")] = cells[1:]
    return rows


def names(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


def short(word: str) -> set[str]:
    """What *word* stands for."""
    [meaning] = re.findall(rf"\*{word}\* means (.*?)\.(?:\s|$)", PAGE, re.DOTALL)
    return names(meaning)


def labels(cell: str) -> set[str]:
    words = {word.strip() for word in cell.split(",")} & {"call", "account"}
    return names(cell).union(*(short(word) for word in words))


def test_every_metric_with_its_unit_and_its_labels(evidence: Evidence) -> None:
    received: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for point in evidence.received.series.values():
        if not point.name.startswith("temporal_") and "tool" not in point.name:
            received[point.name, point.unit] |= set(point.attributes)
    told = {
        (name, cells[0].strip("`")): labels(cells[1])
        for name, cells in table("metric").items()
        if name not in ELSEWHERE
        and not name.endswith(("token_parts", "saved_micro_usd"))
        and "tool" not in name  # tests/activities/tools/test_tool_spans.py
    }
    assert received == told


def test_every_outcome_that_was_met_is_named(evidence: Evidence) -> None:
    for metric, label in (
        ("agent_team.calls", "agent_team.outcome"),
        ("gateway.calls", "gateway.outcome"),
        ("gateway.refusals", "gateway.reason"),
        ("agent_team.tasks", "agent_team.task.state"),
    ):
        for point in evidence.received.points(metric):
            assert f"`{point.attributes[label]}`" in PAGE


def test_every_attribute_of_a_calls_span(evidence: Evidence) -> None:
    """Those of kinds of tokens are in tests/unit/test_token_kinds.py: the stage has none."""
    received: defaultdict[str, set[str]] = defaultdict(set)
    for each in evidence.received.spans:
        if each.span.name in CALLS:
            side = "gateway" if each.service == "atxp-gateway" else "worker"
            received[side] |= set(each.attributes)
    rows = table("attribute")
    for side in ("worker", "gateway"):
        told = {name for name, cells in rows.items() if cells[0] in (side, "both")}
        kinds = {name for name in told if "if any" in rows[name][1]}
        assert received[side] | kinds == told, side


def test_every_field_of_a_log_line(evidence: Evidence) -> None:
    rows = table("field")
    for side, log in (("worker", evidence.worker_log), ("gateway", evidence.gateway_log)):
        found = {field for line in log.splitlines() for field in json.loads(line)}
        told = {name for name, cells in rows.items() if cells[0] in (side, "both")}
        assert found - told == set(), side
        assert told - found <= {"error", "task_queue"}, side


def test_temporals_spans_are_the_ones_that_are_named(evidence: Evidence) -> None:
    for each in evidence.received.spans:
        if each.span.name not in CALLS:
            assert all(f"`{name}`" in PAGE for name in each.attributes)
    spans = {each.span.name.partition(":")[0] for each in evidence.received.spans}
    assert {"StartWorkflow", "RunWorkflow", "StartActivity", "RunActivity"} <= spans
