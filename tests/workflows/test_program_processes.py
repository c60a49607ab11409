"""Programs as processes behind the real gateway: nothing is paid twice, whatever ends them."""

import asyncio
import os
import sys
import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from temporalio.client import Client

from durable_agent_team.contracts.names import TASK_QUEUE
from durable_agent_team.contracts.run import RunReport, RunStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from tests.process.test_worker import worker_process
from tests.support import agent_program
from tests.support.packages import Rooms, all_rooms
from tests.support.run_reports import report_of
from tests.workflows.runs import parked, spend, team, until


def crew(*does: str, checks: dict[str, Any] | None = None, **agent: Any) -> dict[str, Any]:
    run = {"command": [sys.executable, str(agent_program.__file__), *does]}
    members = {"crew": {"role": "Crew", "budget_usd": 1, "run": run, **agent}}
    task = {"id": "research", "agent": "crew", "ask": "List the facts.", "checks": checks or {}}
    return {"team": team(agents=members, tasks=[task], result="research", final="handoff")}


def run_id() -> str:
    return f"run-{uuid.uuid4()}"


def agrees(report: RunReport, rooms: Rooms, calls: int) -> None:
    """The books of all three: run, gateway, upstream."""
    assert rooms.upstream.count == calls
    assert report.spend.total.spent_usd == rooms.ledger_usd() > 0
    assert report.spend.ledger_agrees is LedgerAgreement.YES
    total = report.spend.total
    assert total.prompt_tokens + total.completion_tokens == rooms.ledger_tokens() > 0


async def test_a_program_answers_and_its_calls_are_the_tasks(client: Client) -> None:
    async with all_rooms(client) as rooms:
        report = await report_of(await rooms.start(crew(), run_id()))
        assert report.status is RunStatus.COMPLETED
        assert (report.answer or "").startswith("answer: ")
        agrees(report, rooms, calls=2)
        assert report.outcomes[0].task.spent_usd == rooms.ledger_usd()


async def test_a_repair_gets_the_reasons_and_replays_the_rest(client: Client) -> None:
    async with all_rooms(client) as rooms:
        checks = {"min_length": 8}
        report = await report_of(await rooms.start(crew("repairs", checks=checks), run_id()))
        assert report.status is RunStatus.COMPLETED
        agrees(report, rooms, calls=2)
        assert "8" in rooms.upstream.requests[1].text, "the reasons reach the program"


async def test_a_top_up_continues_where_the_money_ended(client: Client) -> None:
    async with all_rooms(client) as rooms:
        handle = await rooms.start(crew(budget_usd="0.0004"), run_id())  # for the first call
        now = await until(handle, parked)
        assert now.waiting[0].type == "BudgetExhausted"
        assert now.waiting[0].required_usd is not None
        shown = await spend(handle)
        assert shown.total.spent_usd == rooms.ledger_usd() > 0
        assert shown.total.reserved_usd == 0
        await handle.execute_update("adjust_budget", {"agent": "crew", "budget_usd": "0.01"})
        report = await report_of(handle)
        assert report.status is RunStatus.COMPLETED
        agrees(report, rooms, calls=2)


async def test_a_cancelled_program_is_dead_and_the_books_agree(
    client: Client, tmp_path: Path
) -> None:
    async with all_rooms(client) as rooms:
        mark = tmp_path / "pid"
        handle = await rooms.start(crew("wait", str(mark)), run_id())
        pid = await _written(mark)
        await handle.signal("cancel", {"reason": "enough"})
        report = await report_of(handle)
        assert report.status is RunStatus.CANCELLED
        assert not _is_alive(pid)
        agrees(report, rooms, calls=1)


async def test_a_program_that_is_killed_at_its_time_is_started_again(
    client: Client, tmp_path: Path
) -> None:
    async with all_rooms(client) as rooms:
        mark = tmp_path / "pid"
        handle = await rooms.start(crew("wait", str(mark), timeout_seconds=2), run_id())
        report = await report_of(handle)
        assert report.status is RunStatus.COMPLETED
        assert not _is_alive(_pid(mark))
        agrees(report, rooms, calls=2)


async def test_a_killed_worker_takes_the_program_with_it_and_nothing_is_paid_twice(
    client: Client, tmp_path: Path
) -> None:
    """The worker is a process of its own: another one starts the program again in its scope."""
    async with all_rooms(client) as rooms:
        mark = tmp_path / "pid"
        address = client.service_client.config.target_host
        given = {
            "TEMPORAL_ADDRESS": address,
            "ATXP_API_URL": rooms.gateway.base_url,
            "ATXP_LLM_URL": rooms.gateway.base_url,
            "ATXP_API_KEY": rooms.gateway.parent_key,
            "DEFAULT_MODEL": "m",
        }
        served = replace(rooms, queue=TASK_QUEUE)
        async with worker_process(tmp_path, **given) as first:
            handle = await served.start(crew("wait", str(mark)), run_id())
            pid = await _written(mark)
            first.kill()
            await first.wait()
        async with worker_process(tmp_path, **given):
            report = await report_of(handle)
        assert report.status is RunStatus.COMPLETED
        assert not _is_alive(pid)
        agrees(report, rooms, calls=2)


async def _written(mark: Path) -> int:
    async with asyncio.timeout(20):
        while not (pid := _pid(mark)):
            await asyncio.sleep(0.05)
    return pid


def _pid(mark: Path) -> int:
    return int(mark.read_text() or 0) if mark.exists() else 0


def _is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
