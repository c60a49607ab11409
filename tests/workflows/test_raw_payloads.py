"""Payloads that cannot be decoded, or hold what no contract allows: refused, never a stuck run."""

import asyncio
import json
from typing import Any

import pytest
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunStatus
from tests.support.fakes import FakeWorld
from tests.support.raw_payloads import UNDECODABLE, WRONG, raw
from tests.workflows.runs import CHAIN, Gate, failing, started, state, team

Handle = WorkflowHandle[Any, Any]
BAD = {**UNDECODABLE, **WRONG}
MOST = 2_100
"""Characters of any text that comes back."""


def team_text(**changes: Any) -> str:
    return json.dumps({"team": team(**changes)})


def replaced(old: str, new: str) -> Any:
    text = team_text()
    assert old in text
    return raw(text.replace(old, new, 1))


DEEP = '{"items":' * 5_000 + "{}" + "}" * 5_000
HUGE = [
    {"id": f"t{n}", "agent": "research", "ask": "x", "depends_on": [f"z{m}" for m in range(150)]}
    for n in range(1_000)
]
STARTS: dict[str, Any] = {
    **BAD,
    "half a surrogate in the goal": replaced("Decide whether", "Decide \\ud83d"),
    "half a surrogate in a name": replaced('"brief"', '"\\udc00brief"'),
    "half a surrogate in an agent's name": replaced('"editor": {', '"ed\\ud800": {'),
    "half a surrogate in a schema": replaced(
        '"ask": "List the facts."', '"ask": "x", "output": {"title": "\\ud800"}'
    ),
    "half a surrogate in a source": raw(
        team_text()[:-1] + ', "sources": {"a.md": "\\ud800", "\\ud800": "b"}}'
    ),
    "400 digits in a schema": replaced(
        '"ask": "List the facts."', '"ask": "x", "output": {"maximum": ' + "9" * 400 + "}"
    ),
    "5,000 digits in a budget": replaced('"budget_usd": 5', '"budget_usd": ' + "5" * 5_000),
    "an exponent of six digits": replaced('"budget_usd": 5', '"budget_usd": "1e999999"'),
    "a negative exponent": replaced('"budget_usd": 5', '"budget_usd": "1e-999999"'),
    "a deep schema": replaced('"ask": "List the facts."', '"ask": "x", "output": ' + DEEP),
    "150,000 unknown dependencies": raw(team_text(tasks=HUGE, result=None, max_tasks=1_000)),
    "150,000 wrong dependencies": raw(
        team_text(tasks=HUGE, result=None, max_tasks=1_000).replace('"z', '"Z')
    ),
    "100,000 unknown keys": raw(
        json.dumps({"team": team(), **{f"k{n}": n for n in range(100_000)}})
    ),
    "50,000 keys in tasks": raw(
        team_text(tasks=[{f"k{n}": 1 for n in range(50)} for _ in range(1_000)])
    ),
    "a key in `env`": replaced(
        '"team": {', '"team": {"tool_servers": {"s": {"command": ["x"], "env": {"K": "S3CRET"}}}, '
    ),
    "a key in `headers`": replaced(
        '"team": {', '"team": {"tool_servers": {"s": {"url": "http://x", "headers": ["S3CRET"]}}, '
    ),
    "a wide schema": replaced(
        '"ask": "List the facts."',
        '"ask": "x", "output": ' + json.dumps({"anyOf": [{}] * 8_000}),
    ),
}


@pytest.mark.parametrize("what", STARTS)
async def test_a_start_ends_with_invalid_input_and_a_bounded_text(
    client: Client, what: str
) -> None:
    async with started(client, FakeWorld(), STARTS[what]) as handle:
        with pytest.raises(WorkflowFailureError) as failed:
            await asyncio.wait_for(handle.result(), 20)
        shown = await state(handle)
    cause = failed.value.cause
    assert (shown.status, shown.failure and shown.failure.type) == (
        RunStatus.FAILED,
        ErrorType.INVALID_INPUT,
    )
    assert isinstance(cause, ApplicationError)
    assert cause.type == ErrorType.INVALID_INPUT
    assert 10 < len(cause.message) <= MOST, cause.message[:200]
    assert "S3CRET" not in cause.message
    assert len(repr(cause.details)) < 1_500_000


@pytest.mark.parametrize("signal", ["adjust", "cancel", "pause"])
@pytest.mark.parametrize("what", BAD)
async def test_a_signal_is_refused_in_state(
    held_run: tuple[Handle, FakeWorld], signal: str, what: str
) -> None:
    handle, _ = held_run
    before = (await state(handle)).refusals[-1:]
    await handle.signal(signal, BAD[what])
    (refusal,) = (await state(handle)).refusals[-1:]
    assert (refusal,) != before
    assert refusal.message == signal
    assert refusal.problem


@pytest.mark.parametrize("update", ["adjust_budget", "add_task", "approve", "adjust_run"])
@pytest.mark.parametrize("what", BAD)
async def test_an_update_is_refused(
    held_run: tuple[Handle, FakeWorld], update: str, what: str
) -> None:
    handle, _ = held_run
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await asyncio.wait_for(handle.execute_update(update, BAD[what]), 10)
    assert isinstance(refused.value.cause, ApplicationError)
    assert refused.value.cause.type == ErrorType.INVALID_INPUT
    assert len(refused.value.cause.message) <= MOST


@pytest.mark.parametrize("what", BAD)
async def test_a_query_is_refused(held_run: tuple[Handle, FakeWorld], what: str) -> None:
    handle, _ = held_run
    with pytest.raises(WorkflowQueryFailedError) as refused:
        await handle.query("state", BAD[what])
    assert len(str(refused.value)) <= MOST
    await handle.query("spend", BAD[what])


@pytest.mark.parametrize("kind", [None, ErrorType.BUDGET_EXHAUSTED.value])
@pytest.mark.parametrize("details", [{"x": 1}, {"attempts": "many"}, {"attempts": 10**400}, [1]])
async def test_an_activity_that_a_person_fails_with_any_details_keeps_the_run_going(
    client: Client, details: Any, kind: str | None
) -> None:
    """By `temporal activity fail`, which sets no type, or as another program can."""
    gate = Gate("a")
    start = {"team": failing(team(tasks=CHAIN))}
    async with started(client, FakeWorld(gate), start) as handle:
        await gate.reached.wait()
        (pending,) = (await handle.describe()).raw_description.pending_activities
        activity = client.get_async_activity_handle(
            workflow_id=handle.id, run_id=None, activity_id=pending.activity_id
        )
        await activity.fail(ApplicationError("by hand", details, type=kind, non_retryable=True))
        gate.open.set()
        await handle.signal("cancel")
        with pytest.raises(WorkflowFailureError):
            await asyncio.wait_for(handle.result(), 20)
