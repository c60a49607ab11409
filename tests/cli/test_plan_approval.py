"""A plan that waits is shown in full where a person approves it."""

import asyncio

from temporalio.client import Client

from durable_agent_team.contracts.plan_in_full import PlanInFull
from durable_agent_team.contracts.run import RunState
from tests.cli.support import TEAM, Starter, new_id
from tests.cli.test_parked import parked
from tests.support.fakes import FakeWorld
from tests.support.printed_commands import commands_in, parsed, without_since

ASK = "From licences/GPL-2.txt, list every duty (section 2.0)."
ASKING = (
    TEAM.replace("ask: List the facts.", f'ask: "{ASK}"')
    .replace("ask: Write it up.", 'ask: "Write it up.", checks: {min_length: 20}')
    .replace("ask: List the prices.", 'ask: "List the prices.", output: {type: object}')
    + "approve_plan: true\n"
)
SHOWN = (
    "plan    3 tasks, with the orchestrator's calls at most ",
    "facts (research, at most ",
    ASK,
    "after     facts, prices",
    'output    JSON by {"type": "object"}',
    "checks    min length 20",
    "result  text",
    "editor: at most ",
)


async def test_state_approve_and_a_follower_show_all_tasks(
    starter: Starter, world: FakeWorld, client: Client
) -> None:
    run = new_id()
    following = await starter.begin("run", starter.team(ASKING), "--id", run)
    await parked(starter, run)
    state, approve = await starter("state", run), await starter("approve", run)
    assert (state.code, approve.code) == (0, 0), state.err + approve.err
    for text in SHOWN:
        assert text in state.out
        assert text in approve.out
    answers = [parsed(each) for each in commands_in(approve.out)]
    yes_and_no = [["approve", run, "plan"], ["approve", "--no", run, "plan"]]
    assert list(map(without_since, answers)) == yes_and_no
    whole = PlanInFull.model_validate_json((await starter("approve", run, "--json")).out)
    assert [task.id for task in whole.tasks] == ["facts", "prices", "text"]
    assert whole.most_usd is not None
    assert whole.budget_usd == 7
    printed = RunState.model_validate_json((await starter("state", run, "--json")).out)
    assert printed.plan == whole
    asked = await client.get_workflow_handle(run).query("__temporal_workflow_metadata")
    page = asked.current_details
    assert f"- with the orchestrator's calls at most {whole.most_usd:f} USD" in page
    assert f"- **facts** (research, at most {whole.tasks[0].most_usd:f} USD)" in page
    assert (await starter("approve", run, "--no")).code == 2, "a no needs its subject"
    followed = await asyncio.wait_for(_until(following, "editor: at most "), 60)
    assert (await starter(*answers[0])).code == 0
    ended = await asyncio.wait_for(starter.end(following), 60)
    assert ended.code == 0, ended.err
    for text in SHOWN:
        assert text in followed
    assert "nothing of it waits" in (await starter("approve", run)).out


async def _until(process: asyncio.subprocess.Process, text: str) -> str:
    """What the process has printed up to the line with this text. Whoever follows a run may begin
    later than another command asks for it."""
    assert process.stdout is not None
    printed = ""
    while text not in printed:
        line = await process.stdout.readline()
        assert line, f"it ended without {text!r}: {printed}"
        printed += line.decode()
    return printed
