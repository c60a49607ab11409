"""Remote agents on the official a2a-sdk's server, in both versions and bindings of A2A."""

import asyncio
from collections.abc import AsyncIterator
from itertools import product

import pytest
from a2a.types.a2a_pb2 import Part
from google.protobuf.struct_pb2 import Struct, Value

from activities.programs.exceptions import ProgramError
from activities.programs.remote_progress import Progress
from durable_agent_team.contracts.call import Rejected, Source
from durable_agent_team.contracts.error_types import ErrorType
from tests.activities.remote.support import SCHEMA, TOKEN, attempt, failure, program
from tests.activities.support import AGENT_KEY
from tests.support.a2a_server import RemoteAgent, Turn, remote_agent

PROTOCOLS = list(product(("JSONRPC", "HTTP+JSON"), ("1.0", "0.3")))
QUESTION = "Which market: Norway or Sweden?"


async def works(turn: Turn) -> None:
    await turn.updater.start_work()
    await turn.answer(Part(text="Norway pays 12 EUR."))


async def asks(turn: Turn) -> None:
    if turn.is_first:
        await turn.updater.requires_input(turn.message(QUESTION))
        return
    await turn.answer(Part(text=f"You said: {turn.text}"))


async def hangs(turn: Turn) -> None:
    await turn.updater.start_work()
    await asyncio.sleep(600)


@pytest.fixture(params=PROTOCOLS, ids="-".join)
def protocol(request: pytest.FixtureRequest) -> tuple[str, str]:
    binding, version = request.param
    return binding, version


@pytest.fixture
async def asking(protocol: tuple[str, str]) -> AsyncIterator[RemoteAgent]:
    async with remote_agent(asks, *protocol) as agent:
        yield agent


async def test_the_answer_of_an_artifact(protocol: tuple[str, str]) -> None:
    async with remote_agent(works, *protocol) as agent:
        call = program(
            agent.url, output=SCHEMA, sources=(Source(name="orders.md", text="Five orders."),)
        )
        output = await attempt(call)
    assert output.answer == "Norway pays 12 EUR."
    [turn] = agent.turns
    assert output.remote_task == turn.task_id
    for given in ("List the facts on demand.", "Five orders.", '"price"'):
        assert given in turn.text
    assert turn.context.message is not None
    assert [part.WhichOneof("content") for part in turn.context.message.parts] == ["text", "data"]


async def test_a_question_parks_and_its_answer_goes_to_the_same_task(asking: RemoteAgent) -> None:
    error = await failure(program(asking.url))
    assert error.kind is ErrorType.INPUT_REQUIRED
    assert QUESTION in str(error)
    [first] = asking.turns
    assert error.remote_task == first.task_id
    reply = program(asking.url, execution=2, reply="Sweden", remote_task=error.remote_task)
    output = await attempt(reply, number=2001)
    assert output.answer == "You said: Sweden"
    assert [turn.task_id for turn in asking.turns] == [first.task_id] * 2


async def test_a_question_without_a_reply_is_asked_again(asking: RemoteAgent) -> None:
    error = await failure(program(asking.url))
    again = await failure(program(asking.url, execution=2, remote_task=error.remote_task))
    assert (again.kind, again.remote_task) == (ErrorType.INPUT_REQUIRED, error.remote_task)
    assert len(asking.turns) == 1


async def test_a_reply_is_given_once_although_the_worker_died(asking: RemoteAgent) -> None:
    error = await failure(program(asking.url))
    reply = program(asking.url, execution=2, reply="Sweden", remote_task=error.remote_task)
    progress = Progress()
    await attempt(reply, number=2001, progress=progress)
    output = await attempt(reply, number=2002, progress=Progress(progress.now))
    assert output.answer == "You said: Sweden"
    without_heartbeat = await attempt(reply, number=2003)
    assert without_heartbeat.answer == "You said: Sweden"
    assert len(asking.turns) == 2


async def test_a_cancelled_call_cancels_the_remote_task(protocol: tuple[str, str]) -> None:
    async with remote_agent(hangs, *protocol) as agent:
        running = asyncio.create_task(attempt(program(agent.url)))
        while len(agent.requests) < 3:
            await asyncio.sleep(0.02)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert agent.cancelled == [agent.turns[0].task_id]


async def test_a_timeout_cancels_the_remote_task_and_the_next_attempt_sends_anew(
    protocol: tuple[str, str],
) -> None:
    async with remote_agent(hangs, *protocol) as agent:
        progress = Progress()
        error = await failure(program(agent.url), seconds=0.8, progress=progress)
        assert error.kind is ErrorType.PROGRAM_TIMEOUT
        assert agent.cancelled == [agent.turns[0].task_id]
        await failure(program(agent.url), seconds=0.8, progress=Progress(progress.now))
        first, second = (turn.context.message for turn in agent.turns)
    assert first is not None
    assert second is not None
    assert first.message_id != second.message_id


