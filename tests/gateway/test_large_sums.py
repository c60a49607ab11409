"""Sums beyond SQLite's 64 bits are refused or bounded before SQLite raises."""

import sqlite3

from durable_agent_team.gateway.amounts import MAX_MICRO
from durable_agent_team.gateway.stores import sqlite_calls
from durable_agent_team.gateway.stores.store import Settlement
from tests.gateway.client import body, world


async def test_a_bound_beyond_64_bits_is_refused_as_too_expensive() -> None:
    prices = {
        "m": {
            "input_usd_per_million": "1000000",
            "output_usd_per_million": "1",
            "request_tokens": 10**20,
        }
    }
    async with world(prices=prices) as w:
        agent = await w.api.open(10**9 - 1)
        reply = await agent.chat(body())
        assert (reply.status, reply.error["code"]) == (402, "budget_exhausted")
        assert reply.error["required_usd"] > 10**19
        assert w.upstream.count == 0


async def test_overruns_are_summed_up_to_a_limit() -> None:
    """Calls in flight when the first overrun is found add to it."""
    async with world() as w:
        agent = await w.api.open()
        await agent.chat()
        with sqlite3.connect(w.gateway.database, isolation_level=None) as conn:
            for number in range(3):
                call_id = f"c{number}"
                conn.execute(
                    "INSERT INTO calls (id, account_id, body_hash, model, state, bound, owner,"
                    " expires_at) VALUES (?, ?, '', 'm', 'pending', 0, '', 1e12)",
                    (call_id, agent.id),
                )
                done = Settlement(call_id, 1, 1, 0, False, 4 * 10**18, 200, b"", "f")
                sqlite_calls.settle(conn, done, 0)
            assert conn.execute("SELECT overrun FROM refused_models").fetchall() == [(MAX_MICRO,)]
