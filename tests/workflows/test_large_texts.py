"""Runs with large texts: these travel as references, and arrive in full."""

import asyncio
import uuid
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio.client import Client
from yarl import URL

from durable_agent_team.blobs.cached_blobs import CachedBlobs
from durable_agent_team.blobs.gateway_blobs import GatewayBlobs
from durable_agent_team.blobs.store import BlobsUnreachable, digest
from durable_agent_team.blobs.texts import stored_request
from durable_agent_team.client.exceptions import TextsUnavailable
from durable_agent_team.client.run_history import read_record
from durable_agent_team.client.run_texts import calls_in_full, texts_of
from durable_agent_team.client.runs import get_run
from durable_agent_team.contracts.control import Approve
from durable_agent_team.contracts.run import RunReport, RunRequest, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from tests.support import secrets
from tests.support.gateway import PARENT_KEY, running_gateway
from tests.support.memory_blobs import MemoryBlobs
from tests.support.packages import SEALING_KEY, Rooms, all_rooms, with_store
from tests.support.upstream import Rule

LINE = 'The report says "in plain words" what was sold, to whom, and at which price.\n'
DOCUMENT = (LINE * 3_000)[:220_000]
ANSWER = ('A long answer, "quoted" and with line breaks.\n' * 1_500)[:60_000]
CALL = {"model": "m", "budget_usd": 900, "max_tokens": 64}


