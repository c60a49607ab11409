"""Workflow, activities, gateway and ledger together, with a scripted model."""

import asyncio
import base64
import logging
import re
import uuid
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunReport, RunStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from tests.support import secrets
from tests.support.packages import SEALING_KEY, Rooms, all_rooms
from tests.support.upstream import Rule
from tests.workflows.runs import GOAL, team


async def run(rooms: Rooms, payload: dict[str, Any]) -> RunReport:
    handle = await rooms.start(payload, f"run-{uuid.uuid4()}")
    try:
        report = await asyncio.wait_for(handle.result(), 60)
    except WorkflowFailureError as failed:
        report = RunReport.model_validate(failed.cause.details[0])  # type: ignore[attr-defined]
    assert isinstance(report, RunReport)
    return report


async def test_the_spend_is_the_ledger_to_the_micro_dollar(client: Client) -> None:
    async with all_rooms(client) as rooms:
        report = await run(rooms, {"team": team()})
        assert report.status is RunStatus.COMPLETED
        assert report.spend.ledger_agrees is LedgerAgreement.YES
        assert report.spend.total.spent_usd == rooms.ledger_usd() > 0
        assert rooms.upstream.count == 4


async def test_the_upstream_receives_the_goal_only_from_the_orchestrator(
    client: Client,
) -> None:
    async with all_rooms(client) as rooms:
        await run(rooms, {"team": team()})
        goals = [
            "orchestrator" in each.text for each in rooms.upstream.requests if GOAL in each.text
        ]
        others = [each for each in rooms.upstream.requests if GOAL not in each.text]
        assert goals == [True]
        assert len(others) == 3


async def test_a_rejected_answer_is_charged_and_its_reasons_reach_the_agent(client: Client) -> None:
    tasks = [
        {
            "id": "a",
            "agent": "research",
            "ask": "Say a lot.",
            "checks": {"min_length": 30},
        }
    ]
    async with all_rooms(client) as rooms:
        rooms.upstream.add(Rule(contains="Say a lot.", text="short", times=1))
        rooms.upstream.add(Rule(contains="Say a lot.", text="long enough " * 5))
        report = await run(rooms, {"team": team(tasks=tasks, result="a")})
        assert report.status is RunStatus.COMPLETED
        second = rooms.upstream.requests[1].text
        assert "short" in second
        assert "30" in second, "the reason names the required length"
        research = next(each for each in report.spend.agents if each.agent == "research")
        assert research.failed_attempts_usd > 0
        assert research.repairs_usd > 0
        assert report.spend.total.spent_usd == rooms.ledger_usd()


@pytest.mark.parametrize("status", [200, 500])
async def test_a_billed_call_without_an_answer_is_charged_once_and_called_again(
    client: Client, status: int
) -> None:
    """The gateway has stored the answer, so that the same call would always get it again."""
    tasks = [{"id": "a", "agent": "research", "ask": "Say a lot."}]
    usage = {"prompt_tokens": 50, "completion_tokens": 5, "total_tokens": 55}
    billed = {"choices": [], "usage": usage}
    async with all_rooms(client) as rooms:
        rooms.upstream.add(Rule(contains="Say a lot.", status=status, body=billed, times=1))
        report = await run(rooms, {"team": team(tasks=tasks, result="a")})
        assert report.status is RunStatus.COMPLETED
        requests = [each for each in rooms.upstream.requests if "Say a lot." in each.text]
        assert len(requests) == 2
        assert requests[0].idempotency_key != requests[1].idempotency_key
        research = next(each for each in report.spend.agents if each.agent == "research")
        assert research.failed_attempts_usd == Decimal("0.000060")
        assert report.spend.ledger_agrees is LedgerAgreement.YES
        assert report.spend.total.spent_usd == rooms.ledger_usd()


