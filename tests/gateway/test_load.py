"""Clients in eight processes on one key; and a small version of the leak check in `load.py`."""

import asyncio
import json
import sqlite3
import sys
from collections import Counter

import pytest

from tests.gateway import load
from tests.gateway.client import bound
from tests.support.gateway_process import gateway_process
from tests.support.upstream import Rule, ScriptedUpstream

PAYS_FOR = 40
USED = {"prompt_tokens": 100, "completion_tokens": 10}


async def test_eight_client_processes_on_one_key_never_overspend() -> None:
    """160 calls on an account that can pay for 40."""
    cost = 100 + 2 * 10
    budget = PAYS_FOR * cost + bound(load.BODY) - cost
    async with (
        ScriptedUpstream([Rule(usage=USED)]) as upstream,
        gateway_process(upstream.url) as gateway,
    ):
        account_id, key = await load.open_account(gateway.base_url, f"{budget / 10**6:.6f}")
        clients = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.gateway.load", "--url", gateway.base_url),
                *("--key", key, "--calls", "20", "--prefix", f"process-{number}"),
                stdout=asyncio.subprocess.PIPE,
            )
            for number in range(8)
        ]
        outputs = [(await client.communicate())[0] for client in clients]
        with sqlite3.connect(gateway.database) as connection:
            spent, held, limit = connection.execute(
                "SELECT spent, reserved, budget FROM accounts WHERE id = ?", (account_id,)
            ).fetchone()
            (ledger,) = connection.execute("SELECT sum(amount) FROM ledger").fetchone()
    statuses: Counter[str] = Counter()
    for output in outputs:
        statuses.update(json.loads(output))
    assert set(statuses) == {"200", "402"}
    assert statuses["200"] + statuses["402"] == 160
    assert spent == ledger == statuses["200"] * cost == upstream.count * cost
    assert held == 0
    assert spent <= limit == budget
    assert 1 <= statuses["200"] <= PAYS_FOR


async def test_closed_accounts_leave_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(load, "CALLS_AN_ACCOUNT", 300)
    status = await load.endure(1_800)
    output = capsys.readouterr().out
    assert json.loads(output.splitlines()[-1]) == {
        "reserved": False,
        "memory grew": False,
        "more than the ledger stays": False,
    }, output
    assert status == 0
