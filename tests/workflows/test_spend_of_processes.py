"""What a program costs is in `spend` soon after each of its calls, and costs few events."""

import asyncio
from collections import Counter
from pathlib import Path

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from tests.support.packages import Rooms, all_rooms
from tests.support.run_reports import report_of
from tests.workflows.runs import Handle, spend, state
from tests.workflows.test_program_processes import agrees, crew, run_id

CALLS = 2
"""That the test looks at; three more follow at once, and the program ends."""
MOST_EVENTS = 5
"""Of one signal: itself, a workflow task, and the memo of ADR 016."""


async def test_spend_follows_a_program_call_by_call(client: Client, tmp_path: Path) -> None:
    async with all_rooms(client) as rooms:
        handle = await rooms.start(crew("paced", str(tmp_path)), run_id())
        before = rooms.ledger_usd()
        for number in range(CALLS):
            (tmp_path / str(number)).touch()
            await _shown(rooms, handle, before)
            before = rooms.ledger_usd()
        first = await _events(handle)
        assert first[EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED] == CALLS
        assert first[EventType.EVENT_TYPE_TIMER_FIRED] == 0, "nothing polls"
        assert (await state(handle)).tasks[0].spent_usd == before
        (tmp_path / str(CALLS)).touch()
        report = await report_of(handle)
        agrees(report, rooms, calls=CALLS + 3)
        assert report.spend.agents[0].useful_usd == rooms.ledger_usd()
    quiet = 30
    assert sum((await _events(handle)).values()) <= quiet + (CALLS + 3) * MOST_EVENTS


async def _shown(rooms: Rooms, handle: Handle, before: object) -> None:
    """Waits for the next charge, and until `spend` is the ledger's sum again."""
    async with asyncio.timeout(30):
        while rooms.ledger_usd() == before:
            await asyncio.sleep(0.05)
    async with asyncio.timeout(8):
        while (await spend(handle)).total.spent_usd != rooms.ledger_usd():
            await asyncio.sleep(0.05)


async def _events(handle: Handle) -> Counter[int]:
    return Counter([event.event_type async for event in handle.fetch_history_events()])
