"""The workflow replays the committed histories of earlier runs."""

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from durable_agent_team.payloads.converter import DATA_CONVERTER
from tests.support.sandbox import strict_runner
from workflows.orchestrator import Orchestrator

HISTORIES = Path(__file__).with_name("histories")
RECORDED = sorted(HISTORIES.glob("*.json"))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
async def test_a_recorded_run_replays(path: Path) -> None:
    await _replayer().replay_workflow(recorded(path))


async def test_a_history_of_another_workflow_is_refused() -> None:
    """The check can fail: with other activities, the same history does not replay."""
    broken = recorded(HISTORIES / "given_plan.json", activity="something_else")
    with pytest.raises(Exception, match="Nondeterminism error"):
        await _replayer().replay_workflow(broken)


def recorded(path: Path, activity: str | None = None) -> WorkflowHistory:
    history = json.loads(path.read_text())
    for event in history["events"]:
        attributes = event.get("activityTaskScheduledEventAttributes")
        if attributes and activity:
            attributes["activityType"]["name"] = activity
    return WorkflowHistory.from_json(path.stem, json.dumps(history))


def _replayer() -> Replayer:
    return Replayer(
        workflows=[Orchestrator],
        workflow_runner=strict_runner(),
        data_converter=DATA_CONVERTER,
    )
