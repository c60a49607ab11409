"""A remote agent that gets the key: the real gateway says what it cost, and why it was refused."""

from decimal import Decimal

import httpx
import pytest
from a2a.types.a2a_pb2 import Part
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.error_types import ErrorType
from tests.activities.remote.support import program
from tests.activities.support import SEALER, context, open_for, rooms_at, spend_of
from tests.support.a2a_server import RemoteAgent, Turn, remote_agent
from tests.support.gateway import running_gateway
from tests.support.remote_programs import remote_programs
from tests.support.upstream import ScriptedUpstream


async def calls_a_model(agent: RemoteAgent, turn: Turn) -> None:
    """With what the headers of the request say; on a refusal it fails without a reason."""
    headers = agent.requests[-1][1]
    async with httpx.AsyncClient(trust_env=False) as http:
        answered = await http.post(
            f"{headers['agent-base-url']}/chat/completions",
            headers={"Authorization": f"Bearer {headers['agent-api-key']}"},
            json={
                "model": headers["agent-model"],
                "messages": [{"role": "user", "content": "What is the price?"}],
                "max_tokens": 100,
            },
        )
    if answered.status_code != 200:
        await turn.updater.failed()
        return
    await turn.answer(Part(text=answered.json()["choices"][0]["message"]["content"]))


@pytest.mark.parametrize("budget", ["1", "0.000050"])
async def test_its_calls_are_paid_from_its_account_and_a_402_parks(
    upstream: ScriptedUpstream, budget: str
) -> None:
    async def behave(turn: Turn) -> None:
        await calls_a_model(agent, turn)

    async with (
        running_gateway(upstream.url) as gateway,
        rooms_at(gateway.base_url, gateway.parent_key) as rooms,
        remote_agent(behave) as agent,
    ):
        opened = await open_for(rooms, ("research", budget))
        call = program(agent.url, run={"send_key": True}, account=opened.accounts[0])
        programs = remote_programs(gateway.base_url, SEALER)
        if budget == "1":
            result = await context().run(programs.run_program, call)
            assert result.answer
            assert result.cost_usd > 0
            again = await context(attempt=2).run(programs.run_program, call)
            assert again.cost_usd == result.cost_usd, "the second attempt's call is replayed"
        else:
            with pytest.raises(ApplicationError) as raised:
                await context().run(programs.run_program, call)
            assert raised.value.type == ErrorType.BUDGET_EXHAUSTED
            assert spend_of(raised.value).remaining_usd == Decimal(budget)
