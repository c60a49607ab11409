"""What the orchestrator is asked when it looks at what was done."""

import json

import pytest

from durable_agent_team.contracts.call import AccountRef, CallRequest
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import TaskStatus
from durable_agent_team.contracts.team import Task, Team
from durable_agent_team.rules.briefing import Briefing, PlanForm
from durable_agent_team.rules.review import parse_review, review_ask

TEAM = Team.model_validate({"name": "brief", "agents": {"research": {"role": "R"}}})


@pytest.mark.parametrize("form", PlanForm)
def test_a_review_of_as_many_tasks_as_a_run_may_have_can_be_asked_for(form: PlanForm) -> None:
    briefing = Briefing(TEAM, "Brief the board", form)
    tasks = tuple(Task(id=f"t{n}", agent="research", ask="word " * 40) for n in range(1_000))
    status = dict.fromkeys((task.id for task in tasks), TaskStatus.DONE)
    CallRequest(
        idempotency_key="k",
        account=AccountRef(agent="orchestrator", account_id="a", sealed_key="s"),
        task="review",
        model="m",
        max_tokens=1,
        system="s",
        ask=review_ask(briefing, status, Plan(tasks=tasks), {}),
    )


@pytest.mark.parametrize("form", PlanForm)
def test_an_agent_that_cannot_be_one_is_told_and_raises_nothing(form: PlanForm) -> None:
    plan = Plan(tasks=(Task(id="a", agent="research", ask="List the facts."),))
    added = {"agent": "The Researcher", "ask": "List the prices.", "depends_on": ["Task a"]}
    briefing = Briefing(TEAM, "Brief the board", form)
    found = parse_review(json.dumps({"add": [added]}), briefing, plan, 1)
    assert isinstance(found, list)
    place = "add.0.agent" if form is PlanForm.NARROW else "tasks.review1-1.agent = The Researcher"
    assert place in str(found[0])
