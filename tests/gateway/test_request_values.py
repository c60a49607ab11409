"""A value that cannot be used is a 4xx that names its field, whatever it is."""

import json
from typing import Any

import pytest

from durable_agent_team.gateway.amounts import MAX_MICRO, parse_usd
from tests.gateway import raw
from tests.gateway.client import body, world
from tests.support.gateway import PARENT_KEY

OPEN = '{"name": "a", "budget": %s}'
MORE = '{"role": "user", "content": "x"}], %s, "x": ['
CHAT = '{"model": "m", "max_tokens": 5, "messages": [%s]}'
DIGITS = "7" * 4_400
MANY: Any = "x" * 99
for _ in range(5):
    MANY = {f"{each}{'y' * 99}": MANY for each in range(5)}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (OPEN % "1e999999", "`budget`"),
        (OPEN % "1e99999999999999999999", "`budget`"),
        (OPEN % "-1e99999999999999999999", "`budget`"),
        (OPEN % "1e-99999999999999999999", "`budget`"),
        (OPEN % DIGITS, "`budget`"),
        (OPEN % ("7" * 90), "`budget`"),
        (OPEN % '"1_0"', "`budget`"),
        (OPEN % '"٣"', "`budget`"),
        (OPEN % '"NaN"', "`budget`"),
        (OPEN % '" 1"', "`budget`"),
        (OPEN % '"1e999999"', "`budget`"),
        (OPEN % '"1e99999999999999999999"', "`budget`"),
        (OPEN % "5.0000000000000000000000000000000001", "`budget`"),
        (OPEN % "1.00e-8", "`budget`"),
        (OPEN % "[[[]]]", "`budget`"),
        (OPEN % "NaN", "NaN"),
        (OPEN % "-Infinity", "-Infinity"),
        ('{"name": "\\ud800", "budget": 1}', "`name`"),
        ('{"name": ["a"], "budget": 1}', "`name`"),
        ('{"name": "a", "\\udfff": 1, "budget": 1}', "\\udfff"),
        ('{"name": "a", "name": "b", "budget": 1}', "'name'"),
        ('{"name": ' + "[" * 5_000 + "]" * 5_000 + "}", "nested"),
        ('{"name": ' + "[" * 150 + "]" * 150 + "}", "nested"),
        ('{"' + "x" * 5_000 + '": 1}', "xxx"),
        (OPEN % json.dumps(MANY), "`budget`"),
    ],
)
async def test_a_wrong_account_names_the_field(text: str, names: str) -> None:
    async with world() as w:
        reply = await w.api.send("POST", "/v1/agents", raw=text.encode())
        assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")
        assert names in reply.error["message"]
        assert len(reply.error["message"]) < 400


