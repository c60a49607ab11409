"""The script that records the histories, and what it has recorded."""

from tests.replay.record import HISTORIES
from tests.replay.scenarios import SCENARIOS


def test_every_scenario_is_recorded() -> None:
    assert {path.stem for path in HISTORIES.glob("*.json")} >= set(SCENARIOS)
