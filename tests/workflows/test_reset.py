"""A reset in Temporal, or a backup of it that was restored: paid calls are reused, or counted as
discarded, and none is stuck with a key that is taken."""

import asyncio
import uuid
from typing import Any

import aiohttp
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunReport, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import LedgerAgreement, SpendReport
from durable_agent_team.gateway.keys import KeyMaker
from tests.support.gateway import SECRET
from tests.support.packages import all_rooms
from tests.support.upstream import Rule
from tests.workflows.runs import CHAIN, state, team
from tests.workflows.test_possibly_billed import parked


async def reset_before_the_call_of(
    client: Client, handle: WorkflowHandle[Any, Any], task: str
) -> None:
    """Resets to the end of the workflow task that scheduled the call, so that it is made again."""
    scheduled = 0
    async for event in handle.fetch_history_events():
        attributes = event.activity_task_scheduled_event_attributes
        inputs = b"".join(payload.data for payload in attributes.input.payloads)
        if f'"task":"{task}"'.encode() in inputs:
            break
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            scheduled = event.event_id
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id),
            reason="try the second task again",
            workflow_task_finish_event_id=scheduled,
            request_id=str(uuid.uuid4()),
        )
    )


async def test_a_reset_reuses_what_was_paid_and_shows_what_it_threw_away(client: Client) -> None:
    async with all_rooms(client) as rooms:
        rooms.upstream.add(Rule(contains="Third.", latency=1.5, times=1))
        handle = await rooms.start({"team": team(tasks=CHAIN)}, f"run-{uuid.uuid4()}")
        async with asyncio.timeout(60):
            while [t.status for t in (await state(handle)).tasks][1:2] != [TaskStatus.DONE]:
                await asyncio.sleep(0.05)
        await reset_before_the_call_of(client, handle, "b")
        again = client.get_workflow_handle(handle.id, result_type=RunReport)
        report = await asyncio.wait_for(again.result(), 60)
        first = [each for each in rooms.upstream.requests if "First." in each.text]
        second = [each for each in rooms.upstream.requests if "Second." in each.text]
        assert len(first) == 1, "replayed, so not paid again"
        assert len({each.idempotency_key for each in second}) == len(second) == 2
        assert report.status is RunStatus.COMPLETED
        spend: SpendReport = report.spend
        research = next(each for each in spend.agents if each.agent == "research")
        assert research.discarded_usd > 0
        assert spend.ledger_agrees is LedgerAgreement.YES
        assert spend.total.spent_usd == rooms.ledger_usd()


async def test_a_call_whose_key_is_taken_gets_another_one_when_a_person_says_so(
    client: Client,
) -> None:
    """As after a restored backup: what a run does from there on it may do in another order, so that
    its new calls have keys of calls that were made after the backup."""
    async with all_rooms(client) as rooms:
        rooms.upstream.add(Rule(contains="First.", status=503, times=1))
        settings = {"role": "R", "budget_usd": 1, "retry": {"initial_seconds": 3}}
        agents = {"research": settings, "editor": settings}
        handle = await rooms.start(
            {"team": team(tasks=CHAIN, agents=agents)}, f"run-{uuid.uuid4()}"
        )
        async with asyncio.timeout(30):
            while not rooms.upstream.count:
                await asyncio.sleep(0.01)
        agent, _, key = (rooms.upstream.requests[0].idempotency_key or "").partition(":")
        other = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Other."}]}
        headers = {"Authorization": f"Bearer {KeyMaker(SECRET).agent_key(agent)}"}
        url = f"{rooms.gateway.base_url}/chat/completions"
        headers["Idempotency-Key"] = key
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(url, json=other) as reply,
        ):
            assert reply.status == 200, await reply.text()
        waiting = await parked(handle)
        assert waiting.type == ErrorType.KEY_CONFLICT
        await handle.execute_update("retry_task", {"task": "a"})
        report: RunReport = await asyncio.wait_for(handle.result(), 60)
        assert report.status is RunStatus.COMPLETED
        keys = [each.idempotency_key for each in rooms.upstream.requests if "First." in each.text]
        assert len(set(keys)) == len(keys) == 2
        assert report.spend.ledger_agrees is LedgerAgreement.YES
        assert report.spend.total.spent_usd == rooms.ledger_usd()
