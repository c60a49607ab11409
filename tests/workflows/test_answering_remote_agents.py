"""A run with a real remote agent (a2a-sdk's server) on the real Temporal server."""

import asyncio

import pytest
from a2a.types.a2a_pb2 import Part
from temporalio.client import Client

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunReport, RunStatus
from tests.support.a2a_server import Turn, remote_agent
from tests.support.fakes import FakeWorld
from tests.support.remote_programs import remote_programs
from tests.support.run_reports import report_of
from tests.workflows.runs import parked, started, until
from tests.workflows.test_programs import crew


class RemoteWorld(FakeWorld):
    """A `FakeWorld` whose programs are what the worker runs."""

    @property
    def activities(self) -> list[object]:
        return [*super().activities, remote_programs().run_program]


async def asks(turn: Turn) -> None:
    if turn.is_first:
        await turn.updater.requires_input(turn.message("Which market?"))
        return
    await turn.answer(Part(text=f"The facts about {turn.text}."))


@pytest.mark.parametrize("version", ["1.0", "0.3"])
async def test_a_persons_answer_reaches_the_agent_that_asked(client: Client, version: str) -> None:
    async with (
        remote_agent(asks, version=version) as agent,
        started(client, RemoteWorld(), {"team": crew(run={"a2a": agent.url})}) as handle,
    ):
        now = await until(handle, parked)
        (waiting,) = now.waiting
        assert waiting.type == ErrorType.INPUT_REQUIRED
        assert "Which market?" in waiting.reason
        payload = {"task": "research", "decision": "result", "result": "Norway"}
        await handle.execute_update("answer", payload)
        report: RunReport = await handle.result()
    assert report.status is RunStatus.COMPLETED
    assert report.answer == "The facts about Norway."
    assert len({turn.task_id for turn in agent.turns}) == 1
    assert report.spend.total.spent_usd == 0


async def test_cancelling_a_run_cancels_its_remote_task(client: Client) -> None:
    async def hangs(turn: Turn) -> None:
        await turn.updater.start_work()
        await asyncio.sleep(600)

    async with (
        remote_agent(hangs) as agent,
        started(client, RemoteWorld(), {"team": crew(run={"a2a": agent.url})}) as handle,
    ):
        while not agent.turns:
            await asyncio.sleep(0.05)
        await handle.signal("cancel", {})
        await report_of(handle)
        while not agent.cancelled:
            await asyncio.sleep(0.05)
    assert agent.cancelled == [agent.turns[0].task_id]
