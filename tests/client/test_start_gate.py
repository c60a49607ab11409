"""Starts that are held back, waited for, or given up; and many real ones at once."""

import asyncio
from typing import Any

import pytest
from temporalio.client import Client, Interceptor, OutboundInterceptor, StartWorkflowInput
from temporalio.service import RPCError, RPCStatusCode

from durable_agent_team.client import start_gate
from durable_agent_team.client.exceptions import RunIdTaken
from durable_agent_team.client.runs import start_run
from durable_agent_team.client.start_gate import StartGate
from tests.cli.support import new_id
from tests.client.test_run_handle import request
from tests.support.fakes import FakeWorld


class Server:
    """Counts the starts that are with it at once."""

    def __init__(self, seconds: float = 0.01) -> None:
        self.seconds = seconds
        self.alive = True
        self.now = self.most = self.started = 0

    async def start(self) -> int:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.now -= 1
        self.started += 1
        return self.started

    async def is_alive(self) -> bool:
        return self.alive


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_gate, "LOOK_SECONDS", 0.05)


async def test_few_starts_are_in_flight_and_every_one_is_made() -> None:
    server = Server()
    gate = StartGate(server.is_alive, at_once=4)
    done = await asyncio.gather(*(gate.start(server.start) for _ in range(50)))
    assert sorted(done) == list(range(1, 51))
    assert server.most == 4


@pytest.mark.usefixtures("impatient")
async def test_a_slow_start_is_waited_for_while_temporal_is_there() -> None:
    server = Server(seconds=0.4)
    assert await StartGate(server.is_alive).start(server.start) == 1


@pytest.mark.usefixtures("impatient")
async def test_a_dead_temporal_fails_all_that_wait_at_once() -> None:
    server = Server(seconds=60)
    server.alive = False
    gate = StartGate(server.is_alive, at_once=2)
    async with asyncio.timeout(2):
        failed = await asyncio.gather(
            *(gate.start(server.start) for _ in range(100)), return_exceptions=True
        )
    assert {type(each) for each in failed} == {TimeoutError}
    await asyncio.sleep(0)
    assert server.now == 0, "no attempt goes on unseen"
    server.alive, server.seconds = True, 0.0
    assert await gate.start(server.start) == 1, "a later start tries again"


@pytest.mark.usefixtures("impatient")
async def test_a_start_that_hangs_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_gate, "START_SECONDS", 0.2)
    server = Server(seconds=60)
    with pytest.raises(TimeoutError):
        await StartGate(server.is_alive).start(server.start)


async def test_errors_of_a_start_are_passed_on() -> None:
    async def refused() -> None:
        raise RPCError("no", RPCStatusCode.INVALID_ARGUMENT, b"")

    with pytest.raises(RPCError):
        await StartGate(Server().is_alive).start(refused)


class Counting(Interceptor):
    """Counts the starts that a client has in flight at once."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _CountingOutbound(next, self)


class _CountingOutbound(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, counting: Counting) -> None:
        super().__init__(next)
        self._counting = counting

    async def start_workflow(self, input: StartWorkflowInput) -> Any:
        self._counting.now += 1
        self._counting.most = max(self._counting.most, self._counting.now)
        try:
            return await super().start_workflow(input)
        finally:
            self._counting.now -= 1


async def test_many_runs_started_at_once_all_run(client: Client, world: FakeWorld) -> None:
    counting = Counting()
    config = client.config()
    config["interceptors"] = [counting]
    many = Client(**config)
    runs = await asyncio.gather(
        *(start_run(many, request(tasks=1), id=new_id()) for _ in range(60))
    )
    assert len({run.id for run in runs}) == 60
    assert counting.most == start_gate.AT_ONCE
    reports = await asyncio.gather(*(run.result() for run in runs))
    assert {report.status.value for report in reports} == {"completed"}
    with pytest.raises(RunIdTaken):
        await start_run(many, request(tasks=1), id=runs[0].id)