@pytest.mark.parametrize("raw_body", [b'{"name": "\xed\xa0\x80", "budget": 1}', b"\xff\xfe{\0}\0"])
async def test_a_body_that_is_not_utf8_is_refused(raw_body: bytes) -> None:
    async with world() as w:
        reply = await w.api.send("POST", "/v1/agents", raw=raw_body)
        assert (reply.status, reply.error["code"]) == (400, "not_json")
        assert "UTF-8" in reply.error["message"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (CHAT % '{"role": [], "content": "x"}', "`messages[0].role`"),
        (CHAT % '{"role": null, "content": "x"}', "`messages[0].role`"),
        (CHAT % '{"role": "user", "content": [{"type": []}]}', "`messages[0].content[0]`"),
        (CHAT % '{"role": "user", "content": [{"type": {}}]}', "`messages[0].content[0]`"),
        (CHAT % '{"role": "user", "content": [null]}', "`messages[0].content[0]`"),
        (
            CHAT % '{"role": "user", "content": [{"type": "text", "text": []}]}',
            "`messages[0].content[0].text`",
        ),
        (CHAT % '{"role": "user", "name": {}, "content": "x"}', "`messages[0].name`"),
        (CHAT % '{"role": "user", "content": "\\ud83d"}', "`messages[0].content`"),
        (CHAT % '{"role": "user", "content": {"a": 1}}', "`messages[0].content`"),
        (CHAT % "[]", "`messages[0]`"),
        (CHAT % (MORE % '"temperature": 1e999'), "`temperature`"),
        (CHAT % (MORE % f'"seed": {DIGITS}'), "`seed`"),
        (CHAT % (MORE % '"metadata": {"a": "\\udc00"}'), "`metadata.a`"),
        (CHAT % (MORE % '"n": true'), "`x`"),
        ('{"model": [], "messages": []}', "`model`"),
        ('{"model": "%s"}' % ("m" * 10_000), "`model`"),
    ],
)  # fmt: skip
async def test_a_wrong_call_names_the_field(text: str, names: str) -> None:
    async with world() as w:
        agent = await w.api.open()
        reply = await agent.chat(raw=text.encode())
        assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")
        assert names in reply.error["message"]
        assert len(reply.error["message"]) < 600
        assert w.upstream.count == 0


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("after=" + "9" * 40, "`after`"),
        ("after=" + "0" * 40 + "9" * 40, "`after`"),
        ("after=" + DIGITS, "`after`"),
        ("after=1_0", "`after`"),
        ("limit=%D9%A3", "`limit`"),
        ("limit=1&limit=2", "`limit`"),
        ("after=%FF", "`after`"),
    ],
)
async def test_a_wrong_query_names_the_field(query: str, names: str) -> None:
    async with world() as w:
        agent = await w.api.open()
        reply = await w.api.send("GET", f"/v1/agents/{agent.id}/transactions?{query}")
        assert reply.status == 400
        assert names in reply.error["message"]


@pytest.mark.parametrize(
    "value", ["1e999999", "7" * 400, DIGITS, "true", '"1_0"', '"٣"', "[]", "NaN", "null", "31"]
)
async def test_a_wrong_waiting_time_names_the_field(value: str) -> None:
    async with world() as w:
        agent = await w.api.open()
        text = f'{{"status": "disabled", "wait_seconds": {value}}}'
        reply = await w.api.send("PATCH", f"/v1/agents/{agent.id}", raw=text.encode())
        assert reply.status == 400
        assert ("NaN" if value == "NaN" else "`wait_seconds`") in reply.error["message"]
        assert (await agent.account())["status"] == "active"


@pytest.mark.parametrize("key", ["\xe9", "a\tb", "\x80" * 10, "x" * 201])
async def test_a_wrong_idempotency_key_is_named(key: str) -> None:
    async with world() as w:
        agent = await w.api.open()
        headers = {"Authorization": f"Bearer {agent.key}", "Idempotency-Key": key}
        sent = raw.request("POST", "/v1/chat/completions", headers, json.dumps(body()).encode())
        reply = await raw.send(w.api.url, sent)
        assert reply.status == 400
        assert "Idempotency-Key" in reply.error["message"]


BEGIN = '{"attempt": %s, "tool": "t"}'
FINISH = '{"attempt": 1, "state": %s}'
RESOLVE = '{"decision": %s}'


