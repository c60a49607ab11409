# ruff: noqa: PT017  what is refused is one of two outcomes
"""Generated starts, signals and updates: always a clear refusal, never a run that is stuck."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.control import (
    AdjustBudget,
    Adjustment,
    AnswerTask,
    Approve,
    Cancel,
)
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunRequest, RunStatus
from durable_agent_team.contracts.team import Task
from durable_agent_team.contracts.undecodable import Undecodable
from durable_agent_team.payloads.converter import PayloadConverter
from durable_agent_team.rules.validation import team_problems
from durable_agent_team.rules.value_limits import MESSAGE, START
from tests.support.fakes import FakeWorld
from tests.support.fuzzing import count, examples
from tests.support.raw_payloads import raw
from tests.support.run_reports import report_of
from tests.support.temporal import running_worker
from tests.workflows.runs import CHAIN, Gate, start_on, started, state, team
from workflows.messages import BadMessage, parse

NASTY = [
    '"\\ud800"', '"\\u0000"', '"\\u202e"', "1e999999", "-1e999999", "NaN", "Infinity", "9" * 400,
    "9" * 5_000, "1" + "0" * 29, "-0", "1e-400", '"1e999999"', '"1_0"', '"\u0663"', "null", "true",
    "[" * 300 + "]" * 300, '{"a":' * 70 + "1" + "}" * 70, '""', '"' + "x" * 9_000 + '"', "{}", "[]",
    "[" + "0," * 3_000 + "0]", '{"anyOf":[' + "{}," * 3_000 + "{}]}", '"9999-12-31T23:59:59-14:00"',
    json.dumps('{"a": NaN}'), json.dumps('{"a": "\\ud800"}'), json.dumps('{"a":' * 5_000),
    '{"$ref": "#"}', '"../x"', '"review1-1"', '"orchestrator"', "undefined", "",
]  # fmt: skip
VALID: list[dict[str, Any]] = [
    {"kind": "add_task", "id": "more", "agent": "editor", "ask": "x", "depends_on": ["a"],
     "output": {"type": "object"}, "checks": {"min_length": 1}, "inputs": []},
    {"kind": "adjust_budget", "agent": "research", "budget_usd": "2"},
    {"kind": "transfer", "from_agent": "research", "to_agent": "editor", "amount_usd": 0.1},
    {"kind": "adjust_run", "max_parallel": 3, "deadline": "2999-01-01T00:00:00Z"},
    {"kind": "adjust_agent", "agent": "editor", "timeout_seconds": 5, "instructions": "x"},
    {"kind": "retry_task", "task": "a"}, {"kind": "cancel_task", "task": "zz", "reason": "x"},
    {"kind": "approve", "subject": "plan", "approved": True, "note": "x"},
    {"kind": "approve", "subject": "a:1.1", "approved": True, "arguments": '{"a": 1}',
     "sha256": "0" * 64},
    {"kind": "answer_task", "task": "a:1.1", "decision": "result", "result": "x", "effect": "e"},
    {"team": team(), "goal": "x", "sources": {"a.md": "text"}}, {"reason": "x"},
]  # fmt: skip
UPDATES = ("add_task", "adjust_budget", "approve", "answer_task")
SPOT = "\u2603"
CONVERTER = PayloadConverter()


def _spots(value: Any) -> list[Any]:
    """Copies of the value, each with another of its keys or values replaced by `SPOT`."""
    copies: list[Any] = [SPOT]
    if isinstance(value, dict):
        for key, inner in value.items():
            copies += [{**value, key: each} for each in _spots(inner)]
            copies.append({**value, SPOT: 1})
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            copies += [[*value[:index], each, *value[index + 1 :]] for each in _spots(inner)]
    return copies


TEMPLATES = [
    json.dumps(each, ensure_ascii=False)
    for valid in VALID
    for each in [*_spots(valid), *_spots({key: valid[key] for key in valid if key != "kind"})]
]


@st.composite
def payloads(draw: st.DrawFn) -> str:
    """A valid message of which one place holds something nasty, or any JSON."""
    if draw(st.integers(0, 9)) == 0:
        return json.dumps(draw(st.recursive(st.none() | st.integers() | st.text(), st.lists)))
    template, nasty = draw(st.sampled_from(TEMPLATES)), draw(st.sampled_from(NASTY))
    if f'"{SPOT}": 1' in template:
        return template.replace(f'"{SPOT}"', nasty if nasty[:1] == '"' else '"k"')
    return template.replace(f'"{SPOT}"', nasty)


@pytest.mark.fuzz
@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(payloads())
def test_whatever_comes_is_parsed_or_refused_in_a_bounded_text(text: str) -> None:
    (value,) = CONVERTER.from_payloads([raw(text).payload])
    for model in (RunRequest, Adjustment, AdjustBudget, Task, Approve, AnswerTask, Cancel):
        try:
            parsed = parse(model, value, (), START if model is RunRequest else MESSAGE)
        except BadMessage as refused:
            assert 5 < len(str(refused)) <= 2_000
            str(refused).encode()
        else:
            assert not isinstance(value, Undecodable)
            parsed.model_dump_json()
            if isinstance(parsed, RunRequest):
                assert len(team_problems(parsed)) <= 101


def some(number: int) -> list[str]:
    """The same generated payloads each time."""
    found: list[str] = []

    @settings(max_examples=number, deadline=None, database=None, derandomize=True)
    @given(payloads())
    def collect(text: str) -> None:
        found.append(text)

    collect()
    return found


@pytest.mark.fuzz
async def test_a_run_that_gets_them_all_still_answers_and_can_be_cancelled(client: Client) -> None:
    gate = Gate("a")
    texts = some(examples(40, most=1_500))
    count("messages to a run", len(texts))
    async with started(client, FakeWorld(gate), {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        for number, text in enumerate(texts):
            await handle.signal("adjust", raw(text))
            if number % 5 == 0:
                await _update(handle, UPDATES[number // 5 % len(UPDATES)], text)
                await asyncio.wait_for(state(handle), 10)
        await handle.signal("cancel", {"reason": "enough"})
        report = await report_of(handle, 30)
    assert report.status is RunStatus.CANCELLED


async def _update(handle: WorkflowHandle[Any, Any], name: str, text: str) -> None:
    try:
        await asyncio.wait_for(handle.execute_update(name, raw(text)), 10)
    except WorkflowUpdateFailedError as refused:
        assert isinstance(refused.cause, ApplicationError)
        assert len(refused.cause.message) <= 2_000


@pytest.mark.fuzz
async def test_whatever_starts_ends(client: Client) -> None:
    texts = some(examples(25, most=500))
    count("starts of a run", len(texts))
    async with running_worker(client, FakeWorld().activities) as queue:
        for text in texts:
            handle = await start_on(client, queue, raw(text))
            try:
                await asyncio.wait_for(handle.result(), 20)
            except WorkflowFailureError as failed:
                assert isinstance(failed.cause, ApplicationError)
                assert failed.cause.type == ErrorType.INVALID_INPUT, failed.cause.message
                assert len(failed.cause.message) <= 2_000
