"""Chat completions: prices, refusals, upstream errors, replays; models and health."""

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.gateway.client import body, bound, world
from tests.support.upstream import Rule

USED = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}


async def test_an_answer_has_its_cost_and_the_account_headers() -> None:
    async with world(Rule(text="hi", usage=USED)) as w:
        agent = await w.api.open(1)
        reply = await agent.chat()
        assert reply.status == 200
        assert reply.json["choices"][0]["message"]["content"] == "hi"
        assert reply.json["usage"] == {**USED, "cost": Decimal("0.00003")}
        assert reply.headers["x-account-spent-usd"] == "0.000030"
        assert reply.headers["x-account-reserved-usd"] == "0.000000"
        [line] = await agent.ledger()
        assert (line["amount"], line["estimated"]) == (Decimal("0.00003"), False)
        assert line["idempotency_key"] is None


async def test_the_same_key_returns_the_stored_answer_without_a_charge() -> None:
    async with world() as w:
        agent = await w.api.open()
        first, again = [await agent.chat(key="k") for _ in range(2)]
        assert first.text == again.text
        assert "x-idempotent-replay" not in first.headers
        assert again.headers["x-idempotent-replay"] == "true"
        assert w.upstream.count == 1
        assert len(await agent.ledger()) == 1
        other = await agent.chat(body("other"), key="k")
        assert (other.status, other.error["type"]) == (409, "idempotency_conflict")
        stranger = await w.api.open()
        assert (await stranger.chat(body("other"), key="k")).status == 200


async def test_a_call_above_the_budget_is_refused_before_it_is_made() -> None:
    sent = body()
    need = bound(sent)
    async with world() as w:
        agent = await w.api.open(f"0.{need - 1:06d}")
        refused = await agent.chat(sent, key="k")
        assert refused.status == 402
        assert refused.error["type"] == "insufficient_funds"
        assert refused.error["code"] == "budget_exhausted"
        assert refused.error["remaining_usd"] == Decimal(need - 1) / 10**6
        assert refused.error["required_usd"] == Decimal(need) / 10**6
        assert refused.error["reserved_usd"] == 0
        assert refused.headers["x-account-spent-usd"] == "0.000000"
        assert w.upstream.count == 0
        await agent.patch(budget=f"0.{need:06d}")
        assert (await agent.chat(sent, key="k")).status == 200


async def test_max_tokens_is_always_sent_upstream() -> None:
    async with world() as w:
        agent = await w.api.open()
        await agent.chat(body(max_tokens=None))
        await agent.chat(body(max_tokens=None, max_completion_tokens=7))
        await agent.chat({**body(), "max_tokens": None})
        sent = [received.body for received in w.upstream.requests]
        assert [s.get("max_tokens") for s in sent] == [1024, None, 1024]
        assert sent[1]["max_completion_tokens"] == 7