def team_of(tasks: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A team whose agent `reader` reads the document, and whose agent `writer` does not."""
    return {
        "name": "readers",
        "goal": "Understand a report.",
        "final": "handoff",
        "orchestrator": {"model": "m", "budget_usd": 1},
        "agents": {
            "reader": {"role": "Reader", **CALL, "inputs": ["report.md"]},
            "writer": {"role": "Writer", **CALL},
        },
        "tasks": tasks,
        **more,
    }


def task(id: str, agent: str = "writer", **more: Any) -> dict[str, Any]:
    return {"id": id, "agent": agent, "ask": f"Do {id}.", **more}


async def started(rooms: Rooms, team: dict[str, Any], document: str = DOCUMENT) -> str:
    """Starts a run as the client does; returns its id."""
    request = RunRequest.model_validate({"team": team, "sources": {"report.md": document}})
    run = f"run-{uuid.uuid4()}"
    await rooms.start(await stored_request(request, texts_of(rooms.client)), run)
    return run


async def finished(rooms: Rooms, run: str) -> tuple[RunReport, int]:
    """The report as a client has it, and the bytes of the history."""
    report = await asyncio.wait_for(get_run(rooms.client, run).result(), 120)
    history = await rooms.client.get_workflow_handle(run).fetch_history()
    return report, sum(event.ByteSize() for event in history.events)


async def test_twenty_tasks_with_one_document_at_default_max_parallel(client: Client) -> None:
    blobs = MemoryBlobs()
    async with all_rooms(client, CachedBlobs(blobs)) as rooms:
        run = await started(rooms, team_of([task(f"q{n}", "reader") for n in range(20)]))
        report, size = await finished(rooms, run)
        assert (report.status, report.spend.ledger_agrees) == (
            RunStatus.COMPLETED,
            LedgerAgreement.YES,
        )
        assert size < 100_000, "the document is in no request"
        assert blobs.reads.count(digest(DOCUMENT.encode())) <= 1, "the worker reads it once"
        assert all(LINE.strip() in each.text for each in rooms.upstream.requests)


async def test_long_hand_offs_are_stored_once_and_reported_in_full(client: Client) -> None:
    """A fan of twenty that all read one long hand-off, and a task that reads all of theirs."""
    fan = [task(f"q{n}", depends_on=["plan-text"]) for n in range(20)]
    last = task("last", depends_on=[each["id"] for each in fan])
    blobs = MemoryBlobs()
    async with all_rooms(client, CachedBlobs(blobs)) as rooms:
        rooms.upstream.add(Rule(contains="Do last.", text="short"), Rule(text=ANSWER))
        run = await started(rooms, team_of([task("plan-text"), *fan, last]))
        report, size = await finished(rooms, run)
        assert report.status is RunStatus.COMPLETED
        outputs = {each.task.id: each for each in report.outcomes}
        assert outputs["q7"].output == outputs["plan-text"].output == ANSWER
        assert not any(each.output_cut for each in report.outcomes)
        assert outputs["last"].output == report.answer == "short"
        assert size < 22 * 3_000
        assert blobs.kept[digest(ANSWER.encode())] == ANSWER.encode()
        [request] = [each for each in rooms.upstream.requests if "Do last." in each.text]
        assert len(request.text) > 20 * len(ANSWER), "the prompt has all of them in full"


async def test_many_readers_of_a_large_document_that_answer_at_length(client: Client) -> None:
    """The history does not grow with the document, nor with the answers."""
    document = LINE * 12_800
    async with all_rooms(client, CachedBlobs(MemoryBlobs())) as rooms:
        rooms.upstream.recording = False
        rooms.upstream.add(Rule(text=ANSWER))
        tasks = [task(f"q{n}", "reader") for n in range(8)]
        report, size = await finished(rooms, await started(rooms, team_of(tasks), document))
        assert report.status is RunStatus.COMPLETED
        assert [each.output for each in report.outcomes] == [ANSWER] * 8
        assert len(report.answer or "") > 8 * len(ANSWER)
        assert size < 40_000


async def test_the_answer_of_several_results_is_whole(client: Client) -> None:
    async with all_rooms(client, MemoryBlobs()) as rooms:
        rooms.upstream.add(Rule(text=ANSWER))
        report, _ = await finished(rooms, await started(rooms, team_of([task("a"), task("b")])))
        assert report.answer == f"{ANSWER}\n\n{ANSWER}"


async def test_the_report_stays_readable_without_the_store(client: Client) -> None:
    async with all_rooms(client, MemoryBlobs()) as rooms:
        rooms.upstream.add(Rule(text=ANSWER))
        run = await started(rooms, team_of([task("a")]))
        await finished(rooms, run)
        raw = await client.get_workflow_handle(run, result_type=RunReport).result()
        assert raw.status is RunStatus.COMPLETED
        assert raw.spend.total.calls == 1
        assert raw.outcomes[0].output_cut
        shown = (raw.outcomes[0].output or "").rstrip("…")
        assert " ".join(ANSWER.split()).startswith(shown)
        with pytest.raises(TextsUnavailable, match="EXTERNAL_STORAGE"):
            await get_run(client, run).result()


async def test_a_task_is_shown_with_its_texts(client: Client) -> None:
    async with all_rooms(client, MemoryBlobs()) as rooms:
        rooms.upstream.add(Rule(text=ANSWER))
        run = await started(
            rooms, team_of([task("a", "reader"), task("b", "reader", depends_on=["a"])])
        )
        await finished(rooms, run)
        record = await read_record(rooms.client, run)
        [call] = (await calls_in_full(rooms.client, record, "b")).of_task("b")
        assert [each.text for each in call.request.sources] == [DOCUMENT, ANSWER]
        assert call.result is not None
        assert call.result.answer == ANSWER


async def test_a_rejected_long_answer_goes_back_to_its_agent(client: Client) -> None:
    async with all_rooms(client, MemoryBlobs()) as rooms:
        rooms.upstream.add(Rule(text=ANSWER, times=1), Rule(text="short enough"))
        checked = task("a", checks={"max_length": 100})
        report, size = await finished(rooms, await started(rooms, team_of([checked])))
        assert report.answer == "short enough"
        assert "A long answer" in rooms.upstream.requests[1].text
        assert size < 20_000


async def test_quotes_are_checked_in_a_document_that_is_a_reference(client: Client) -> None:
    async with all_rooms(client, MemoryBlobs()) as rooms:
        rooms.upstream.add(
            Rule(text="It says «what was never written anywhere in it, at all».", times=1),
            Rule(text="It says «what was sold, to whom, and at which price»."),
        )
        checked = task("a", "reader", checks={"quotes_exist_in": "inputs"})
        report, _ = await finished(rooms, await started(rooms, team_of([checked])))
        assert rooms.upstream.count == 2
        assert report.outcomes[0].task.calls == 2


async def test_a_store_that_is_away_when_the_answer_comes(client: Client) -> None:
    """The answer waits for the store, in the same attempt: paid once, stored, and in full."""
    blobs = MemoryBlobs()
    async with all_rooms(client, blobs) as rooms:
        gate = asyncio.Event()
        rooms.upstream.add(Rule(text=ANSWER, gate=gate))
        run = await started(rooms, team_of([task("a")]))
        while not rooms.upstream.count:
            await asyncio.sleep(0.02)
        blobs.away = True
        gate.set()
        while blobs.refused < 3:
            await asyncio.sleep(0.02)
        blobs.away = False
        report, size = await finished(rooms, run)
        assert (report.answer, rooms.upstream.count) == (ANSWER, 1)
        assert report.spend.total.spent_usd == rooms.ledger_usd()
        assert size < 20_000


async def test_an_answer_that_cannot_be_stored_in_time_is_in_the_history(client: Client) -> None:
    blobs = MemoryBlobs()
    async with all_rooms(client, blobs) as rooms:
        team = team_of([task("a")])
        team["agents"]["writer"]["timeout_seconds"] = 4
        gate = asyncio.Event()
        rooms.upstream.add(Rule(text=ANSWER, gate=gate))
        run = await started(rooms, team)
        while not rooms.upstream.count:
            await asyncio.sleep(0.02)
        blobs.away = True
        gate.set()
        report, _ = await finished(rooms, run)
        assert (report.answer, rooms.upstream.count) == (ANSWER, 1)
        assert blobs.refused > 1


async def test_the_answer_of_an_update_stays_readable_without_the_store(client: Client) -> None:
    """Temporal's own command line would report an error, although the update was carried out."""
    async with all_rooms(client, MemoryBlobs()) as rooms:
        gate = asyncio.Event()
        rooms.upstream.add(Rule(text="short", gate=gate))
        run = await started(rooms, team_of([task("a")]))
        change = {"agent": "writer", "instructions": "x" * 8_000}
        plain = client.get_workflow_handle(run)
        answer = await plain.execute_update("adjust_agent", change)
        assert answer["instructions"] == change["instructions"]
        gate.set()
        await finished(rooms, run)
    assert Approve.stays_inline, "it has the arguments that a person wrote"


async def test_a_document_that_is_gone_parks_its_task_and_names_it(client: Client) -> None:
    """Nothing is sent; when the store has it again, the task goes on."""
    blobs = MemoryBlobs()
    async with all_rooms(client, blobs) as rooms:
        name = digest(DOCUMENT.encode())
        team = team_of([task("a", "reader")])
        team["agents"]["reader"]["retry"] = {"max_attempts": 2}
        run = await started(rooms, team)
        request_of = blobs.kept.pop(name)
        handle = get_run(rooms.client, run)
        async with asyncio.timeout(30):
            while (state := await handle.state()).status is not RunStatus.PARKED:
                await asyncio.sleep(0.1)
        assert state.tasks[0].status is TaskStatus.PARKED
        assert name in state.waiting[0].reason
        assert "memory" in state.waiting[0].reason, "it says where it looked"
        assert rooms.upstream.count == 0
        blobs.kept[name] = request_of
        await handle.retry_task("a")
        report, _ = await finished(rooms, run)
        assert report.status is RunStatus.COMPLETED


async def test_a_review_sees_how_long_hand_offs_begin(client: Client) -> None:
    async with all_rooms(client, MemoryBlobs()) as rooms:
        review = '{"redo": [], "drop": [], "add": []}'
        rooms.upstream.add(Rule(contains="Judge by the goal.", text=review), Rule(text=ANSWER))
        run = await started(rooms, team_of([task("a")], review_rounds=1))
        report, _ = await finished(rooms, run)
        assert report.answer == ANSWER
        [request] = [each for each in rooms.upstream.requests if "Judge by the goal." in each.text]
        assert ANSWER[:4_000] in request.text
        assert len(request.text) < 10_000


async def test_the_gateways_store_goes_away_and_comes_back(client: Client, tmp_path: Path) -> None:
    """It is restarted while an answer waits for it; what it keeps has no key in it."""
    first = AsyncExitStack()
    place: dict[str, Any] = {"database": tmp_path / "texts.db"}
    running = await first.enter_async_context(running_gateway("http://127.0.0.1:9", **place))
    place["gateway_port"] = URL(running.url).port
    blobs = GatewayBlobs(running.base_url, SecretStr(PARENT_KEY))
    async with all_rooms(client, blobs) as rooms:
        gate = asyncio.Event()
        rooms.upstream.add(Rule(text=ANSWER, gate=gate))
        run = await started(rooms, team_of([task("a", "reader")]))
        while not rooms.upstream.count:
            await asyncio.sleep(0.02)
        await first.aclose()
        gate.set()
        await asyncio.sleep(1)
        async with running_gateway("http://127.0.0.1:9", **place):
            report, size = await finished(rooms, run)
        assert (report.answer, rooms.upstream.count) == (ANSWER, 1)
        assert size < 20_000, "the answer is in the store"
        accounts = (await read_record(with_store(client, MemoryBlobs()), run)).accounts
        make = rooms.gateway.server.gateway.keys.agent_key
        keys = {each.agent: make(each.account_id) for each in accounts}
        keys |= {"parent": PARENT_KEY, "sealing": SEALING_KEY}
        names = ("texts-blobs.db", "texts.db")
        places = {name: (tmp_path / name).read_bytes() for name in names}
        assert LINE.strip().encode() in b"".join(places.values())
        assert secrets.found(keys, places) == []


async def test_a_start_without_a_store_has_its_documents_inline(client: Client) -> None:
    async with all_rooms(client) as rooms:
        rooms.upstream.add(Rule(text=ANSWER))
        run = await started(rooms, team_of([task("a", "reader")]))
        report, _ = await finished(rooms, run)
        assert report.answer == ANSWER
        assert LINE.strip() in rooms.upstream.requests[0].text


async def test_a_client_whose_store_is_away_says_so(client: Client) -> None:
    away = MemoryBlobs()
    away.away = True
    request = RunRequest.model_validate({"team": team_of([]), "sources": {"report.md": DOCUMENT}})
    with pytest.raises(BlobsUnreachable, match="memory does not answer"):
        await stored_request(request, texts_of(with_store(client, away)))
