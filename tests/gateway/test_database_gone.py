"""A gateway whose database file is removed or replaced is not ready, and books nothing."""

import shutil
from pathlib import Path

import pytest

from tests.gateway.client import World, world


async def health(w: World) -> tuple[int, str]:
    reply = await w.api.send("GET", "/healthz")
    return reply.status, reply.json["status"]


async def refuses_everything(w: World, path: Path, what: str) -> None:
    status, reason = await health(w)
    assert status == 503
    assert f"{path} was {what}" in reason
    assert "GATEWAY_DATABASE" in reason
    opened = await w.api.send("POST", "/v1/agents", {"name": "b", "budget": 1})
    assert (opened.status, opened.error["code"]) == (503, "store_unavailable")


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
async def test_a_removed_file_is_noticed_and_nothing_is_booked(suffix: str) -> None:
    async with world() as w:
        agent = await w.api.open()
        assert (await agent.chat()).status == 200
        path = w.gateway.database.with_name(w.gateway.database.name + suffix)
        path.unlink()
        await refuses_everything(w, path, "removed")
        refused = await agent.chat()
        assert (refused.status, refused.error["code"]) == (503, "store_unavailable")
        assert w.upstream.count == 1, "no call is made that could not be booked"


async def test_a_replaced_file_is_noticed() -> None:
    async with world() as w:
        agent = await w.api.open()
        path = w.gateway.database
        copy = path.with_name("copy.db")
        shutil.copy(path, copy)
        copy.replace(path)
        await refuses_everything(w, path, "replaced")
        assert (await agent.chat()).status == 503


async def test_a_removed_folder_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    async with world() as w:
        agent = await w.api.open()
        shutil.rmtree(w.gateway.database.parent)
        await refuses_everything(w, w.gateway.database, "removed")
        assert (await agent.chat()).status == 503
    assert "Traceback" not in caplog.text


async def test_a_file_that_is_put_back_is_used_again() -> None:
    async with world() as w:
        agent = await w.api.open()
        path = w.gateway.database
        path.rename(aside := path.with_name("aside.db"))
        assert (await agent.chat()).status == 503
        assert (await health(w))[0] == 503
        aside.rename(path)
        assert (await health(w)) == (200, "ready")
        assert (await agent.chat()).status == 200
        assert len(await agent.ledger()) == 1
