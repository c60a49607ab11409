"""The estimate of an agent with tools: as many calls as it may make, and prompts that grow."""

from decimal import Decimal

from durable_agent_team.contracts.model_catalog import ModelCatalog, ModelPrice
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Agent, Team
from durable_agent_team.contracts.tool_kinds import BuiltInTool
from durable_agent_team.rules.estimate import estimate
from durable_agent_team.rules.tools.turn_prompts import turn_prompts

PRICE = ModelPrice(model="m", input_usd=Decimal(1), output_usd=Decimal(1), context_tokens=16_000)
CLERK = Agent(role="Clerk", tools=(BuiltInTool(built_in="calculate"),), max_turns=6)


def test_each_turn_may_add_an_answer_and_a_result_until_results_make_room() -> None:
    prompts = turn_prompts(1_000, CLERK, PRICE)
    assert len(prompts) == 6
    assert prompts == sorted(prompts)
    assert prompts[1] - prompts[0] > 16_000
    assert prompts[-1] == 32_000, "half of the context, at 4 bytes a token"


def test_an_agent_without_tools_has_one_prompt() -> None:
    assert turn_prompts(1_000, CLERK.model_copy(update={"tools": ()}), PRICE) == [1_000]


def test_the_estimate_counts_all_turns_and_repairs() -> None:
    def of(agent: Agent) -> tuple[int, Decimal]:
        team = Team.model_validate(
            {
                "name": "t",
                "goal": "g",
                "agents": {"clerk": agent.model_copy(update={"model": "m"})},
                "tasks": [{"id": "a", "agent": "clerk", "ask": "x"}],
                "final": "handoff",
            }
        )
        found = estimate(RunRequest(team=team), ModelCatalog(models=(PRICE,), priced=True))
        (call,) = found.calls
        assert call.usd is not None
        return call.calls, call.usd

    with_tools, without = of(CLERK), of(CLERK.model_copy(update={"tools": ()}))
    assert (with_tools[0], without[0]) == (6 + 2, 1 + 2)
    assert with_tools[1] > 6 * without[1] / 3
