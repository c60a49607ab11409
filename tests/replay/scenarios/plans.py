"""Plans, hand-offs and accounts, from the start of a run to its end."""

import json

from temporalio.client import Client

from durable_agent_team.contracts.call import CallRequest, CallResult, Purpose
from durable_agent_team.contracts.text_ref import reference_to
from tests.replay.scenarios.scenario import Handle, Scenarios, ended
from tests.support.fakes import FakeWorld
from tests.workflows.runs import CHAIN, Gate, started, team
from tests.workflows.test_cut_off_answers import cut_off
from tests.workflows.test_notified_ends import URL
from tests.workflows.test_planning import GOOD, Planner, without_tasks
from tests.workflows.test_review import FINISH, Reviewer
from tests.workflows.test_tool_effects import waits
from tests.workflows.test_whole_plans import catalog, lawyers
from tests.workflows.test_whole_plans import planner as whole_planner
from tests.workflows.test_whole_plans import sound as whole_plan


async def given_plan(client: Client) -> Handle:
    return await ended(client, FakeWorld(), {"team": team()})


async def planned(client: Client) -> Handle:
    return await ended(client, Planner("nonsense", GOOD).world, {"team": without_tasks()})


async def planned_in_the_whole_form(client: Client) -> Handle:
    """A schema that goes back, a plan with schemas, and a review that adds a task."""
    bad, good = whole_plan(), whole_plan()
    bad["tasks"][2]["output"] = {"type": "thing"}
    added = {"id": "more", "agent": "writer", "ask": "List it.", "output": {"type": "object"}}
    of = whole_planner(bad, good)

    def rule(call: CallRequest) -> CallResult | None:
        if call.purpose is Purpose.REVIEW:
            return world.answer(call, json.dumps({"add": [added]}))
        return of(call)

    world = of.world = FakeWorld(rule)
    world.catalog = catalog()
    return await ended(client, world, lawyers(review_rounds=1))


async def repaired_and_failed(client: Client) -> Handle:
    def rule(call: CallRequest) -> CallResult | None:
        return world.answer(call, "poor", reasons=("too short",)) if call.task == "a" else None

    world = FakeWorld(rule)
    return await ended(client, world, {"team": team()})


async def cut_off_and_refused(client: Client) -> Handle:
    """An answer that was cut off twice is repaired with more room; the next task is refused."""
    world = FakeWorld()
    cut = cut_off(world, "Half of", "")

    def rule(call: CallRequest) -> CallResult | None:
        if call.task == "a":
            return cut(call)
        words = "I can't help with that request."
        refused = world.answer(call, "", reasons=(f"The model refused: {words}",))
        return refused.model_copy(update={"finish_reason": "refusal", "refusal": words})

    world.rule = rule
    tasks = [{"id": each, "agent": "research", "ask": "Find it."} for each in "ab"]
    tasks[1]["depends_on"] = ["a"]  # type: ignore[assignment]
    return await ended(client, world, {"team": team(tasks=tasks, result="b")})


async def by_reference(client: Client) -> Handle:
    """A document, rejected answers, hand-offs and the answer travel as references."""
    text = "A long text. " * 1_000

    def rule(call: CallRequest) -> CallResult | None:
        if call.purpose is Purpose.REVIEW:
            return world.answer(call, json.dumps(FINISH))
        reasons = ("too long",) if call.task == "b" and call.rejected is None else ()
        answer = world.answer(call, "", reasons)
        return answer.model_copy(update={"answer_ref": reference_to(text + call.task)})

    world = FakeWorld(rule)
    payload = {
        "team": team(
            agents={
                "research": {"role": "Researcher", "budget_usd": 1, "inputs": ["report.md"]},
                "editor": {"role": "Editor", "budget_usd": 1},
            },
            review_rounds=1,
        ),
        "documents": {"report.md": reference_to(text).model_dump()},
    }
    return await ended(client, world, payload)


async def taken_over_and_redone(client: Client) -> Handle:
    """`a` is taken over, and done again while `b` behind it is in flight."""
    gate = Gate("b")
    seed = {"origin": "run-1", "tasks": {"a": {"output": "Facts.", "cost_usd": "0.01"}}}
    payload = {"team": team(tasks=CHAIN, result="c"), "seed": seed}
    async with started(client, FakeWorld(gate), payload) as handle:
        await gate.reached.wait()
        await handle.execute_update("retry_task", {"task": "a"})
        gate.open.set()
        await handle.result()
    return handle


async def local_accounts(client: Client) -> Handle:
    """Accounts by local activities, and none for an orchestrator that is never called."""
    return await ended(client, FakeWorld(), {"team": team(final="handoff")})


async def approved_and_notified(client: Client) -> Handle:
    """The plan and what a review changes wait for approval. `notify_url` is called for both, and
    for the end."""
    reviewer = Reviewer({**FINISH, "redo": ["a"]})
    changes = {"approve_plan": True, "approve_review": "always", "review_rounds": 1}
    notify = {"notify_url": URL, "notify_on": ["waiting", "completed"]}
    given = team(tasks=CHAIN[:2], result="b", **changes, **notify)
    async with started(client, reviewer.world, {"team": given}) as handle:
        for subject in ("plan", "review"):
            await waits(handle, subject)
            await handle.execute_update("approve", {"subject": subject, "approved": True})
        await handle.result()
    return handle


async def shared_budget(client: Client) -> Handle:
    """The agents share the team's budget; the orchestrator is never called and has none of it."""
    agents = {name: {"role": "Researcher"} for name in ("research", "editor")}
    changes = {"agents": agents, "orchestrator": {}, "budget_usd": "0.1", "final": "handoff"}
    return await ended(client, FakeWorld(), {"team": team(**changes)})


SCENARIOS: Scenarios = {
    "given_plan": given_plan,
    "planned": planned,
    "planned_in_the_whole_form": planned_in_the_whole_form,
    "repaired_and_failed": repaired_and_failed,
    "cut_off_and_refused": cut_off_and_refused,
    "by_reference": by_reference,
    "taken_over_and_redone": taken_over_and_redone,
    "local_accounts": local_accounts,
    "shared_budget": shared_budget,
    "approved_and_notified": approved_and_notified,
}
