"""A team without tasks: the orchestrator decomposes the goal, and its plan is checked."""

import json
from typing import Any

from temporalio.client import Client

from durable_agent_team.contracts.call import MAX_REASONS, CallRequest, CallResult, Purpose
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunStatus
from tests.support.fakes import COST, FakeWorld
from tests.workflows.runs import GOAL, failure_of, result_of, team

GOOD = [
    {"id": "t1", "agent": "research", "ask": "List what is known about demand.", "depends_on": []},
    {"id": "t2", "agent": "editor", "ask": "Write a short summary.", "depends_on": ["t1"]},
]


class Planner:
    """Answers the planning calls with these plans, one after the other."""

    def __init__(self, *plans: Any) -> None:
        self.plans = list(plans)
        self.world = FakeWorld(self)

    def __call__(self, call: CallRequest) -> CallResult | None:
        if call.purpose is not Purpose.PLAN:
            return None
        plan = self.plans.pop(0) if len(self.plans) > 1 else self.plans[0]
        text = plan if isinstance(plan, str) else json.dumps({"tasks": plan})
        return self.world.answer(call, text)


def without_tasks() -> dict[str, Any]:
    return {key: value for key, value in team().items() if key not in ("tasks", "result")}


async def test_the_plan_is_carried_out(client: Client) -> None:
    planner = Planner(GOOD)
    report = await result_of(client, planner.world, {"team": without_tasks()})
    assert report.status is RunStatus.COMPLETED
    assert [each.task.id for each in report.outcomes] == ["t1", "t2"]
    plan_call = planner.world.of(Purpose.PLAN)[0]
    assert plan_call.goal == GOAL
    assert isinstance(plan_call.output, dict), "the schema is derived from the team"
    for call in planner.world.of(Purpose.WORK):
        assert GOAL not in call.model_dump_json()


async def test_an_invalid_plan_goes_back_with_the_errors(client: Client) -> None:
    cyclic = [{**GOOD[0], "depends_on": ["t2"]}, GOOD[1]]
    verbatim = [{**GOOD[0], "ask": f"Please {GOAL.upper()}."}, GOOD[1]]
    stranger = [{**GOOD[0], "agent": "stranger"}, GOOD[1]]
    planner = Planner(cyclic, verbatim, stranger, GOOD)
    report = await result_of(client, planner.world, {"team": {**without_tasks(), "max_repairs": 3}})
    assert report.status is RunStatus.COMPLETED
    sent_back = [call.rejected for call in planner.world.of(Purpose.PLAN)]
    assert sent_back[0] is None
    reasons = [" ".join(each.reasons) for each in sent_back[1:] if each]
    assert "cycle" in reasons[0]
    assert "goal" in reasons[1]
    assert "stranger" in reasons[2]
    orchestrator = report.spend.agents[0]
    assert orchestrator.failed_attempts_usd == 3 * COST
    assert orchestrator.repairs_usd == COST


async def test_a_planner_that_never_learns_fails_the_run(client: Client) -> None:
    planner = Planner("no plan at all")
    error = await failure_of(client, planner.world, {"team": without_tasks()})
    assert error.type == ErrorType.RUN_FAILED
    assert error.message.startswith(ErrorType.INVALID_PLAN)
    assert len(planner.world.calls) == 3


async def test_a_plan_with_more_problems_than_fit_is_sent_back_anyway(
    client: Client,
) -> None:
    """Where the upstream has not enforced the schema."""
    strangers = [{**GOOD[0], "id": f"t{n}", "agent": f"stranger-{n}"} for n in range(60)]
    planner = Planner(strangers, GOOD)
    report = await result_of(client, planner.world, {"team": without_tasks()})
    assert report.status is RunStatus.COMPLETED
    again = planner.world.of(Purpose.PLAN)[1]
    assert again.rejected is not None
    assert len(again.rejected.reasons) == MAX_REASONS
