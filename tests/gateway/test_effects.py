"""Effects over HTTP: begun once for each scope, whoever asks, in whatever order."""

import asyncio
import sqlite3
from typing import Any

import pytest

from tests.gateway.client import Agent, Api, Reply, World, world
from tests.support.gateway import running_gateway

TOOL = "shop.refund"


async def post(agent: Agent, step: str, data: Any, name: str = "e", **more: Any) -> Reply:
    path = f"/v1/scopes/{more.pop('scope', 's')}/effects/{name}/{step}"
    return await agent.api.send("POST", path, data, key=agent.key, **more)


async def begin(agent: Agent, attempt: int = 1, tool: str = TOOL, **more: Any) -> Reply:
    fields = {name: more.pop(name) for name in ("idempotent",) if name in more}
    return await post(agent, "begin", {"attempt": attempt, "tool": tool, **fields}, **more)


async def done(agent: Agent, result: Any = "paid", attempt: int = 1, **more: Any) -> Reply:
    data = {"attempt": attempt, "state": "done", "result": result}
    return await post(agent, "finish", data, **more)


async def failed(agent: Agent, attempt: int = 1, text: str = "no card", **more: Any) -> Reply:
    error = {"type": "ValueError", "message": text}
    data = {"attempt": attempt, "state": "failed", "error": error}
    return await post(agent, "finish", data, **more)


async def resolve(agent: Agent, decision: str, *, name: str = "e", **more: Any) -> Reply:
    path = f"/v1/scopes/s/effects/{name}/resolve?agent={agent.id}"
    return await agent.api.send("POST", path, {"decision": decision, **more})


