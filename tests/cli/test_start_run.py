"""`run` and `start`: what is printed, and the exit code."""

import asyncio
import json
import signal

from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunReport, RunState, RunStatus
from tests.cli.support import Starter, lines, new_id
from tests.support.fakes import FakeWorld


def fail_prices(call: CallRequest) -> None:
    if call.task == "prices":
        raise ApplicationError("no such sheet", type=ErrorType.CONTEXT_EXCEEDED, non_retryable=True)


async def test_run_prints_the_answer_and_what_each_agent_spent(
    starter: Starter, world: FakeWorld
) -> None:
    ended = await starter("run", starter.team(), "--id", (run := new_id()))
    assert ended.code == 0, ended.err
    assert f"run {run}" in ended.err
    assert "answer of answer" in ended.out
    table = {line.split()[0]: line for line in lines(ended.out) if "0.0" in line}
    assert "0.020000" in table["research"]
    assert "0.010000" in table["editor"]
    assert "0.010000" in table["orchestrator"]
    assert "0.040000" in table["total"]
    assert "ledger: 0.040000 USD, agrees" in ended.out
    assert "\x1b" not in ended.out, "no terminal, no escape codes"


async def test_run_prints_each_change_of_every_task(starter: Starter, world: FakeWorld) -> None:
    ended = await starter("run", starter.team())
    for task in ("facts (research)", "prices (research)", "text (editor)"):
        assert f"{task}: done" in ended.out


async def test_run_as_json_lines_is_states_and_then_the_report(
    starter: Starter, world: FakeWorld
) -> None:
    ended = await starter("run", starter.team(), "--json")
    assert ended.code == 0, ended.err
    *states, last = lines(ended.out)
    assert states, "a run of several steps is seen on its way"
    for line in states:
        RunState.model_validate_json(line)
    assert RunReport.model_validate_json(last).status is RunStatus.COMPLETED


async def test_a_failed_run_says_why_and_ends_with_1(starter: Starter, world: FakeWorld) -> None:
    world.rule = fail_prices
    ended = await starter("run", starter.team())
    assert ended.code == 1
    assert "prices: ContextExceeded: no such sheet" in ended.out
    assert "0.010000" in ended.out, "what was spent before it failed is shown"
    assert "Traceback" not in ended.err


async def test_the_goal_option_overrides_the_file(starter: Starter, world: FakeWorld) -> None:
    ended = await starter("run", starter.team(), "--goal", "Buy a lighthouse", "--json")
    assert RunReport.model_validate_json(lines(ended.out)[-1]).goal == "Buy a lighthouse"


async def test_an_input_reaches_its_task(starter: Starter, world: FakeWorld) -> None:
    paper = starter.folder / "news.md"
    paper.write_text("Tin is up.")
    ended = await starter("run", starter.team(), "--input", f"facts={paper}")
    assert ended.code == 0, ended.err
    got = {call.task: [source.text for source in call.sources] for call in world.calls}
    assert got["facts"] == ["Tin is up."]
    assert got["prices"] == []


async def test_start_prints_the_id_alone(starter: Starter, world: FakeWorld) -> None:
    run = new_id()
    ended = await starter("start", starter.team(), "--id", run)
    assert (ended.code, ended.out) == (0, f"{run}\n")
    ended = await starter("start", starter.team(), "--json")
    assert json.loads(ended.out)["workflow_id"].startswith("brief-")


async def test_an_id_cannot_be_used_again_even_after_the_run_has_ended(
    starter: Starter, world: FakeWorld
) -> None:
    run = new_id()
    assert (await starter("run", starter.team(), "--id", run)).code == 0
    ended = await starter("run", starter.team(), "--id", run)
    assert ended.code == 2
    assert run in ended.err
    assert "already taken" in ended.err


async def test_ctrl_c_stops_following_and_not_the_run(starter: Starter, world: FakeWorld) -> None:
    gate = asyncio.Event()

    async def wait(call: CallRequest) -> None:
        await gate.wait()

    world.rule = wait
    run = new_id()
    process = await starter.begin("run", starter.team(), "--id", run)
    assert process.stdout is not None
    while "running" not in (await process.stdout.readline()).decode():
        pass
    process.send_signal(signal.SIGINT)
    ended = await starter.end(process)
    assert ended.code == 130
    assert f"starter.py watch {run}" in ended.err.replace("'", "")
    assert "Traceback" not in ended.err
    gate.set()
    again = await starter("watch", run)
    assert again.code == 0, again.err
    assert "answer of answer" in again.out