async def test_after_a_workers_death_the_same_task_goes_on() -> None:
    go = asyncio.Event()

    async def slow(turn: Turn) -> None:
        await turn.updater.start_work()
        await go.wait()
        await turn.answer(Part(text="at last"))

    async with remote_agent(slow) as agent:
        progress = Progress()
        running = asyncio.create_task(attempt(program(agent.url), progress=progress, goes_on=True))
        while len(agent.requests) < 3:
            await asyncio.sleep(0.02)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        go.set()
        output = await attempt(program(agent.url), number=1002, progress=Progress(progress.now))
    assert output.answer == "at last"
    assert (len(agent.turns), agent.cancelled) == (1, [])


async def test_failed_and_rejected_say_why_without_the_key(protocol: tuple[str, str]) -> None:
    async def fails(turn: Turn) -> None:
        headers = agent.requests[-1][1]
        said = f"no money: {headers['agent-api-key']} {headers['authorization']}"
        end = turn.updater.reject if "again" in turn.text else turn.updater.failed
        await end(turn.message(said))

    run = {"send_key": True, "headers": {"Authorization": "Bearer $CRM_AUTH"}}
    async with remote_agent(fails, *protocol) as agent:
        failed = await failure(program(agent.url, run=run))
        rejected = await failure(program(agent.url, run=run, ask="Do it again."))
    assert (failed.kind, failed.final) == (ErrorType.PROGRAM_FAILED, False)
    assert "failed: no money: [key]" in str(failed)
    assert (rejected.kind, rejected.final) == (ErrorType.PROGRAM_FAILED, True)


async def test_the_key_goes_only_where_the_team_file_allows_it() -> None:
    async def echoes(turn: Turn) -> None:
        await turn.answer(Part(text=str(agent.requests[-1][1])))

    async with remote_agent(echoes) as agent:
        await attempt(program(agent.url, model="m"))
        assert not [each for _, seen in agent.requests for each in seen if "agent-" in each]
        agent.requests.clear()
        headers = {"X-Crm": "$CRM_AUTH"}
        output = await attempt(program(agent.url, run={"send_key": True, "headers": headers}))
    seen = agent.requests[1][1]
    assert seen["agent-api-key"] == AGENT_KEY
    assert seen["agent-base-url"] == "http://gateway.test:8080/scopes/scope-1/1001/v1"
    assert (seen["agent-model"], seen["x-crm"]) == ("m", TOKEN)
    assert (seen["agent-scope"], seen["agent-attempt"]) == ("scope-1", "1001")
    assert AGENT_KEY not in output.answer
    assert TOKEN not in output.answer


@pytest.mark.parametrize(
    ("variable", "words"), [("NOWHERE", "does not have"), ("ATXP_API_KEY", "no agent gets")]
)
async def test_a_header_that_the_worker_cannot_give(variable: str, words: str) -> None:
    run = {"headers": {"Authorization": f"Bearer ${variable}"}}
    error = await failure(program("http://127.0.0.1:9", run=run))
    assert error.kind is ErrorType.ENVIRONMENT_FAILED
    assert variable in str(error)
    assert words in str(error)


async def test_an_answer_in_the_status_in_a_message_or_as_data(protocol: tuple[str, str]) -> None:
    async def answers(turn: Turn) -> None:
        if "status" in turn.text:
            await turn.updater.complete(turn.message("in the status"))
        else:
            data = Struct()
            data.update({"price": 12})
            value = Part(data=Value(struct_value=data))
            await turn.answer(Part(text="Here it is."), value)

    async with remote_agent(answers, *protocol) as agent:
        assert (await attempt(program(agent.url, ask="status"))).answer == "in the status"
        wanted = await attempt(program(agent.url, ask="data", output=SCHEMA))
        assert wanted.answer in ('{"price": 12}', '{"price": 12.0}')
        assert (await attempt(program(agent.url, ask="data"))).answer == "Here it is."


async def test_a_repair_is_a_new_task_in_the_same_context(protocol: tuple[str, str]) -> None:
    async with remote_agent(works, *protocol) as agent:
        first = await attempt(program(agent.url))
        rejected = Rejected(answer="Norway pays 12 EUR.", reasons=("It has no source.",))
        await attempt(
            program(agent.url, execution=2, rejected=rejected, remote_task=first.remote_task)
        )
        one, two = agent.turns
        assert two.context.context_id == one.context.context_id
        assert two.task_id != one.task_id
        assert "It has no source." in two.text
        assert "List the facts" not in two.text


async def test_each_attempt_sends_the_message_with_the_same_id() -> None:
    async with remote_agent(works) as agent:
        for number, execution in ((1001, 1), (1002, 1), (2001, 2)):
            await attempt(program(agent.url, execution=execution), number=number)
        sent = [turn.context.message.message_id for turn in agent.turns if turn.context.message]
    assert sent[0] == sent[1] != sent[2]


async def test_a_deadline_before_the_agent_card_is_read() -> None:
    with pytest.raises(ProgramError) as raised:
        await attempt(program("http://192.0.2.1:9"), seconds=0.2)
    assert raised.value.kind in (ErrorType.PROGRAM_TIMEOUT, ErrorType.UPSTREAM_UNAVAILABLE)
