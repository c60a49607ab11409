"""`rerun`, and `--reuse`: what is printed, and the exit code. What is taken over:
`tests/client/test_reruns.py`."""

import asyncio
import json

import pytest

from durable_agent_team.cli.adjust_option import parse_adjustment
from durable_agent_team.cli.exit_codes import CommandError
from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.run import RunReport
from tests.cli.support import TEAM, Starter, lines, new_id
from tests.cli.test_start_run import fail_prices
from tests.support.fakes import FakeWorld
from tests.support.printed_commands import commands_in, parsed


async def test_a_failed_run_is_gone_on_from(starter: Starter, world: FakeWorld) -> None:
    world.rule = fail_prices
    await starter("run", starter.team(), "--id", (run := new_id()))
    world.rule = None
    world.books.clear()
    ended = await starter("rerun", run, "--id", (again := new_id()))
    assert ended.code == 0, ended.err
    assert f"run {again}" in ended.err
    saved = f"1 task taken over from {run}, 0.010000 USD not paid again; 2 tasks will run"
    assert saved in ended.err
    assert f"facts (research): done, taken over from {run}, 0.010000 USD there" in ended.out
    assert f"taken over from {run}, 0.010000 USD there: facts" in ended.out
    assert (
        "taken over from other runs (tasks, plan and answer), and not paid here: 0.01" in ended.out
    )
    assert "ledger: 0.030000 USD, agrees" in ended.out
    charges, state, graph = await asyncio.gather(
        *(starter(view, again) for view in ("charges", "state", "graph"))
    )
    assert f"taken over from {run}, 0.010000 USD there" in charges.out
    assert "0.030000" in lines(charges.out)[-1]
    assert f"taken over from {run}, 0.010000 USD there: facts" in state.out
    assert f"facts (research · done · 0.010000 USD in {run})" in graph.out


async def test_the_printed_command_starts_one_run_however_often_it_is_pasted(
    starter: Starter, world: FakeWorld
) -> None:
    world.rule = fail_prices
    ended = await starter("run", starter.team(), "--id", (run := new_id()))
    world.rule = None
    [printed] = {tuple(parsed(each)) for each in commands_in(ended.out) if " rerun " in each}
    first = await starter(*printed, "--detach")
    assert first.code == 0, first.err
    assert (await starter("result", first.out.strip())).code == 0
    paid = len(world.calls)
    again = await starter(*printed)
    assert (again.code, again.out, len(world.calls)) == (2, "", paid)
    assert f"{first.out.strip()}: already taken by another run" in again.err
    deliberate = await starter("rerun", run, "--detach")
    assert deliberate.code == 0, deliberate.err
    assert deliberate.out != first.out


async def test_with_detach_it_prints_the_new_id_and_what_it_saves(
    starter: Starter, world: FakeWorld
) -> None:
    await starter("run", starter.team(), "--id", (run := new_id()))
    ended = await starter(
        "rerun", run, "--detach", "--json", "--id", (again := new_id()), "--from", "prices",
        "--adjust", "research.instructions=Look twice.", "--adjust", "research.budget_usd=0.75",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert json.loads(ended.out) == {
        "workflow_id": again,
        "reused_from": run,
        "tasks_taken_over": ["facts"],
        "tasks_to_run": ["prices", "text"],
        "reused_usd": "0.01",
    }
    report = RunReport.model_validate_json((await starter("result", again, "--json")).out)
    assert [call.system.endswith("Look twice.") for call in world.calls if call.task == "prices"]
    assert [f"{each.budget_usd:.2f}" for each in report.spend.agents] == ["5.00", "0.75", "1.00"]


async def test_what_is_wrong_starts_nothing(starter: Starter, world: FakeWorld) -> None:
    release = asyncio.Event()

    async def hold(call: CallRequest) -> None:
        await release.wait()

    world.rule = hold
    await starter("start", starter.team(), "--id", (run := new_id()))
    ended, mistaken = await asyncio.gather(
        starter("rerun", run), starter("rerun", run, "--adjust", "nonsense")
    )
    release.set()
    assert ended.code == mistaken.code == 2
    assert f"run {run}: it is still open" in ended.err
    assert f"retry {run} TASK" in ended.err
    assert "--adjust = nonsense: not AGENT.KEY=VALUE" in mistaken.err
    assert "Traceback" not in ended.err + mistaken.err


async def test_reuse_pays_only_for_what_has_changed(starter: Starter, world: FakeWorld) -> None:
    await starter("run", starter.team(), "--id", (run := new_id()))
    world.calls.clear()
    same = await starter("run", starter.team(), "--reuse", run)
    assert same.code == 0, same.err
    assert "0.040000 USD not paid again; nothing has to run" in same.err
    assert not world.calls
    other = TEAM.replace("List the prices.", "List all prices.")
    ended = await starter("start", starter.team(other), "--reuse", run, "--id", (new := new_id()))
    assert ended.out.strip() == new
    assert f"1 task taken over from {run}" in ended.err
    await starter("result", new)
    assert sorted(call.task for call in world.calls) == ["answer", "prices", "text"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("nonsense", "--adjust = nonsense: not AGENT.KEY=VALUE or KEY=VALUE"),
        ("=1", "--adjust = =1: not AGENT.KEY=VALUE"),
        (".model=m", "--adjust = .model=m: not AGENT.KEY=VALUE"),
        ("research.colour=red", "--adjust research.colour: no such setting (one of: AGENT.model"),
        ("colour=red", "--adjust colour: no such setting"),
        ("research.max_attempts=99", "--adjust research.max_attempts = 99: "),
        ("research.timeout_seconds=soon", "--adjust research.timeout_seconds = soon: "),
        ("research.budget_usd=lots", "--adjust research.budget_usd = lots: this is not an amount"),
        ("Not An Agent.model=m", "--adjust = Not An Agent: "),
        ("max_parallel=0", "--adjust max_parallel = 0: "),
        ("budget_usd=1_0", "--adjust budget_usd = 1_0: this is not an amount"),
        ("deadline=2030-01-01T00:00:00Z", "`limits RUN --deadline TIME` sets it"),
    ],
)
def test_a_wrong_setting_is_named(given: str, words: str) -> None:
    with pytest.raises(CommandError) as refused:
        parse_adjustment(given)
    assert words in str(refused.value)


def test_a_value_may_contain_what_separates() -> None:
    change = parse_adjustment("research.model=provider/model=a.b")
    assert change.model_dump(exclude_unset=True) == {
        "agent": "research", "model": "provider/model=a.b",
    }  # fmt: skip
