"""A start happens once, although its answer may be lost."""

from typing import Any

import pytest
from temporalio.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    StartWorkflowInput,
    WorkflowHandle,
)
from temporalio.service import RPCError, RPCStatusCode

from durable_agent_team.client.exceptions import RunIdTaken, StartNotConfirmed, UpdateRefused
from durable_agent_team.client.run_start import new_run_id
from durable_agent_team.client.runs import get_run, start_run
from durable_agent_team.contracts.run import RunStatus
from tests.cli.support import new_id
from tests.client.test_run_handle import request
from tests.support.fakes import FakeWorld


class LostAnswers(Interceptor):
    """Sends each start to the server, and loses the answers of the first ones."""

    def __init__(
        self, lost: int, status: RPCStatusCode = RPCStatusCode.UNAVAILABLE, *, sent: bool = True
    ) -> None:
        self.left = lost
        self.status = status
        self.sent = sent
        self.attempts = 0

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _Losing(next, self)


class _Losing(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, plan: LostAnswers) -> None:
        super().__init__(next)
        self._plan = plan

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        plan = self._plan
        plan.attempts += 1
        lost = plan.left > 0
        plan.left -= lost
        if not lost:
            return await super().start_workflow(input)
        if plan.sent:
            await super().start_workflow(input)
        raise RPCError("the connection broke", plan.status, b"")


def through(client: Client, interceptor: Interceptor) -> Client:
    """The same client, with an interceptor of its own."""
    config = client.config()
    config["interceptors"] = [interceptor]
    return Client(**config)


@pytest.mark.parametrize("status", [RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED])
async def test_a_start_whose_answer_was_lost_is_found_and_not_repeated(
    client: Client, world: FakeWorld, status: RPCStatusCode
) -> None:
    losing = LostAnswers(1, status)
    run = await start_run(through(client, losing), request(1), id=new_id())
    assert losing.attempts == 1
    assert (await run.result()).status is RunStatus.COMPLETED
    assert len(world.calls) == 2, "one task and the answer, each paid once"


async def test_another_run_of_the_same_id_is_never_taken_for_this_one(
    client: Client, world: FakeWorld
) -> None:
    first = await start_run(client, request(1), id=new_id())
    with pytest.raises(RunIdTaken, match=first.id):
        await start_run(through(client, LostAnswers(1, sent=False)), request(1), id=first.id)


async def test_an_unconfirmed_start_says_that_it_may_run_and_how_to_start_it_again(
    client: Client, world: FakeWorld
) -> None:
    id = new_id()
    with pytest.raises(StartNotConfirmed) as caught:
        await start_run(through(client, LostAnswers(1, sent=False)), request(1), id=id)
    text = str(caught.value)
    assert "may be running" in text
    assert f"--id {id}" in text
    assert f"state {id}" in text
    await start_run(client, request(1), id=id)
    with pytest.raises(RunIdTaken):
        await start_run(client, request(1), id=id)
    assert (await get_run(client, id).result()).status is RunStatus.COMPLETED
    assert len(world.calls) == 2


async def test_what_the_server_refuses_is_refused_at_once(client: Client, world: FakeWorld) -> None:
    losing = LostAnswers(99, RPCStatusCode.INVALID_ARGUMENT, sent=False)
    with pytest.raises(UpdateRefused, match="the connection broke"):
        await start_run(through(client, losing), request(1), id=new_id())
    assert losing.attempts == 1


def test_run_ids_do_not_collide() -> None:
    """Two of 65,536 ids a second did, in every third batch of 200."""
    assert len({new_run_id("team") for _ in range(50_000)}) == 50_000
