"""No key is written to the database or the log, in any encoding."""

import signal

import aiohttp

from tests.gateway.client import Api, body, streamed
from tests.support import secrets
from tests.support.gateway import PARENT_KEY, SECRET
from tests.support.gateway_process import gateway_process
from tests.support.upstream import Rule, ScriptedUpstream

UPSTREAM_KEY = "upstream-key:+/=-0123456789"


USED = {"prompt_tokens": 20, "completion_tokens": 5}


async def test_keys_are_neither_in_the_database_nor_in_the_log() -> None:
    leaking = {"error": {"message": f"your key {UPSTREAM_KEY} is bad"}}
    async with (
        ScriptedUpstream(
            [
                Rule(status=401, body=leaking, times=1),
                Rule(disconnect="middle", times=1),
                Rule(status=500, body={**leaking, "usage": USED}, times=1),
                Rule(stream_error={**leaking, "usage": USED}, times=1),
            ]
        ) as upstream,
        gateway_process(upstream.url, upstream_api_key=UPSTREAM_KEY) as gateway,
        aiohttp.ClientSession() as http,
    ):
        api = Api(gateway.url, http)
        agent = await api.open()
        statuses = [(await agent.chat(key=f"k{n}")).status for n in range(3)]
        statuses += [(await agent.chat(streamed(), key=f"s{n}")).status for n in range(2)]
        assert statuses == [502, 502, 500, 200, 200]
        wrong = "wrong-key-0123456789-0123456789"
        await api.send("POST", "/v1/chat/completions", body(), key=wrong)
        await api.send("POST", "/v1/agents", {"name": 5}, key=PARENT_KEY)
        await api.send("GET", f"/v1/agents/{agent.id}", key=agent.key)
        before = secrets.contents(gateway.database.parent)
        await gateway.end(signal.SIGTERM)
        after = gateway.database.read_bytes()
        assert {"gateway.db", "gateway.db-wal", "gateway.log"} <= set(before)
        assert agent.id.encode() in after
        assert gateway.database.stat().st_mode & 0o077 == 0
        keys = {"parent": PARENT_KEY, "secret": SECRET, "upstream": UPSTREAM_KEY}
        keys |= {"agent": agent.key, "wrong": wrong}
        assert secrets.found(keys, {**before, "database at the end": after}) == []
