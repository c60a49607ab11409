"""Runs whose histories are recorded: in each file those of one part of the workflow."""

from tests.replay.scenarios import executions, plans, programs, steering, tools
from tests.replay.scenarios.scenario import Scenarios

SCENARIOS: Scenarios = {
    **plans.SCENARIOS,
    **steering.SCENARIOS,
    **executions.SCENARIOS,
    **programs.SCENARIOS,
    **tools.SCENARIOS,
}
