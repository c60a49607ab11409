"""A tool with `once`, from the team's function to the gateway: the worker's own processes and the
real gateway."""

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr

from activities.programs.exceptions import ProgramError
from activities.programs.runner import ProgramOutput, Scope
from activities.programs.scope_account import ScopeAccount
from durable_agent_team.contracts.effects import EffectAnswer, EffectDecision
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.program_kinds import PythonRun
from tests.activities.programs.support import content, program_call, runs_in
from tests.activities.support import client
from tests.gateway.client import Agent, world
from tests.support.gateway import PARENT_KEY

SHOP = """
import pathlib, time
from durable_agent_team.agents import AgentTask, once

HERE = pathlib.Path(__file__).parent

@once
def refund(order: str) -> str:
    with (HERE / "refunds").open("a") as file:
        file.write(order + "\\n")
    if (HERE / "hangs").exists():
        time.sleep(60)
    return "r-99"

def work(task: AgentTask) -> str:
    try:
        return refund("o17")
    except BaseException as error:
        if (HERE / "swallows").exists():
            return "no refund was made"
        raise
"""


async def attempt(agent: Agent, root: Path, number: int, seconds: float = 30) -> ProgramOutput:
    scope = Scope("scope-1", number, agent.api.url, SecretStr(agent.key))
    program = program_call(PythonRun(python="shop:work", directory=str(root)))
    with runs_in(root) as runs:
        return await runs.runner.run(program, scope, seconds)


async def decide(agent: Agent, decided: EffectAnswer) -> None:
    """As the activity does before it starts the program."""
    async with client() as http:
        account = ScopeAccount(http, agent.api.url, SecretStr(PARENT_KEY))
        scope = Scope("scope-1", 1, agent.api.url, SecretStr(agent.key))
        await account.answer(scope, agent.id, decided)


@pytest.mark.parametrize("decision", EffectDecision)
async def test_a_program_that_is_killed_in_its_tool_parks_and_continues_as_decided(
    tmp_path: Path, decision: EffectDecision
) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "hangs").touch()
    async with world() as w:
        agent = await w.api.open()
        first = asyncio.create_task(attempt(agent, tmp_path, 1001))
        while not content(tmp_path / "refunds"):
            await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.wait([first])
        (tmp_path / "hangs").unlink()
        (tmp_path / "swallows").touch()
        with pytest.raises(ProgramError, match="attempt 1001 began") as error:
            await attempt(agent, tmp_path, 1002)
        assert error.value.kind is ErrorType.EFFECT_UNKNOWN
        effect = error.value.effect
        assert effect is not None
        given = {"result": '{"id": 7}'} if decision is EffectDecision.RESULT else {}
        decided = EffectAnswer(
            effect=effect.effect, decision=decision, attempt=effect.attempt, **given
        )
        for _ in range(2):  # an activity that is attempted again says it again
            await decide(agent, decided)
        output = await attempt(agent, tmp_path, 2001)
        await decide(agent, decided)
        expected = {"retry": "r-99", "skip": "no refund was made", "result": '{"id": 7}'}
        assert output.answer == expected[decision.value]
        runs = 2 if decision is EffectDecision.RETRY else 1
        assert content(tmp_path / "refunds") == "o17\n" * runs
