"""A capable model plans: in the whole form, whose mistakes go back to it in words."""

import json
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import Client

from durable_agent_team.contracts.call import CallRequest, CallResult, Purpose
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.model_catalog import ModelCatalog, ModelPrice
from durable_agent_team.contracts.run import RunStatus
from durable_agent_team.contracts.team import Checks
from tests.support.fakes import FakeWorld
from tests.workflows.runs import GOAL, failure_of, result_of
from tests.workflows.test_planning import GOOD, Planner
from tests.workflows.test_review import FINISH

GPL = "licences/GPL-2.txt"
DUTIES = {"type": "object", "properties": {"duties": {"type": "array"}}, "required": ["duties"]}


def catalog(planning: Any = None) -> ModelCatalog:
    price = ModelPrice(model="m", input_usd=Decimal(1), output_usd=Decimal(1), planning=planning)
    return ModelCatalog(
        models=(price,), default_model="m", priced=True, accounts_locally=True,
        plans_by_model=True, plans_with_room=True,
    )  # fmt: skip


def lawyers(**changes: Any) -> dict[str, Any]:
    team = {
        "name": "licences",
        "goal": GOAL,
        "max_tasks": 12,
        "orchestrator": {"budget_usd": 5},
        "agents": {
            "lawyer": {"role": "Lawyer", "inputs": [GPL], "budget_usd": 1},
            "writer": {"role": "Writer", "budget_usd": 1},
        },
    }
    return {"team": {**team, **changes}, "sources": {GPL: "You must keep the notices. " * 40}}


def sound() -> dict[str, Any]:
    """Ten tasks with ids of their own, and asks in any words."""
    readings = [
        {
            "id": f"gpl-section-{number}",
            "agent": "lawyer",
            "ask": f"From {GPL}, list every duty (section {number}.0).",
            "output": json.dumps(DUTIES),
        }
        for number in range(1, 9)
    ]
    ids = [each["id"] for each in readings]
    quotes = {"id": "quotes", "agent": "lawyer", "ask": 'Quote what it calls "notices".'}
    note = {"id": "note", "agent": "writer", "ask": "Sum up [in 5 lines]: duties, notices_kept."}
    return {
        "tasks": [
            *readings,
            {**quotes, "output": "findings", "inputs": None, "checks": None},
            {**note, "depends_on": [*ids, "quotes"], "checks": {"min_length": 5}},
        ],
        "result": "note",
    }


def planner(*plans: Any, planning: Any = None) -> Planner:
    texts = [each if isinstance(each, str | list) else json.dumps(each) for each in plans]
    planner = Planner(*texts)
    planner.world.catalog = catalog(planning)
    return planner


async def test_a_sound_plan_is_accepted_and_carried_out_as_it_was_written(client: Client) -> None:
    of = planner(f"Here is the plan:\n```json\n{json.dumps(sound(), indent=1)}\n```\n")
    report = await result_of(client, of.world, lawyers())
    assert report.status is RunStatus.COMPLETED
    assert len(of.world.of(Purpose.PLAN)) == 1
    work = {call.task: call for call in of.world.of(Purpose.WORK)}
    assert work.keys() == {each["id"] for each in sound()["tasks"]}
    assert work["gpl-section-2"].ask == f"From {GPL}, list every duty (section 2.0)."
    assert work["gpl-section-2"].output == DUTIES
    assert work["quotes"].checks == Checks(quotes_exist_in="inputs")
    assert work["note"].checks == Checks(min_length=5)
    assert len(work["note"].sources) == 9
    for call in work.values():
        assert GOAL not in call.model_dump_json()


@pytest.mark.parametrize(
    ("orchestrator", "tokens"),
    [
        ({"budget_usd": 5}, [4_096]),
        ({"budget_usd": 5, "max_tokens": 700}, [700]),
    ],
    ids=["default", "its own"],
)
async def test_a_plan_may_be_longer_than_other_answers(
    client: Client, orchestrator: dict[str, Any], tokens: list[int]
) -> None:
    of = planner(sound())
    report = await result_of(client, of.world, lawyers(orchestrator=orchestrator))
    assert report.status is RunStatus.COMPLETED
    assert [call.max_tokens for call in of.world.of(Purpose.PLAN)] == tokens
    assert {call.max_tokens for call in of.world.of(Purpose.WORK)} == {512}


