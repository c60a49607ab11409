"""The script that records the histories, and what it has recorded."""

import base64
import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import workflows
from tests.replay.record import HISTORIES
from tests.replay.scenarios import SCENARIOS
from workflows.command_turns import IN_TURNS
from workflows.money.run_accounts import CATALOG_IN_ACTIVITY

WORKFLOWS = Path(workflows.__file__).parent
PATCHED = re.compile(r"workflow\.patched\((\w+)\)")
NOT_RECORDED = {
    IN_TURNS: "it takes megabytes in one workflow task",
    CATALOG_IN_ACTIVITY: "only runs that an earlier version has begun come to it",
}


def test_every_scenario_is_recorded() -> None:
    assert {path.stem for path in HISTORIES.glob("*.json")} >= set(SCENARIOS)


def test_every_patch_is_in_a_history() -> None:
    """Without one, a change behind the patch would break open runs, and no test."""
    recorded = {patch for path in HISTORIES.glob("*.json") for patch in _recorded_in(path)}
    assert set(_patches()) - recorded == set(NOT_RECORDED)


def _patches() -> Iterator[str]:
    """The ids of all patches of the workflow."""
    for path in WORKFLOWS.rglob("*.py"):
        for name in PATCHED.findall(path.read_text()):
            parts = path.relative_to(WORKFLOWS.parent).with_suffix("").parts
            yield getattr(importlib.import_module(".".join(parts)), name)


def _recorded_in(path: Path) -> Iterator[str]:
    for event in json.loads(path.read_text())["events"]:
        marker = event.get("markerRecordedEventAttributes")
        if marker and marker["markerName"] == "core_patch":
            (payload,) = marker["details"]["patch-data"]["payloads"]
            yield json.loads(base64.b64decode(payload["data"]))["id"]
