"""The account requests of the table in docs/gateway.md."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from tests.gateway.client import body, world
from tests.support.upstream import Rule


async def test_opening_returns_the_account_its_key_and_the_capabilities() -> None:
    async with world() as w:
        reply = await w.api.send("POST", "/v1/agents", {"name": "research", "budget": 5.00})
        assert reply.status == 201
        account = reply.json
        assert account.pop("id")
        assert account.pop("api_key").startswith("atxp-agent-")
        assert account == {
            "name": "research",
            "status": "active",
            "budget": Decimal(5),
            "spent": 0,
            "balance": Decimal(5),
            "reserved": 0,
            "charges": 0,
            "revision": 0,
            "capabilities": {
                "hard_limit": True,
                "replay": True,
                "ledger": True,
                "transfer": True,
                "charges": True,
                "scopes": True,
            },
        }


async def test_opening_is_idempotent_by_key() -> None:
    async with world() as w:
        wanted = {"name": "a", "budget": 1}
        first, again = [
            await w.api.send("POST", "/v1/agents", wanted, idempotency_key="run/a")
            for _ in range(2)
        ]
        assert first.json == again.json
        other = await w.api.send(
            "POST", "/v1/agents", {"name": "a", "budget": 2}, idempotency_key="run/a"
        )
        assert (other.status, other.error["type"]) == (409, "idempotency_conflict")
        plain = await w.api.send("POST", "/v1/agents", wanted)
        assert plain.json["id"] != first.json["id"]


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"name": "", "budget": 1}, "name"),
        ({"name": 5, "budget": 1}, "name"),
        ({"name": "x" * 201, "budget": 1}, "name"),
        ({"name": "a"}, "budget"),
        ({"name": "a", "budget": -1}, "budget"),
        ({"name": "a", "budget": True}, "budget"),
        ({"name": "a", "budget": "five"}, "budget"),
        ({"name": "a", "budget": 0.0000001}, "budget"),
        ({"name": "a", "budget": 10**12}, "budget"),
        ({"name": "a", "budget": 1, "limit": 5}, "limit"),
        ([1], "object"),
    ],
)
async def test_opening_names_the_wrong_field(data: object, field: str) -> None:
    async with world() as w:
        reply = await w.api.send("POST", "/v1/agents", data)
        assert reply.status == 400
        assert field in reply.error["message"]


@pytest.mark.parametrize(
    "raw", [b"{", b"\xff\xfe", b"[" * 100_000, b'{"name": "a", "budget": NaN}']
)
async def test_opening_refuses_a_body_that_is_not_json(raw: bytes) -> None:
    async with world() as w:
        reply = await w.api.send("POST", "/v1/agents", raw=raw)
        assert reply.status == 400


async def test_which_key_is_permitted_which_request() -> None:
    async with world() as w:
        agent = await w.api.open()
        parent_chats = await w.api.send("POST", "/v1/chat/completions", body())
        assert (parent_chats.status, parent_chats.error["type"]) == (403, "permission_error")
        for method, path in [
            ("POST", "/v1/agents"),
            ("GET", f"/v1/agents/{agent.id}"),
            ("PATCH", f"/v1/agents/{agent.id}"),
            ("GET", f"/v1/agents/{agent.id}/transactions"),
            ("POST", "/v1/transfers"),
        ]:
            managed = await w.api.send(method, path, {}, key=agent.key)
            assert managed.status == 403, path
            for key in ("", "wrong-key"):
                unknown = await w.api.send(method, path, {}, key=key)
                assert (unknown.status, unknown.error["code"]) == (401, "invalid_api_key"), path
        for key in ("", "wrong-key", agent.key + "0"):
            chats = await w.api.send("POST", "/v1/chat/completions", body(), key=key)
            assert chats.status == 401
        assert w.upstream.count == 0


async def test_reading_shows_no_key_and_names_an_unknown_account() -> None:
    async with world() as w:
        agent = await w.api.open(2)
        account = await agent.account()
        assert account["balance"] == 2
        assert account["interrupted"] == {}
        assert not any(agent.key in str(value) for value in account.values())
        for method, path in [
            ("GET", "/v1/agents/agt_x"),
            ("PATCH", "/v1/agents/agt_x"),
            ("GET", "/v1/agents/agt_x/transactions"),
        ]:
            reply = await w.api.send(method, path, {"budget": 1} if method == "PATCH" else None)
            assert reply.status == 404
            assert "agt_x" in reply.error["message"]


async def test_a_new_limit_applies_at_once_and_cannot_be_below_what_is_spent() -> None:
    async with world(Rule(usage={"prompt_tokens": 100, "completion_tokens": 10})) as w:
        agent = await w.api.open("0.001")
        await agent.chat()
        spent = (await agent.account())["spent"]
        assert spent == Decimal("0.00012")
        cut = await agent.patch(budget="0.000119")
        assert (cut.status, cut.error["code"]) == (409, "budget_below_spent")
        assert cut.error["spent_usd"] == spent
        assert cut.error["reserved_usd"] == 0
        assert "0.000120" in cut.error["message"]
        exact = await agent.patch(budget="0.00012")
        assert (exact.status, exact.json["balance"]) == (200, 0)
        assert (await agent.chat()).status == 402
        assert (await agent.patch(budget=1)).json["budget"] == 1
        assert (await agent.chat()).status == 200


async def test_a_limit_below_what_is_reserved_is_refused_with_the_amounts() -> None:
    async with world(Rule(latency=0.3)) as w:
        agent = await w.api.open()
        call = asyncio.create_task(agent.chat())
        await agent.until_reserved()
        reserved = (await agent.account())["reserved"]
        cut = await agent.patch(budget=str(reserved - Decimal("0.000001")))
        assert cut.status == 409
        assert cut.error["reserved_usd"] == reserved
        assert (await call).status == 200


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"budget": None},
        {"status": "paused"},
        {"status": None},
        {"name": "b"},
        {"status": "disabled", "wait_seconds": 31},
        {"status": "disabled", "wait_seconds": "soon"},
    ],
)
async def test_an_invalid_change_changes_nothing(changes: dict[str, object]) -> None:
    async with world() as w:
        agent = await w.api.open()
        assert (await agent.patch(**changes)).status == 400
        assert (await agent.account())["status"] == "active"


async def test_transactions_are_paged_newest_last_and_filtered_by_key() -> None:
    async with world() as w:
        agent = await w.api.open()
        for number in range(5):
            await agent.chat(body(f"call {number}"), key=f"k{number}")
        first = await w.api.send("GET", f"/v1/agents/{agent.id}/transactions?limit=2")
        assert first.json["has_more"] is True
        after = first.json["data"][-1]["id"]
        rest = await agent.ledger(f"?after={after}")
        keys = [line["idempotency_key"] for line in [*first.json["data"], *rest]]
        assert keys == ["k0", "k1", "k2", "k3", "k4"]
        [line] = await agent.ledger("?idempotency_key=k3")
        assert set(line) == {
            "id",
            "created_at",
            "idempotency_key",
            "model",
            "prompt_tokens",
            "completion_tokens",
            "amount",
            "estimated",
            "overrun",
            "cached_tokens",
            "cache_write_tokens",
            "reasoning_tokens",
            "saved_usd",
            "price_source",
        }
        account = await agent.account()
        assert account["charges"] == 5
        assert sum(line["amount"] for line in await agent.ledger()) == account["spent"]
        for query in ("limit=0", "limit=x", "after=-1", "limit=1001"):
            reply = await w.api.send("GET", f"/v1/agents/{agent.id}/transactions?{query}")
            assert reply.status == 400


async def test_a_transfer_moves_unspent_money_once_for_each_key() -> None:
    async with world() as w:
        source, target = await w.api.open(3, "source"), await w.api.open(1, "target")

        async def move(amount: object, key: str | None = None, **other: object) -> tuple[int, str]:
            data = {"from": source.id, "to": target.id, "amount": amount, **other}
            reply = await w.api.send("POST", "/v1/transfers", data, idempotency_key=key)
            return reply.status, reply.text

        assert (await move("0.5", "t1"))[0] == 200
        assert (await move("0.5", "t1"))[0] == 200
        assert (await source.account())["budget"] == Decimal("2.5")
        assert (await target.account())["budget"] == Decimal("1.5")
        assert (await move("0.6", "t1"))[0] == 409
        status, text = await move("2.500001")
        assert status == 409
        assert "insufficient_funds" in text
        assert (await move(0))[0] == 400
        assert (await move(1, to=source.id))[0] == 400
        assert (await move(1, to="agt_x"))[0] == 404
        await target.patch(status="disabled")
        assert (await move(1))[0] == 409
        assert (await source.account())["budget"] == Decimal("2.5")


async def test_an_account_that_was_changed_since_is_left_as_it_is() -> None:
    """By a limit, a status, or money that moved; what is spent or reserved does not count."""
    async with world() as w:
        agent, other = await w.api.open(1), await w.api.open(1)
        path = f"/v1/agents/{agent.id}"

        async def change(revision: int, **changes: Any) -> tuple[int, Any]:
            reply = await w.api.send("PATCH", path, changes, if_match=f'"{revision}"')
            told = reply.json if reply.status == 200 else reply.error
            return reply.status, told["revision"]

        assert (await agent.account())["revision"] == 0
        assert (await agent.chat()).status == 200
        assert await change(0, budget=2, status="active") == (200, 2)
        assert await change(0, budget=3) == (412, 2)
        move = {"from": agent.id, "to": other.id, "amount": "0.5"}
        assert (await w.api.send("POST", "/v1/transfers", move)).status == 200
        assert await change(2, budget=2) == (412, 3)
        await agent.patch(status="disabled")
        assert await change(3, budget=2, status="active") == (412, 4)
        account = await agent.account()
        assert (account["budget"], account["status"]) == (Decimal("1.5"), "disabled")
        assert await change(4, budget=2, status="active") == (200, 6)