async def test_one_agent_exhausts_its_account_and_no_other_balance_changes(client: Client) -> None:
    agents = {
        "research": {
            "role": "Researcher",
            "budget_usd": "0.001",
            "max_tokens": 100,
            "on_exhausted": "fail",
            "breaker_failures": 100,
        },
        "editor": {"role": "Editor", "budget_usd": 1, "max_tokens": 100},
    }
    tasks = [
        {"id": "a", "agent": "research", "ask": "Loop.", "checks": {"min_length": 9000}},
        {"id": "b", "agent": "editor", "ask": "Write."},
    ]
    async with all_rooms(client) as rooms:
        changed = team(agents=agents, tasks=tasks, result="b", max_repairs=10)
        report = await run(rooms, {"team": changed})
        assert report.status is RunStatus.COMPLETED
        failure = report.outcomes[0].task.failure
        assert failure is not None
        assert failure.type == ErrorType.BUDGET_EXHAUSTED
        assert failure.required_usd is not None
        assert failure.remaining_usd is not None
        assert failure.required_usd > failure.remaining_usd
        spend = {each.agent: each for each in report.spend.agents}
        assert spend["research"].spent_usd <= spend["research"].budget_usd
        assert spend["editor"].calls == 1
        assert report.spend.total.spent_usd == rooms.ledger_usd()


async def test_upstream_failures_are_retried_and_cost_nothing(client: Client) -> None:
    agents = {
        name: {"role": "R", "budget_usd": 1, "retry": {"initial_seconds": 0.05}}
        for name in ("research", "editor")
    }
    async with all_rooms(client) as rooms:
        rooms.upstream.add(
            Rule(contains="List the facts", status=503, times=1),
            Rule(contains="List the facts", body="{not json", times=1),
            Rule(contains="List the prices", disconnect="before", times=1),
        )
        report = await run(rooms, {"team": team(agents=agents)})
        assert report.status is RunStatus.COMPLETED
        assert report.spend.ledger_agrees is LedgerAgreement.YES
        assert report.spend.total.spent_usd == rooms.ledger_usd()
        assert report.spend.total.failed_calls == 0
        assert rooms.upstream.count == 7


async def test_an_unpriced_model_is_refused_before_an_account_is_opened(client: Client) -> None:
    agents = {"research": {"role": "R", "budget_usd": 1, "model": "unheard-of"}}
    tasks = [{"id": "a", "agent": "research", "ask": "x"}]
    async with all_rooms(client) as rooms:
        handle = await rooms.start(
            {"team": team(agents=agents, tasks=tasks, result="a")}, f"run-{uuid.uuid4()}"
        )
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
        message = str(failed.value.cause)
        assert "unheard-of" in message
        assert "input_usd_per_million" in message
        assert rooms.upstream.count == 0


async def test_no_key_is_in_a_history_a_log_or_the_ledger(
    client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: set[str] = set()

    async with all_rooms(client) as rooms:
        caplog.set_level(logging.DEBUG)
        monkeypatch.setattr(rooms.http, "send", _collecting(keys, rooms.http.send))
        handle = await rooms.start({"team": team()}, f"run-{uuid.uuid4()}")
        await handle.result()
        history = (await handle.fetch_history()).to_json()
        payloads = "".join(_decoded(history))
        folder = rooms.gateway.database.parent
        places = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert len(keys) >= 4, "the parent's and three agents' keys were seen on their way"
    assert rooms.gateway.database.name in places
    places |= {
        "payloads": payloads.encode(), "history": history.encode(), "log": caplog.text.encode()
    }  # fmt: skip
    searched = {f"key {number}": key for number, key in enumerate(sorted(keys))}
    assert secrets.found({**searched, "sealing key": SEALING_KEY}, places) == []


def _collecting(keys: set[str], send: Any) -> Any:
    async def collect(request: Any) -> Any:
        if "authorization" in request.headers:
            keys.add(request.headers["authorization"].removeprefix("Bearer "))
        return await send(request)

    return collect


def _decoded(history: str) -> list[str]:
    """A history's JSON contains payloads in base64."""

    texts = []
    for data in re.findall(r'"data": ?"([A-Za-z0-9+/=]+)"', history):
        texts.append(base64.b64decode(data).decode(errors="replace"))
    assert texts
    return texts