@pytest.mark.parametrize(
    ("sent", "code", "says"),
    [
        ({"messages": []}, "invalid_request", "model"),
        ({"model": "m"}, "invalid_request", "messages"),
        ({"model": "m", "messages": []}, "invalid_request", "messages"),
        ({"model": "m", "messages": ["x"]}, "invalid_request", "messages"),
        (body(max_tokens=0), "invalid_request", "max_tokens"),
        ({**body(), "max_tokens": "5"}, "invalid_request", "max_tokens"),
        ({**body(), "max_tokens": True}, "invalid_request", "max_tokens"),
        ({**body(), "max_tokens": 10**8}, "invalid_request", "max_tokens"),
        (body(n=2), "unsupported_parameter", "`n`"),
        (body(stream="yes"), "invalid_request", "`stream`"),
        (body(stream_options={"include_usage": True}), "invalid_request", "`stream: true`"),
        (body(stream=True, stream_options=[]), "invalid_request", "`stream_options`"),
        (body(stream=True, stream_options={"include_usage": 1}), "invalid_request", "true or"),
        (body(stream=True, stream_options={"x": 1}), "unsupported_parameter", "stream_options.x"),
        (body(models=["expensive"]), "unsupported_parameter", "models"),
        (body(service_tier="priority"), "unsupported_parameter", "service_tier"),
        (body(tools=[{"type": "web_search"}]), "unsupported_parameter", "tools"),
        (
            body() | {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
            "unsupported_content",
            "text",
        ),
        (body() | {"messages": [{"role": "user", "content": 5}]}, "invalid_request", "content"),
    ],
)
async def test_a_field_whose_cost_cannot_be_bounded_is_refused_by_name(
    sent: dict[str, Any], code: str, says: str
) -> None:
    async with world() as w:
        agent = await w.api.open()
        reply = await agent.chat(sent)
        assert (reply.status, reply.error["code"]) == (400, code)
        assert says in reply.error["message"]
        assert w.upstream.count == 0
        assert (await agent.account())["reserved"] == 0


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[1]", b'"x"', b"\xff", b"[" * 100_000, b'{"model": "m", "top_p": NaN}']
)
async def test_a_body_that_is_not_a_json_object_is_refused(raw: bytes) -> None:
    async with world() as w:
        agent = await w.api.open()
        reply = await agent.chat(raw=raw)
        assert (reply.status, reply.error["code"]) == (400, "not_json")


async def test_half_of_a_surrogate_pair_is_refused() -> None:
    async with world() as w:
        agent = await w.api.open()
        raw = b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}'
        assert (await agent.chat(raw=raw)).status == 400


async def test_a_duplicate_field_cannot_raise_the_limit() -> None:
    async with world() as w:
        agent = await w.api.open()
        message = b'"messages": [{"role": "user", "content": "x"}]'
        raw = b'{"model": "m", "max_tokens": 100000, ' + message + b', "max_tokens": 3}'
        assert (await agent.chat(raw=raw)).status == 200
        assert w.upstream.requests[0].body["max_tokens"] == 3


async def test_a_body_that_is_too_large_is_refused() -> None:
    async with world(gateway_max_body_bytes=2048) as w:
        agent = await w.api.open()
        reply = await agent.chat(body("x" * 4096))
        assert (reply.status, reply.error["code"]) == (413, "body_too_large")
        assert "2048" in reply.error["message"]


async def test_an_unpriced_model_is_refused_with_the_lines_to_add() -> None:
    async with world() as w:
        agent = await w.api.open()
        reply = await agent.chat(body() | {"model": 'gpt "x"'})
        assert (reply.status, reply.error["code"]) == (400, "unpriced_model")
        assert '[models."gpt \\"x\\""]\ninput_usd_per_million = ' in reply.error["message"]
        assert str(w.gateway.server.models.prices.path) in reply.error["message"]
        assert w.upstream.count == 0


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        *((status, 502) for status in (301, 401, 403)),
        (402, 503),
        *((status, status) for status in (400, 404, 408, 409, 422, 429, 500, 503, 529)),
    ],
)
async def test_upstream_errors_are_passed_on_and_cost_nothing(status: int, shown: int) -> None:
    rule = Rule(status=status, headers={"Retry-After": "7"}, times=1)
    async with world(rule, upstream_circuit_failures=0) as w:
        agent = await w.api.open()
        reply = await agent.chat(key="k")
        assert (reply.status, reply.error["type"]) == (shown, "upstream_error")
        assert reply.error["upstream_status"] == status
        assert f"scripted {status}" in reply.error["message"]
        waits = shown in (408, 409, 429, 529) or (shown >= 500 and shown == status)
        assert reply.headers.get("retry-after") == ("7" if waits else None)
        account = await agent.account()
        assert (account["reserved"], account["spent"], account["interrupted"]) == (0, 0, {})
        again = await agent.chat(key="k")
        assert again.status == 200
        assert "x-idempotent-replay" not in again.headers


