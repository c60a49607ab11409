"""The paid call under a real Temporal server: attempts, their spend, and cancellation."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.calls.call_agent import Agents
from durable_agent_team.contracts.activity_interfaces import AgentActivities
from durable_agent_team.contracts.call import AttemptSpend, CallRequest, CallResult
from durable_agent_team.contracts.error_types import ErrorType
from tests.activities.support import AGENT_KEY, agents_at, call
from tests.support import secrets, temporal
from tests.support.run_reports import report_of
from tests.support.upstream import Rule, ScriptedUpstream

BILLED = {"prompt_tokens": 5, "completion_tokens": 1, "cost": 0.25}


@workflow.defn
class OneCall:
    """One call with three attempts; a cancellation waits for what the call has to say."""

    @workflow.run
    async def run(self, request: CallRequest) -> CallResult:
        return await workflow.execute_activity_method(
            AgentActivities.call_agent,
            request,
            start_to_close_timeout=timedelta(seconds=60),
            heartbeat_timeout=timedelta(seconds=3),
            retry_policy=RetryPolicy(
                initial_interval=timedelta(milliseconds=50), maximum_attempts=3
            ),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[Client]:
    async with temporal.server() as environment:
        yield environment.client


@asynccontextmanager
async def worker(client: Client, agents: Agents) -> AsyncIterator[Worker]:
    async with Worker(
        client,
        task_queue="calls",
        workflows=[OneCall],
        activities=[agents.call_agent],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ) as running:
        yield running


async def start(client: Client, name: str) -> WorkflowHandle[OneCall, CallResult]:
    return await client.start_workflow(OneCall.run, call(), id=name, task_queue="calls")


def cause(error: WorkflowFailureError) -> BaseException | None:
    assert isinstance(error.cause, ActivityError)
    return error.cause.cause


async def test_what_failed_attempts_cost_survives_to_the_result(client: Client) -> None:
    async with ScriptedUpstream() as upstream, agents_at(upstream.url) as agents:
        upstream.add(Rule(choices=False, usage=BILLED, times=2), Rule(usage=BILLED))
        async with worker(client, agents):
            result = await (await start(client, "spend-survives")).result()
    assert upstream.count == 3
    assert set(upstream.by_key) == {"call-1"}, "all attempts have the same key"
    assert len(upstream.by_hash) == 1, "and the same body"
    assert (result.cost_usd, result.failed_attempts_usd) == (Decimal("0.25"), Decimal("0.5"))


async def test_the_last_error_says_what_all_attempts_cost(client: Client) -> None:
    async with ScriptedUpstream() as upstream, agents_at(upstream.url) as agents:
        upstream.add(Rule(choices=False, usage=BILLED))
        async with worker(client, agents):
            handle = await start(client, "spend-in-error")
            with pytest.raises(WorkflowFailureError) as caught:
                await handle.result()
    error = cause(caught.value)
    assert isinstance(error, ApplicationError)
    assert error.type == ErrorType.MALFORMED_ANSWER.value
    spend = AttemptSpend.model_validate(error.details[0])
    assert (spend.spent_usd, spend.attempts) == (Decimal("0.75"), 3)


async def test_a_cancelled_call_ends_at_once_and_says_what_it_had_spent(client: Client) -> None:
    async with ScriptedUpstream() as upstream, agents_at(upstream.url) as agents:
        upstream.add(Rule(choices=False, usage=BILLED, times=1), Rule(latency=50))
        async with worker(client, agents):
            handle = await start(client, "cancelled")
            while upstream.count < 2:
                await asyncio.sleep(0.02)
            await handle.cancel()
            with pytest.raises(WorkflowFailureError) as caught:
                await report_of(handle, 30)
    error = cause(caught.value)
    assert isinstance(error, ApplicationError)
    assert AttemptSpend.model_validate(error.details[0]).spent_usd == Decimal("0.25")


async def test_a_cancelled_call_without_a_bill_is_a_cancellation(client: Client) -> None:
    async with (
        ScriptedUpstream([Rule(latency=50)]) as upstream,
        agents_at(upstream.url) as agents,
        worker(client, agents),
    ):
        handle = await start(client, "cancelled-unbilled")
        while upstream.count < 1:
            await asyncio.sleep(0.02)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await report_of(handle, 30)
    assert isinstance(caught.value.cause, CancelledError)


async def test_a_worker_that_stops_leaves_the_call_to_another(client: Client) -> None:
    async with ScriptedUpstream() as upstream, agents_at(upstream.url) as agents:
        upstream.add(Rule(latency=50, times=1), Rule(text="from the second"))
        async with worker(client, agents):
            handle = await start(client, "moved")
            while upstream.in_flight == 0:
                await asyncio.sleep(0.02)
        async with worker(client, agents):
            result = await asyncio.wait_for(handle.result(), 30)
    assert result.answer == "from the second"


async def test_no_key_is_in_the_history(client: Client) -> None:
    async with ScriptedUpstream() as upstream, agents_at(upstream.url) as agents:
        upstream.add(Rule(status=401, body={"error": {"message": f"bad key {AGENT_KEY}"}}))
        async with worker(client, agents):
            handle = await start(client, "no-key")
            with pytest.raises(WorkflowFailureError):
                await handle.result()
            history = (await handle.fetch_history()).to_json()
    assert upstream.count == 1, "401 is not retried"
    assert secrets.found({"agent": AGENT_KEY}, {"history": history.encode()}) == []