@pytest.mark.parametrize(
    ("step", "text", "names"),
    [
        *(
            ("begin", BEGIN % attempt, "`attempt`")
            for attempt in ("0", "-1", "1.0", "true", '"1"', "null", "[]", "1000000001", DIGITS)
        ),
        ("begin", BEGIN % "NaN", "NaN"),
        ("begin", '{"tool": "t"}', "`attempt`"),
        ("begin", '{"attempt": 1}', "`tool`"),
        ("begin", '{"attempt": 1, "tool": ""}', "`tool`"),
        ("begin", '{"attempt": 1, "tool": []}', "`tool`"),
        ("begin", '{"attempt": 1, "tool": "a\\nb"}', "`tool`"),
        ("begin", '{"attempt": 1, "tool": "\\ud800"}', "`tool`"),
        ("begin", '{"attempt": 1, "tool": "%s"}' % ("t" * 201), "`tool`"),
        ("begin", f'{{"attempt": 1, "tool": "{PARENT_KEY}"}}', "`tool`"),
        ("begin", '{"attempt": 1, "tool": "t", "idempotent": 1}', "`idempotent`"),
        ("begin", '{"attempt": 1, "tool": "t", "x": 1}', "`x`"),
        ("begin", '{"attempt": 1, "attempt": 2, "tool": "t"}', "'attempt'"),
        ("begin", "[]", "object"),
        ("finish", FINISH % "[]", "`state`"),
        ("finish", FINISH % '"begun"', "`state`"),
        ("finish", FINISH % '"done"', "`result`"),
        ("finish", FINISH % '"failed"', "`error`"),
        ("finish", FINISH % '"failed", "error": "x"', "`error`"),
        ("finish", FINISH % '"failed", "error": {"type": "E"}', "`error.message`"),
        ("finish", FINISH % '"failed", "error": {"type": "", "message": ""}', "`error.type`"),
        ("finish", FINISH % '"failed", "error": {"type": 1, "message": ""}', "`error.type`"),
        ("finish", FINISH % '"done", "result": 1, "error": {}', "`error`"),
        ("finish", FINISH % '"unknown", "result": null', "`result`"),
        ("finish", FINISH % '"done", "result": 1e999', "`result`"),
        ("finish", FINISH % '"done", "result": {"a": ["\\udc00"]}', "`result.a[0]`"),
        ("finish", FINISH % '"done", "result": {"a": 1, "a": 2}', "'a'"),
        ("finish", FINISH % ('"done", "result": ' + "[" * 150 + "]" * 150), "nested"),
        ("resolve", RESOLVE % "null", "`decision`"),
        ("resolve", RESOLVE % '"done"', "`decision`"),
        ("resolve", RESOLVE % '"result"', "`result`"),
        ("resolve", RESOLVE % '"skip", "result": 1', "`result`"),
        ("resolve", RESOLVE % '"skip", "attempt": 0', "`attempt`"),
    ],
)
async def test_a_wrong_effect_names_the_field(step: str, text: str, names: str) -> None:
    async with world() as w:
        agent = await w.api.open()
        path, key = f"/v1/scopes/s/effects/e/{step}", agent.key
        if step == "resolve":
            path, key = f"{path}?agent={agent.id}", PARENT_KEY
        reply = await w.api.send("POST", path, raw=text.encode(), key=key)
        assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")
        assert names in reply.error["message"]
        assert len(reply.error["message"]) < 400
        listed = await w.api.send("GET", "/v1/scopes/s/effects", key=agent.key)
        assert listed.json["data"] == []


@pytest.mark.parametrize("length", [256 * 1024 - 2, 256 * 1024 - 1, 3 * 1024 * 1024])
async def test_a_result_has_256_kilobytes_at_most(length: int) -> None:
    async with world() as w:
        agent = await w.api.open()
        path = "/v1/scopes/s/effects/e/"
        await w.api.send("POST", f"{path}begin", {"attempt": 1, "tool": "t"}, key=agent.key)
        data = {"attempt": 1, "state": "done", "result": "x" * length}
        reply = await w.api.send("POST", f"{path}finish", data, key=agent.key)
        if length + 2 <= 256 * 1024:
            assert (reply.status, len(reply.json["result"])) == (200, length)
        else:
            assert (reply.status, reply.error["code"]) == (413, "result_too_large")
            assert f"{length + 2} bytes" in reply.error["message"]
            assert "reference" in reply.error["message"]


