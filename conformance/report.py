"""What is printed: a table for people, JSON for programs."""

import json
import textwrap
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from conformance.checks.check import Check
from conformance.outcome import Outcome, Verdict, as_json

Results = Sequence[tuple[Check, Outcome]]
WIDTH = 100
NAME_WIDTH = 22
VERDICT_WIDTH = 6
SHORT = {Verdict.PASS: "pass", Verdict.FAIL: "FAIL", Verdict.NOT_APPLICABLE: "n/a"}


def line(check: Check, outcome: Outcome) -> str:
    """One row of the table: name, verdict, and the evidence below the title."""
    margin = " " * (NAME_WIDTH + VERDICT_WIDTH)
    first = f"{check.name:<{NAME_WIDTH}}{SHORT[outcome.verdict]:<{VERDICT_WIDTH}}{check.title}"
    evidence = outcome.evidence()
    if not evidence:
        return first
    wrapped = textwrap.wrap(evidence, WIDTH - len(margin))
    return "\n".join([first, *(margin + each for each in wrapped)])


def summary(results: Results) -> str:
    counts = Counter(outcome.verdict for _, outcome in results)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict)


def as_document(results: Results, gateway: str, kind: str) -> str:
    checks: list[dict[str, Any]] = [
        {
            "check": check.name,
            "title": check.title,
            "verdict": outcome.verdict.value,
            "reasons": list(outcome.reasons),
            "facts": {name: as_json(value) for name, value in outcome.facts.items()},
        }
        for check, outcome in results
    ]
    document = {
        "gateway": gateway,
        "kind": kind,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "counts": {
            verdict.value: sum(outcome.verdict is verdict for _, outcome in results)
            for verdict in Verdict
        },
        "checks": checks,
    }
    return json.dumps(document, indent=2)


def status(results: Results) -> int:
    return int(any(outcome.verdict is Verdict.FAIL for _, outcome in results))
