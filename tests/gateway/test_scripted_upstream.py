"""The scripted upstream, which all other tests rely on, does what its rules say."""

import asyncio
import json
import sys

import aiohttp
import jsonschema
import pytest

from tests.support.upstream import Rule, ScriptedUpstream
from tests.support.upstream_rules import minimal_instance

BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}


async def post(upstream: ScriptedUpstream, body: object = BODY) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{upstream.url}/chat/completions", json=body) as response,
    ):
        return response.status, await response.text()


async def test_rules_answer_in_order_and_run_out() -> None:
    rules = [Rule(status=429, headers={"Retry-After": "2"}, times=1), Rule(text="hi", times=1)]
    async with ScriptedUpstream(rules) as upstream:
        answers = [await post(upstream) for _ in range(3)]
    assert [status for status, _ in answers] == [429, 200, 200]
    assert '"hi"' in answers[1][1]
    assert '"ok"' in answers[2][1]
    assert [received.text for received in upstream.requests] == ["hello"] * 3
    assert upstream.answered == 2


@pytest.mark.parametrize("where", ["before", "middle"])
async def test_the_connection_can_break(where: str) -> None:
    async with ScriptedUpstream([Rule.from_json({"disconnect": where})]) as upstream:
        with pytest.raises(aiohttp.ClientError):
            await post(upstream)
    assert (upstream.count, upstream.answered) == (1, 0)


async def test_a_schema_is_answered_with_its_smallest_instance() -> None:
    schema = {
        "type": "object",
        "properties": {
            "findings": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/finding"}},
            "tone": {"enum": ["plain", "warm"]},
        },
        "required": ["findings", "tone"],
        "$defs": {"finding": {"type": "string", "minLength": 7}},
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    async with ScriptedUpstream() as upstream:
        await post(upstream, {**BODY, "response_format": wanted})
    async with ScriptedUpstream(
        [Rule(text=lambda request: request.text.upper(), usage="missing")]
    ) as upstream:
        _, text = await post(upstream)
    assert "HELLO" in text
    assert "usage" not in text
    jsonschema.validate(minimal_instance(schema, schema), schema)


@pytest.mark.parametrize("wants_usage", [True, False])
async def test_streams_have_openais_format(wants_usage: bool) -> None:
    body = {**BODY, "stream": True, "stream_options": {"include_usage": wants_usage}}
    rule = Rule.from_json({"text": "abcdef", "chunks": 3, "heartbeat": "working"})
    async with ScriptedUpstream([rule]) as upstream:
        status, text = await post(upstream, body)
    lines = text.split("\n\n")
    datas = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    assert (status, datas[-1], text.count(": working\n\n")) == (200, "[DONE]", len(datas))
    chunks = [json.loads(data) for data in datas[:-1]]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert [choice["delta"].get("content") for choice in choices] == ["ab", "cd", "ef", None]
    assert choices[-1]["finish_reason"] == "stop"
    assert [chunk["usage"]["total_tokens"] for chunk in chunks if chunk.get("usage")] == (
        [2] if wants_usage else []
    )
    assert upstream.answered == 1


@pytest.mark.parametrize("how", ["disconnect", "stream_error"])
async def test_a_stream_can_break_in_the_middle(how: str) -> None:
    values = {"disconnect": "middle", "stream_error": {"error": {"message": "boom"}}}
    body = {**BODY, "stream": True}
    async with ScriptedUpstream([Rule.from_json({how: values[how]})]) as upstream:
        if how == "disconnect":
            with pytest.raises(aiohttp.ClientError):
                await post(upstream, body)
        else:
            _, text = await post(upstream, body)
            assert text.endswith('data: {"error": {"message": "boom"}}\n\n')
            assert text.count('"delta"') > 0
            assert "[DONE]" not in text
    assert upstream.answered == 0


async def test_it_runs_as_a_process_controlled_over_http() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.upstream", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        url = (await process.stdout.readline()).decode().strip()
        control = url.removesuffix("/v1") + "/control"
        async with aiohttp.ClientSession() as session:
            await session.post(f"{control}/rules", json=[{"contains": "hello", "status": 503}])
            async with session.post(f"{url}/chat/completions", json=BODY) as response:
                assert response.status == 503
            async with session.post(f"{control}/rules", json=[{"nonsense": 1}]) as response:
                assert response.status == 400
            async with session.get(f"{control}/counts") as response:
                assert (await response.json())["count"] == 1
    finally:
        process.kill()
        await process.wait()