@pytest.mark.parametrize(
    ("scope", "effect", "names"),
    [
        ("a%20b", "e", "A scope has"),
        ("%F0%9F%92%B0", "e", "A scope has"),
        ("s" * 101, "e", "A scope has"),
        ("s", "-e", "The effect in the path"),
        ("s", "e" * 201, "The effect in the path"),
        ("s", "%2Fe", "The effect in the path"),
        ("s", "e%00", "The effect in the path"),
        (PARENT_KEY, "e", "The scope contains"),
        ("s", PARENT_KEY, "The effect in the path contains"),
    ],
)
async def test_a_wrong_name_of_an_effect_is_refused(scope: str, effect: str, names: str) -> None:
    async with world() as w:
        agent = await w.api.open()
        path = f"/v1/scopes/{scope}/effects/{effect}/begin"
        headers = {"Authorization": f"Bearer {agent.key}"}
        sent = raw.request("POST", path, headers, b'{"attempt": 1, "tool": "t"}')
        reply = await raw.send(w.api.url, sent)
        assert (reply.status, reply.error["code"]) == (400, "invalid_request")
        assert names in reply.error["message"]
        assert PARENT_KEY not in str(reply.error)


async def test_keys_in_a_result_are_removed_before_it_is_stored() -> None:
    async with world() as w:
        agent = await w.api.open()
        path = "/v1/scopes/s/effects/e/"
        await w.api.send("POST", f"{path}begin", {"attempt": 1, "tool": "t"}, key=agent.key)
        result = {"a": [f"the key is {agent.key}"], agent.key: {PARENT_KEY: 1}}
        data = {"attempt": 1, "state": "done", "result": result}
        reply = await w.api.send("POST", f"{path}finish", data, key=agent.key)
        removed = {"a": ["the key is [removed]"], "[removed]": {"[removed]": 1}}
        assert reply.json["result"] == removed
        again = await w.api.send("POST", f"{path}finish", data, key=agent.key)
        assert again.status == 200


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("Idempotency-Key", {}),
        ("Agent-Scope", {"Agent-Attempt": "1"}),
        ("Agent-Attempt", {"Agent-Scope": "s"}),
    ],
)
async def test_a_header_that_decides_what_is_paid_has_one_value(
    name: str, others: dict[str, str]
) -> None:
    async with world() as w:
        agent = await w.api.open()
        headers = {"Authorization": f"Bearer {agent.key}", **others}
        sent = json.dumps(body()).encode()
        for second, status in (("2", 400), ("1", 200)):
            lines = {**headers, name: f"1\r\n{name.lower()}: {second}"}
            asked = raw.request("POST", "/v1/chat/completions", lines, sent)
            reply = await raw.send(w.api.url, asked)
            assert reply.status == status, reply.body
        assert w.upstream.count == 1


@pytest.mark.parametrize("target", ["/v1/agents/%ff", "/v1/agents/%ed%a0%80", "/v1/models/%ff%0a"])
async def test_a_path_that_is_not_text_is_refused(target: str) -> None:
    async with world() as w:
        headers = {"Authorization": f"Bearer {PARENT_KEY}"}
        reply = await raw.send(w.api.url, raw.request("GET", target, headers))
        assert reply.status in (400, 404)
        assert reply.error["type"] == "invalid_request_error"


async def test_a_budget_cannot_grow_beyond_the_largest_amount() -> None:
    most = parse_usd("999999999.999999", "x")
    assert most == MAX_MICRO
    async with world() as w:
        source, target = await w.api.open("999999999.999999"), await w.api.open("999999999.999999")
        move = {"from": source.id, "to": target.id, "amount": "0.000001"}
        reply = await w.api.send("POST", "/v1/transfers", move)
        assert (reply.status, reply.error["code"]) == (409, "budget_too_large")
        assert "999999999.999999" in reply.error["message"]


@pytest.mark.parametrize("value", [1.5, b"1", None, True, [], {}, "", ".", "-", "1e", "0x1", "١"])
def test_only_json_numbers_are_amounts(value: Any) -> None:
    with pytest.raises(ValueError, match="`budget` must be an amount"):
        parse_usd(value, "`budget`")
