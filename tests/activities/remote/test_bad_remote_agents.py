"""Remote agents that fail, hang, forget, flood or send elsewhere."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from activities.programs.remote import conversation, json_http
from activities.programs.remote_progress import Progress, RemoteProgress
from durable_agent_team.contracts.call import Rejected
from durable_agent_team.contracts.error_types import ErrorType
from tests.activities.remote.support import SCHEMA, attempt, failure, program
from tests.support.scripted_a2a import (
    Reply,
    always,
    completed,
    error,
    one_interface,
    scripted_agent,
    task,
)

WORKING = {"task": task("WORKING")}
SECRETS = {"headers": {"Authorization": "Bearer $CRM_AUTH"}}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(conversation, "LONGEST_PAUSE", 0.02)


BAD_CARDS: dict[str, tuple[Any, str]] = {
    "a list": ([], "not a JSON object"),
    "text": (web.Response(text="<html>"), "not a JSON object"),
    "no address": ({"name": "x"}, "names no address"),
    "gRPC alone": ({"url": "http://h/", "preferredTransport": "GRPC"}, "offers GRPC"),
    "a later version": (
        {"url": "/", "preferredTransport": "JSONRPC", "protocolVersion": "2.0"},
        "offers JSONRPC 2.0",
    ),
    "another scheme": ({"url": "file:///etc/passwd"}, "not an HTTP URL"),
    "no card": (web.Response(status=404), "no agent card (HTTP 404"),
    "a large card": (web.Response(text=" " * 600_000), "larger than 512 KB"),
    "a redirect": (web.Response(status=302, headers={"Location": "http://h/"}), "redirects"),
}  # fmt: skip


@pytest.mark.parametrize(("card", "words"), BAD_CARDS.values(), ids=BAD_CARDS)
async def test_a_card_that_cannot_be_used(card: Any, words: str) -> None:
    def given(_: str) -> Any:
        return (
            web.Response(status=card.status, headers=card.headers, body=card.body)
            if isinstance(card, web.Response)
            else card
        )

    async with scripted_agent(always(WORKING)) as agent:
        agent.card = given
        found = await failure(program(agent.url))
    assert found.kind is ErrorType.PROGRAM_FAILED
    assert words in str(found)
    assert not agent.calls


@pytest.mark.parametrize("address", ["http://a]b/", "http://[::1/", "http://x.example:99999/"])
async def test_an_address_that_no_client_can_be_made_for(address: str) -> None:
    found = await failure(program(address))
    assert "its address is not an HTTP URL" in str(found)
    assert found.final


async def test_headers_go_to_no_other_host_that_a_card_names() -> None:
    async with scripted_agent(always(WORKING)) as other, scripted_agent(always(WORKING)) as agent:
        agent.card = lambda _: one_interface(f"{other.url}/rpc")
        found = await failure(program(agent.url, run=SECRETS))
        assert "another host or port" in str(found)
        assert found.final
        assert not other.paths
        other.methods["SendMessage"] = always({"task": completed()})
        assert (await attempt(program(agent.url))).answer == "done"


async def test_the_card_of_the_oldest_servers_is_found() -> None:
    async with scripted_agent(always({"task": completed()})) as agent:
        agent.card = lambda url: (
            one_interface(f"{url}/rpc")
            if agent.paths[-1] == "/agents/a/.well-known/agent.json"
            else web.Response(status=404)
        )
        assert (await attempt(program(f"{agent.url}/agents/a/"))).answer == "done"


async def test_a_task_that_never_ends_is_timed_out_and_kept_if_it_cannot_be_cancelled() -> None:
    async with scripted_agent(
        always(WORKING), always(task("WORKING")), CancelTask=error(-32002, "not cancelable")
    ) as agent:
        progress = Progress()
        found = await failure(program(agent.url), seconds=0.3, progress=progress)
        assert (found.kind, found.remote_task) == (ErrorType.PROGRAM_TIMEOUT, "t-1")
        agent.methods["GetTask"] = always(completed())
        again = await attempt(program(agent.url), number=1002, progress=Progress(progress.now))
    assert again.answer == "done"
    assert len(agent.called("SendMessage")) == 1


async def test_a_response_without_end_ends_with_the_time() -> None:
    async def endless(_: dict[str, Any]) -> Reply:
        assert agent.request is not None
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(agent.request)
        while True:
            await response.write(b": still here\n\n")
            await asyncio.sleep(0.02)

    async with scripted_agent(endless) as agent:
        found = await failure(program(agent.url), seconds=0.3)
    assert found.kind is ErrorType.PROGRAM_TIMEOUT


async def test_streams_are_never_opened() -> None:
    async with scripted_agent(always(WORKING), always(task("WORKING"), completed())) as agent:
        agent.card = lambda url: {
            **one_interface(f"{url}/rpc"), "capabilities": {"streaming": True},
        }  # fmt: skip
        assert (await attempt(program(agent.url))).answer == "done"
    assert {name for name, _ in agent.calls} == {"SendMessage", "GetTask"}


async def test_a_giant_answer_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_http.JsonHttp.exchange, "__defaults__", (100_000,))
    async with scripted_agent(always({"task": completed("x" * 200_000)})) as agent:
        found = await failure(program(agent.url))
    assert (found.kind, found.final) == (ErrorType.PROGRAM_FAILED, False)
    assert "larger than" in str(found)


async def test_a_long_reason_is_cut_and_cannot_act_on_a_terminal() -> None:
    async with scripted_agent(
        always({"task": task("FAILED", "\x1b]0;x\x07" + "no " * 5_000)})
    ) as a:
        found = await failure(program(a.url))
    assert len(str(found)) < 2_100
    assert "\x1b" not in str(found)


async def test_an_outage_between_polls_is_waited_out() -> None:
    async def down(_: dict[str, Any]) -> Reply:
        return web.Response(status=503)

    async with scripted_agent(always(WORKING)) as agent:
        answers = [down, down, down, always(completed())]
        agent.methods["GetTask"] = lambda params: (
            answers.pop(0) if len(answers) > 1 else answers[0]
        )(params)
        assert (await attempt(program(agent.url))).answer == "done"


async def test_a_long_outage_ends_the_attempt_and_the_next_goes_on() -> None:
    async def down(_: dict[str, Any]) -> Reply:
        return web.Response(status=502)

    async with scripted_agent(always(WORKING), down) as agent:
        progress = Progress()
        found = await failure(program(agent.url), progress=progress)
        assert (found.kind, found.final) == (ErrorType.UPSTREAM_UNAVAILABLE, False)
        agent.methods["GetTask"] = always(completed())
        await attempt(program(agent.url), number=1002, progress=Progress(progress.now))
    assert len(agent.called("SendMessage")) == 1


async def test_an_outage_before_a_reply_keeps_the_task() -> None:
    async def down(_: dict[str, Any]) -> Reply:
        return web.Response(status=503)

    async with scripted_agent(always(WORKING), down) as agent:
        call = program(agent.url, execution=2, remote_task="t-1", reply="Sweden")
        found = await failure(call)
    assert (found.kind, found.remote_task) == (ErrorType.UPSTREAM_UNAVAILABLE, "t-1")


async def test_no_more_history_is_asked_for_than_any_server_gives() -> None:
    """langgraph-api refuses a `historyLength` above 10."""
    async with scripted_agent(always(WORKING), always(task("COMPLETED"))) as agent:
        await attempt(program(agent.url, remote_task="t-1"))
    assert max(params["historyLength"] for params in agent.called("GetTask")) == 10


async def test_a_server_that_forgot_the_task_gets_it_again_with_the_persons_answer() -> None:
    async with scripted_agent(
        always({"task": completed("with it")}), error(-32001, "Task not found")
    ) as agent:
        call = program(agent.url, execution=2, remote_task="lost", reply="Sweden")
        assert (await attempt(call)).answer == "with it"
    [sent] = agent.called("SendMessage")
    texts = [part["text"] for part in sent["message"]["parts"] if "text" in part]
    assert "List the facts on demand." in texts[0]
    assert "Sweden" in texts[1]


async def test_a_server_that_keeps_no_tasks_is_told_so() -> None:
    async with scripted_agent(always(WORKING), error(-32001, "Task not found")) as agent:
        found = await failure(program(agent.url))
    assert found.final
    assert "give the server a store" in str(found)


async def test_a_question_that_is_still_shown_after_its_answer_is_not_asked_again() -> None:
    asked = task("INPUT_REQUIRED", "Which?")
    async with scripted_agent(
        always({"task": asked}), always(asked, asked, asked, completed())
    ) as agent:
        call = program(agent.url, execution=2, remote_task="t-1", reply="Sweden")
        assert (await attempt(call)).answer == "done"
    assert len(agent.called("SendMessage")) == 1


async def test_a_question_that_moved_into_the_history_is_not_asked_again() -> None:
    """a2a-sdk 0.3 (0.3.22): `TaskManager.update_with_message` takes the question out of the status
    when a reply arrives, and the state stays until the agent has worked on it."""
    asked, moved = task("INPUT_REQUIRED", "Which?"), task("INPUT_REQUIRED")
    async with scripted_agent(
        always({"task": moved}), always(asked, moved, moved, completed())
    ) as agent:
        call = program(agent.url, execution=2, remote_task="t-1", reply="Sweden")
        assert (await attempt(call)).answer == "done"
    assert len(agent.called("SendMessage")) == 1


async def test_a_second_question_is_asked() -> None:
    asked = task("INPUT_REQUIRED", "Which?")
    async with scripted_agent(
        always({"task": asked}), always(asked, task("AUTH_REQUIRED", "Sign in."))
    ) as agent:
        call = program(agent.url, execution=2, remote_task="t-1", reply="Sweden")
        found = await failure(call)
    assert found.kind is ErrorType.INPUT_REQUIRED
    assert "Sign in." in str(found)


async def test_a_question_during_a_repair_is_asked_again_and_answered() -> None:
    asked = task("INPUT_REQUIRED", "Which?")
    rejected = Rejected(answer="poor", reasons=("too short",))
    async with scripted_agent(always({"task": completed()}), always(asked)) as agent:
        call = program(agent.url, execution=3, remote_task="t-1", rejected=rejected)
        assert (await failure(call)).kind is ErrorType.INPUT_REQUIRED
        assert not agent.called("SendMessage")
        await attempt(call.model_copy(update={"reply": "Sweden"}))
    [sent] = agent.called("SendMessage")
    assert sent["message"]["parts"] == [{"text": "Sweden"}]


async def test_a_reply_that_arrived_is_found_in_the_history() -> None:
    asked = task("INPUT_REQUIRED", "Which?")
    async with scripted_agent(always({"task": asked}), always(asked, completed())) as agent:
        call = program(agent.url, execution=2, remote_task="t-1", reply="Sweden")
        await attempt(call)
        [sent] = agent.called("SendMessage")
        agent.methods["GetTask"] = always({**asked, "history": [sent["message"]]})
        found = await failure(call, number=2002)
    assert found.kind is ErrorType.INPUT_REQUIRED
    assert len(agent.called("SendMessage")) == 1


REFUSALS = {
    "credentials": (web.Response, {"status": 401}, ErrorType.PROGRAM_FAILED, True, "HTTP 401"),
    "busy": (web.Response, {"status": 429}, ErrorType.UPSTREAM_UNAVAILABLE, False, "HTTP 429"),
    "no JSON": (web.Response, {"text": "hello"}, ErrorType.PROGRAM_FAILED, True, "not one of A2A"),
}


@pytest.mark.parametrize(
    ("kind", "given", "error_type", "final", "words"), REFUSALS.values(), ids=REFUSALS
)
async def test_a_message_that_is_refused(
    kind: type[web.Response], given: Any, error_type: ErrorType, final: bool, words: str
) -> None:
    async def refuse(_: dict[str, Any]) -> Reply:
        return kind(**given)

    async with scripted_agent(refuse) as agent:
        found = await failure(program(agent.url, run=SECRETS))
    assert (found.kind, found.final) == (error_type, final)
    assert words in str(found)


async def test_an_error_of_the_protocol_fails_the_attempt_and_the_next_message_is_another() -> None:
    async with scripted_agent(error(-32603, "budget exhausted")) as agent:
        progress = Progress()
        found = await failure(program(agent.url), progress=progress)
        assert "budget exhausted" in str(found)
        assert not found.final
        await failure(program(agent.url), progress=Progress(progress.now))
    first, second = agent.called("SendMessage")
    assert first["message"]["messageId"] != second["message"]["messageId"]


async def test_an_agent_that_answers_with_a_message_has_no_task() -> None:
    message = {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"data": {"price": 1}}]}
    async with scripted_agent(always({"message": message})) as agent:
        output = await attempt(program(agent.url, output=SCHEMA))
    assert (output.answer, output.remote_task) == ('{"price": 1}', None)


async def test_an_answer_that_is_only_in_the_history() -> None:
    said = {"messageId": "m", "role": "agent", "parts": [{"kind": "text", "text": "in history"}]}
    asked = {"messageId": "n", "role": "user", "parts": [{"kind": "text", "text": "the ask"}]}
    bare = task("COMPLETED")

    async def get(params: dict[str, Any]) -> Reply:
        return {"result": {**bare, "history": [said, asked] if params["historyLength"] else []}}

    async with scripted_agent(always({"task": bare}), get) as agent:
        assert (await attempt(program(agent.url))).answer == "in history"


async def test_times_without_a_zone_are_read_like_others() -> None:
    """fasta2a's."""
    done = completed("fasta2a")
    done["status"]["timestamp"] = "2026-01-01T00:00:00.123456"
    async with scripted_agent(always({"task": done})) as agent:
        assert (await attempt(program(agent.url))).answer == "fasta2a"


async def test_private_addresses_may_be_forbidden() -> None:
    async with scripted_agent(always(WORKING)) as agent:
        found = await failure(program(agent.url), private_addresses=False)
    assert found.final
    assert "A2A_PRIVATE_ADDRESSES" in str(found)
    assert not agent.paths


async def test_no_connection_is_an_outage() -> None:
    found = await failure(program("http://127.0.0.1:9"))
    assert (found.kind, found.final) == (ErrorType.UPSTREAM_UNAVAILABLE, False)


def test_progress_is_read_from_its_own_detail() -> None:
    now = RemoteProgress(remote_task="t", ended=1, replied=True)
    assert RemoteProgress.model_validate(now.model_dump(mode="json")) == now