async def test_an_invalid_plan_goes_back_with_every_reason(client: Client) -> None:
    wrong = sound()
    wrong["tasks"][0] |= {"id": "GPL 1", "agent": "orchestrator"}
    wrong["tasks"][1]["ask"] = f"{GOAL.upper()}!"
    wrong["tasks"][2]["output"] = {"type": "thing"}
    wrong["tasks"][3]["inputs"] = ["MIT.txt"]
    no_schema = sound()
    no_schema["tasks"][2]["output"] = {"type": "thing"}
    of = planner(wrong, no_schema, sound())
    report = await result_of(client, of.world, lawyers())
    assert report.status is RunStatus.COMPLETED
    _, first, second = (call.rejected for call in of.world.of(Purpose.PLAN))
    assert first is not None
    assert second is not None
    assert first.reasons == (
        "tasks[0].id = GPL 1: this is not a name (write it as gpl-1: small letters, digits, - and"
        " _, beginning with a letter, at most 40)",
        "tasks.note.depends_on = gpl-section-1: no such task (did you mean `gpl-section-8`?)",
        "tasks.gpl-section-4.inputs = MIT.txt: the run has no document of this name"
        f" (one of: {GPL})",
        f"tasks.gpl-section-2.ask = {GOAL.upper()}!: it repeats the whole goal (ask for one narrow"
        " part of it, in other words)",
    )
    (reason,) = second.reasons
    assert reason.startswith("tasks.gpl-section-3.output = $.type: this is not a JSON Schema")


async def test_a_plan_that_is_too_dear_goes_back_with_both_figures(client: Client) -> None:
    few = {"tasks": [sound()["tasks"][0]], "result": None}
    of = planner(sound(), few)
    agents = lawyers()["team"]["agents"]
    agents["lawyer"]["budget_usd"] = "0.015"
    report = await result_of(client, of.world, lawyers(agents=agents))
    sent_back = of.world.of(Purpose.PLAN)[1].rejected
    assert sent_back is not None
    (reason,) = sent_back.reasons
    assert reason.startswith("agents.lawyer = 0.")
    assert "its 9 tasks (quotes 0.0" in reason
    assert "it has 0.015 USD left" in reason
    assert "0.015 USD left" in of.world.of(Purpose.PLAN)[0].ask
    assert [each.task.id for each in report.outcomes] == ["gpl-section-1"]


async def test_a_planner_that_never_learns_fails_the_run_in_words(client: Client) -> None:
    hundred = {"tasks": [{"id": f"t{n}", "agent": "writer", "ask": "Write."} for n in range(100)]}
    of = planner(hundred)
    error = await failure_of(client, of.world, lawyers())
    assert error.message.startswith(ErrorType.INVALID_PLAN)
    assert "tasks = 100: more than max_tasks, 12" in error.message
    assert len(of.world.calls) == 3


async def test_the_bundled_model_plans_in_the_narrow_form(client: Client) -> None:
    tasks = [{**GOOD[0], "agent": "lawyer"}, {**GOOD[1], "agent": "writer"}]
    of = planner(tasks, planning="narrow")
    report = await result_of(client, of.world, lawyers())
    assert report.status is RunStatus.COMPLETED
    (call,) = of.world.of(Purpose.PLAN)
    assert "<subject>" in call.ask
    assert not call.checked_by_workflow
    outputs = {each.task: each.output for each in of.world.of(Purpose.WORK)}
    assert outputs == {"t1": "findings", "t2": "text"}


async def test_a_review_adds_what_a_plan_can_have(client: Client) -> None:
    copied = {"agent": "writer", "ask": GOAL.rstrip(".") + "!", "depends_on": []}
    table = {"id": "table", "agent": "lawyer", "ask": "List the duties.", "output": DUTIES}
    note = {"agent": "writer", "ask": "Check it.", "depends_on": ["table"], "checks": None}
    reviews = [
        {**FINISH, "add": [copied]},
        f"I add two.\n{json.dumps({'add': [table, note], 'redo': None})}",
        {"redo": [], "drop": [], "add": []},
    ]

    def rule(call: CallRequest) -> CallResult | None:
        if call.purpose is not Purpose.REVIEW:
            return of(call)
        review = reviews.pop(0)
        return of.world.answer(call, review if isinstance(review, str) else json.dumps(review))

    of = planner({"tasks": [{"id": "first", "agent": "writer", "ask": "Write a line."}]})
    world = of.world = FakeWorld(rule)
    world.catalog = catalog()
    report = await result_of(client, world, lawyers(review_rounds=2))
    assert report.status is RunStatus.COMPLETED
    sent_back = world.of(Purpose.REVIEW)[1].rejected
    assert sent_back is not None
    assert sent_back.reasons[0].startswith("tasks.review1-1.ask = ")
    assert "it repeats the whole goal" in sent_back.reasons[0]
    added = {call.task: call for call in world.of(Purpose.WORK)}
    assert added["review1-1"].output == DUTIES
    assert [source.name for source in added["review1-2"].sources] == ["review1-1"]