def code(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.error["code"]


async def unknown(agent: Agent) -> None:
    """Begun by attempt 1, which died inside; attempt 2 has noticed."""
    assert (await begin(agent)).json["state"] == "begun"
    assert code(await begin(agent, 2)) == (409, "effect_unknown")


@pytest.mark.parametrize("result", [None, False, 0, 1.5, 2**70, "", "é\u2028", [], {"a": [{}]}])
async def test_the_next_attempt_gets_the_result(result: Any) -> None:
    async with world() as w:
        agent = await w.api.open()
        first = await begin(agent)
        assert (first.status, first.json["state"], first.json["attempt"]) == (200, "begun", 1)
        assert (await done(agent, result)).json["state"] == "done"
        for attempt in (1, 2, 2):
            again = await begin(agent, attempt)
            assert (again.json["state"], again.json["result"]) == ("done", result)


async def test_the_next_attempt_gets_the_tools_error() -> None:
    async with world() as w:
        agent = await w.api.open()
        await begin(agent)
        await failed(agent)
        again = (await begin(agent, 2)).json
        assert again["state"] == "failed"
        assert again["error"] == {"type": "ValueError", "message": "no card"}
        assert again["result"] is None


async def test_an_effect_whose_attempt_died_inside_is_unknown_until_a_person_decides() -> None:
    async with world() as w:
        agent = await w.api.open()
        await unknown(agent)
        refused = await begin(agent, 3)
        assert code(refused) == (409, "effect_unknown")
        assert refused.headers["x-should-retry"] == "false"
        named = {name: refused.error[name] for name in ("effect", "tool", "attempt")}
        assert named == {"effect": "e", "tool": TOOL, "attempt": 1}
        assert "resolve" in refused.error["message"]
        assert (await resolve(agent, "retry")).json["state"] == "retry"
        assert (await begin(agent, 4)).json["state"] == "begun"
        assert (await done(agent, attempt=4)).status == 200
        assert (await begin(agent, 5)).json["result"] == "paid"


async def test_skip_and_result_are_what_the_next_attempts_get() -> None:
    async with world() as w:
        agent = await w.api.open()
        await unknown(agent)
        assert (await resolve(agent, "skip")).json["state"] == "skipped"
        assert (await begin(agent, 3)).json["state"] == "skipped"
        assert code(await done(agent)) == (409, "effect_resolved")
        other = await w.api.open(name="other")
        await unknown(other)
        assert (await resolve(other, "result", result={"id": 7})).json["state"] == "done"
        assert (await begin(other, 3)).json["result"] == {"id": 7}
        assert code(await done(other)) == (409, "effect_resolved")


async def test_one_retry_of_a_person_is_one_retry() -> None:
    """The request is repeated, as an activity that was killed after it would."""
    async with world() as w:
        agent = await w.api.open()
        await unknown(agent)
        for _ in range(2):
            assert (await resolve(agent, "retry", attempt=1)).json["state"] == "retry"
        assert (await begin(agent, 3)).json["state"] == "begun"
        assert code(await resolve(agent, "retry", attempt=1))[0] == 409
        assert code(await resolve(agent, "retry")) == (409, "effect_in_progress")
        assert code(await begin(agent, 4)) == (409, "effect_unknown")
        assert code(await resolve(agent, "retry", attempt=1)) == (409, "effect_of_another_attempt")
        assert (await resolve(agent, "retry", attempt=3)).json["state"] == "retry"


async def test_an_attempt_that_was_given_up_too_early_still_has_its_result_kept() -> None:
    async with world() as w:
        agent = await w.api.open()
        await unknown(agent)
        assert (await done(agent, "late")).json["state"] == "done"
        assert (await begin(agent, 2)).json["result"] == "late"
        await begin(agent, 2, name="f")
        assert code(await begin(agent, 3, name="f")) == (409, "effect_unknown")
        await resolve(agent, "retry", name="f")
        assert (await begin(agent, 3, name="f")).json["state"] == "begun"
        assert code(await done(agent, "late", 2, name="f")) == (409, "attempt_superseded")
        assert (await done(agent, "second", 3, name="f")).json["result"] == "second"


async def test_a_late_result_makes_a_retry_unnecessary() -> None:
    async with world() as w:
        agent = await w.api.open()
        await unknown(agent)
        await resolve(agent, "retry")
        assert code(await failed(agent)) == (409, "effect_resolved")
        assert (await done(agent, "late")).json["state"] == "done"
        assert (await begin(agent, 3)).json["result"] == "late"


async def test_while_one_is_unknown_no_other_begins() -> None:
    """The attempt that asks goes another way than the one that died, perhaps to the same end; or it
    would die inside of what it begins beside the unknown one."""
    async with world() as w:
        agent = await w.api.open()
        for name in ("was", "e", "f"):
            await begin(agent, name=name)
        await done(agent, name="was")
        refused = await begin(agent, 2, name="new")
        assert code(refused) == (409, "effect_unknown")
        named = {name: refused.error[name] for name in ("effect", "tool", "attempt")}
        assert named == {"effect": "e", "tool": TOOL, "attempt": 1}
        assert "effect e " in refused.error["message"]
        assert (await begin(agent, 2, name="was")).json["result"] == "paid"
        assert (await begin(agent, 2, name="again", idempotent=True)).json["state"] == "begun"
        await resolve(agent, "skip")
        assert (await begin(agent, 3, name="new")).error["effect"] == "f"
        await resolve(agent, "retry", name="f")
        assert (await begin(agent, 4, name="new")).json["state"] == "begun"
        assert (await begin(agent, 4, name="f")).json["state"] == "begun"
        listed = await w.api.send("GET", "/v1/scopes/s/effects", key=agent.key)
        names = ["was", "e", "f", "again", "new"]
        assert [each["effect"] for each in listed.json["data"]] == names


async def test_an_idempotent_effect_begins_again() -> None:
    async with world() as w:
        agent = await w.api.open()
        assert (await begin(agent, idempotent=True)).json["state"] == "begun"
        assert (await begin(agent, 2, idempotent=True)).json["state"] == "begun"
        assert code(await done(agent, "first")) == (409, "attempt_superseded")
        assert (await done(agent, "second", 2)).status == 200
        assert (await begin(agent, 3, idempotent=True)).json["result"] == "second"


async def test_an_attempt_can_say_that_it_does_not_know() -> None:
    async with world() as w:
        agent = await w.api.open()
        await begin(agent)
        reply = await post(agent, "finish", {"attempt": 1, "state": "unknown"})
        assert reply.json["state"] == "unknown"
        assert code(await begin(agent, 1)) == (409, "effect_unknown")
        assert (await resolve(agent, "retry")).status == 200
        assert (await begin(agent, 2)).json["state"] == "begun"


async def test_a_failed_one_can_be_tried_again_by_a_person() -> None:
    async with world() as w:
        agent = await w.api.open()
        await begin(agent)
        await failed(agent)
        assert (await resolve(agent, "retry")).json["state"] == "retry"
        assert (await begin(agent, 2)).json["state"] == "begun"
        await done(agent, attempt=2)
        assert code(await resolve(agent, "retry")) == (409, "effect_ended")


async def test_an_older_attempt_begins_nothing() -> None:
    async with world() as w:
        agent = await w.api.open()
        await begin(agent, 2, name="one")
        refused = await begin(agent, 1, name="two")
        assert code(refused) == (409, "attempt_superseded")
        assert "attempt 2" in refused.error["message"]
        assert (await begin(agent, 2, name="two")).json["state"] == "begun"
        assert (await begin(agent, 1, scope="t", name="two")).json["state"] == "begun"


async def test_a_lost_response_is_asked_for_again_under_its_key() -> None:
    async with world() as w:
        agent = await w.api.open()
        for _ in range(2):
            assert (await begin(agent, idempotency_key="k")).json["state"] == "begun"
        assert code(await begin(agent, idempotency_key="l")) == (409, "effect_in_progress")
        assert code(await begin(agent)) == (409, "effect_in_progress")
        for _ in range(2):
            assert (await done(agent)).status == 200
        assert code(await done(agent, "other")) == (409, "effect_ended")
        assert code(await failed(agent)) == (409, "effect_ended")
        assert (await begin(agent, 2, idempotency_key="k")).json["state"] == "done"


async def test_only_one_of_many_begins_it() -> None:
    async with world() as w:
        agent = await w.api.open()
        replies = await asyncio.gather(
            *(begin(agent, 1, idempotency_key=f"k{n}") for n in range(50))
        )
        assert sorted(each.status for each in replies) == [200] + [409] * 49


async def test_two_gateways_on_one_store_begin_it_once() -> None:
    async with world() as w:
        database = w.gateway.database
        async with running_gateway(w.upstream.url, database=database) as second:
            agent = await w.api.open()
            other = Agent(Api(second.url, w.api.http), agent.id, agent.key)
            for n in range(10):
                replies = await asyncio.gather(
                    *(begin(each, 1, name=f"e{n}") for each in (agent, other) * 4)
                )
                assert sorted(each.status for each in replies) == [200] + [409] * 7
            assert (await done(agent, name="e0")).status == 200
            assert (await begin(other, 2, name="e0")).json["result"] == "paid"
            assert code(await begin(other, 2, name="e1")) == (409, "effect_unknown")
            assert code(await begin(agent, 1, name="new")) == (409, "attempt_superseded")


async def test_the_list_has_what_a_person_needs() -> None:
    async with world() as w:
        agent = await w.api.open()
        await unknown(agent)
        await begin(agent, 2, name="f", idempotent=True)
        await done(agent, {"a": 1}, 2, name="f")
        path = "/v1/scopes/s/effects"
        seen = [
            await w.api.send("GET", path, key=agent.key),
            await w.api.send("GET", f"{path}?agent={agent.id}"),
        ]
        assert seen[0].json == seen[1].json
        entries = seen[0].json["data"]
        assert [(each["effect"], each["state"]) for each in entries] == [
            ("e", "unknown"),
            ("f", "done"),
        ]
        assert entries[1]["result_bytes"] == len('{"a":1}')
        first = await w.api.send("GET", f"{path}?limit=1", key=agent.key)
        assert (len(first.json["data"]), first.json["has_more"]) == (1, True)
        rest = await w.api.send("GET", f"{path}?after={entries[0]['id']}", key=agent.key)
        assert [each["effect"] for each in rest.json["data"]] == ["f"]
        one = await w.api.send("GET", f"{path}/f", key=agent.key)
        assert (one.json["result"], one.json["idempotent"]) == ({"a": 1}, True)
        assert code(await w.api.send("GET", f"{path}/none", key=agent.key)) == (404, "not_found")
        other = await w.api.open(name="other")
        assert (await w.api.send("GET", path, key=other.key)).json["data"] == []


async def test_keys_are_checked() -> None:
    async with world() as w:
        agent = await w.api.open()
        await unknown(agent)
        path = "/v1/scopes/s/effects/e"
        decide = {"decision": "retry"}
        by_agent = await w.api.send("POST", f"{path}/resolve", decide, key=agent.key)
        assert code(by_agent) == (403, "wrong_kind_of_key")
        assert (await w.api.send("POST", f"{path}/resolve", decide)).status == 400
        nobody = await w.api.send("POST", f"{path}/resolve?agent=agt_x", decide)
        assert code(nobody) == (404, "not_found")
        by_parent = await w.api.send("POST", f"{path}/begin", {"attempt": 1, "tool": TOOL})
        assert code(by_parent) == (403, "wrong_kind_of_key")
        assert (await w.api.send("GET", path, key="x" * 30)).status == 401
        other = await w.api.open(name="other")
        assert (await w.api.send("GET", f"{path}?agent={agent.id}", key=other.key)).status == 400


async def test_a_disabled_account_begins_nothing_and_keeps_no_results() -> None:
    async with world() as w:
        agent = await w.api.open()
        await begin(agent)
        await done(agent, {"secret": "of a customer"})
        await begin(agent, name="open")
        await agent.patch(status="disabled")
        assert code(await begin(agent, 2, name="new")) == (402, "account_disabled")
        assert code(await resolve(agent, "retry", name="open")) == (402, "account_disabled")
        assert (await done(agent, "it happened", name="open")).json["state"] == "done"
        await agent.patch(status="active")
        for name in ("e", "open"):
            assert code(await begin(agent, 2, name=name)) == (410, "result_dropped")
            read = await w.api.send("GET", f"/v1/scopes/s/effects/{name}", key=agent.key)
            assert (read.json["state"], read.json["result"]) == ("done", None)
        assert (await done(agent, {"secret": "of a customer"})).status == 200
        assert b"of a customer" not in database(w)


def database(w: World) -> bytes:
    """The file, after its log was written into it; what was deleted stays in free pages."""
    with sqlite3.connect(w.gateway.database) as conn:
        conn.execute("VACUUM")
    return w.gateway.database.read_bytes()


@pytest.mark.usefixtures("few_effects")
async def test_an_account_cannot_fill_the_disk() -> None:
    async with world() as w:
        agent = await w.api.open()
        for n in range(3):
            assert (await begin(agent, name=f"e{n}")).status == 200
        full = await begin(agent, name="e3")
        assert code(full) == (507, "effects_full")
        assert (await begin(agent, 2, name="e1", idempotent=True)).status == 200
        assert (await begin(await w.api.open(name="b"), name="e3")).status == 200


@pytest.fixture
def few_effects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_agent_team.gateway.stores.sqlite_effects.MAX_EFFECTS", 3)