async def test_upstream_errors_are_truncated_and_contain_no_key() -> None:
    upstream_key = "upstream-key-0123456789"
    async with world(upstream_api_key=upstream_key) as w:
        agent = await w.api.open()
        text = f"bad key {upstream_key} for {agent.key}, {w.api.key} " + "x" * 100_000
        w.upstream.add(Rule(status=400, body={"error": {"message": text, "code": "bad"}}))
        reply = await agent.chat()
        assert reply.error["code"] == "bad"
        assert len(reply.text) < 3_000
        assert not any(key in reply.text for key in (upstream_key, agent.key, w.api.key))
        received = w.upstream.requests[0]
        assert received.headers["authorization"] == f"Bearer {upstream_key}"
        assert agent.key not in json.dumps(received.headers)


@pytest.mark.parametrize(
    ("rule", "status", "code", "cause"),
    [
        (Rule(disconnect="before"), 502, "upstream_broke_off", "upstream_broke_off"),
        (Rule(disconnect="middle"), 502, "upstream_broke_off", "upstream_broke_off"),
        (Rule(latency=5), 504, "upstream_timeout", "upstream_broke_off"),
        (Rule(body="<html>"), 502, "malformed_upstream", "malformed_answer"),
        (Rule(body=[1]), 502, "malformed_upstream", "malformed_answer"),
        (Rule(choices=False, usage="missing"), 502, "malformed_upstream", "malformed_answer"),
        (Rule(choices=False, usage="zero"), 502, "malformed_upstream", "malformed_answer"),
    ],
)
async def test_a_call_without_an_answer_is_counted_and_its_key_can_be_reused(
    rule: Rule, status: int, code: str, cause: str
) -> None:
    rule.times, rule.used = 1, 0
    async with world(rule, upstream_timeout_seconds=0.4) as w:
        agent = await w.api.open()
        reply = await agent.chat(key="k")
        assert (reply.status, reply.error["code"]) == (status, code)
        account = await agent.account()
        assert (account["reserved"], account["spent"]) == (0, 0)
        assert account["interrupted"] == {cause: 1}
        assert (await agent.chat(key="k")).status == 200
        assert (await agent.account())["charges"] == 1


async def test_an_unreachable_upstream_is_not_counted_as_interrupted() -> None:
    async with world() as w:
        agent = await w.api.open()
        await w.upstream.stop()
        reply = await agent.chat(key="k")
        assert (reply.status, reply.error["code"]) == (502, "upstream_unreachable")
        assert (await agent.account())["interrupted"] == {}


@pytest.mark.parametrize("status", [200, 500])
async def test_an_answer_without_choices_but_with_usage_is_billed(status: int) -> None:
    rule = Rule(status=status, body={"usage": USED})
    async with world(rule) as w:
        agent = await w.api.open()
        for _ in range(2):
            reply = await agent.chat(key="k")
            assert (reply.status, reply.json["usage"]["cost"]) == (status, Decimal("0.00003"))
        assert len(await agent.ledger()) == 1
        assert w.upstream.count == 1


async def test_models_and_health_need_no_key() -> None:
    async with world() as w:
        models = await w.api.send("GET", "/v1/models", key="")
        assert [model["id"] for model in models.json["data"]] == ["smollm2-135m", "m"]
        assert models.json["data"][0]["pricing"] == {
            "input_usd_per_million": Decimal("0.5"),
            "output_usd_per_million": Decimal(2),
        }
        assert models.json["data"][0]["context_tokens"] == 8192
        opened = await w.api.send("POST", "/v1/agents", {"name": "a", "budget": 1})
        assert models.json["capabilities"] == opened.json["capabilities"]
        assert all(models.json["capabilities"][name] is True for name in ("hard_limit", "replay"))
        health = await w.api.send("GET", "/healthz", key="")
        assert (health.status, health.json["status"]) == (200, "ready")
        unknown = await w.api.send("GET", "/v2/models", key="")
        assert (unknown.status, unknown.error["code"]) == (404, "http_404")
        assert "GET /openapi.json lists" in unknown.error["message"]
        wrong = await w.api.send("GET", "/v1/chat/completions", key="")
        assert wrong.status == 405
        assert wrong.error["message"].endswith("this path takes POST")
