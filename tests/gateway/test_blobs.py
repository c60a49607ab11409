"""Blobs: stored durably under their hash, bounded, expired, for the parent key only."""

import asyncio
import hashlib
import sqlite3
import time
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest

from durable_agent_team.gateway.api.byte_budget import ByteBudget
from durable_agent_team.gateway.stores import sqlite_blobs
from durable_agent_team.gateway.stores.sqlite_blobs import SqliteBlobs, blobs_file
from tests.gateway.client import Api, world
from tests.gateway.test_full_disk import fill_disk, make_room
from tests.support.gateway import PARENT_KEY
from tests.support.gateway_process import gateway_process

DAY = 86_400
TEXT = "Ein Bericht mit Umlauten: ü.\n".encode() * 10_000


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def send(
    url: str, method: str, name: str, data: bytes | None = None, key: str = PARENT_KEY
) -> tuple[int, bytes]:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, f"{url}/v1/blobs/{name}", data=data, headers=headers) as response,
    ):
        return response.status, await response.read()


async def test_a_blob_is_read_back_as_it_was_put() -> None:
    async with world() as w:
        name = digest(TEXT)
        assert (await send(w.api.url, "GET", name))[0] == 404
        assert (await send(w.api.url, "HEAD", name))[0] == 404
        assert (await send(w.api.url, "PUT", name, TEXT))[0] == 201
        assert (await send(w.api.url, "PUT", name, TEXT))[0] == 200, "it is there already"
        assert (await send(w.api.url, "GET", name)) == (200, TEXT)
        assert (await send(w.api.url, "HEAD", name))[0] == 200


async def test_only_the_parent_key_reads_and_writes() -> None:
    async with world() as w:
        agent = await w.api.open()
        await send(w.api.url, "PUT", digest(TEXT), TEXT)
        for key, status in ((agent.key, 403), ("unknown-key-1234567890", 401)):
            for method, data in (("PUT", TEXT), ("GET", None), ("HEAD", None)):
                assert (await send(w.api.url, method, digest(TEXT), data, key))[0] == status


@pytest.mark.parametrize(
    ("name", "data", "status"),
    [
        (digest(TEXT), b"another text", 400),
        ("A" * 64, b"x", 400),
        ("..%2F..%2Fetc", b"x", 400),
        (digest(b"x" * 2_000), b"x" * 2_000, 413),
    ],
)
async def test_what_does_not_fit_is_refused(name: str, data: bytes, status: int) -> None:
    async with world(gateway_max_blob_bytes=1_500) as w:
        assert (await send(w.api.url, "PUT", name, data))[0] == status
        assert (await send(w.api.url, "PUT", digest(b"y"), b"y"))[0] == 201


async def test_the_limit_of_all_blobs_holds_and_names_its_setting() -> None:
    async with world(gateway_blob_storage_bytes=5_000) as w:
        texts = [bytes([letter]) * 2_000 for letter in b"abc"]
        replies = [await send(w.api.url, "PUT", digest(each), each) for each in texts]
        assert [status for status, _ in replies] == [201, 201, 507]
        assert b"GATEWAY_BLOB_STORAGE_BYTES" in replies[-1][1]
        assert (await send(w.api.url, "PUT", digest(texts[0]), texts[0]))[0] == 200


async def test_a_damaged_blob_is_not_handed_out() -> None:
    async with world() as w:
        await send(w.api.url, "PUT", digest(TEXT), TEXT)
        with sqlite3.connect(blobs_file(w.gateway.database)) as conn:
            conn.execute("UPDATE blobs SET data = ?", (b"something else",))
        status, body = await send(w.api.url, "GET", digest(TEXT))
        assert (status, b"blob_damaged" in body, b"something" in body) == (500, True, False)


async def test_unused_blobs_expire_and_their_space_is_free_again(tmp_path: Path) -> None:
    blobs = SqliteBlobs(tmp_path / "blobs.db", limit=1_000_000)
    texts = [number.to_bytes(2, "big") * 2_000 for number in range(250)]
    try:
        for text in texts[:249]:
            await blobs.put(digest(text), text)
        with sqlite3.connect(tmp_path / "blobs.db") as conn:
            conn.execute("UPDATE blobs SET used_at = used_at - 100 * 86400")
        assert await blobs.size(digest(texts[0])) is not None, "looking it up is a use"
        await blobs.put(digest(texts[-1]), texts[-1])
        removed: list[int] = []
        while not removed or removed[-1]:
            removed.append(await blobs.remove_unused(90 * DAY))
        assert sum(removed) == 248
        assert max(removed) <= 100, "no transaction is long"
        assert await blobs.read(digest(texts[0])) == texts[0]
        assert await blobs.read(digest(texts[-1])) == texts[-1]
        with sqlite3.connect(tmp_path / "blobs.db") as conn:
            assert conn.execute("SELECT bytes FROM usage").fetchone() == (8_000,)
    finally:
        await blobs.close()


@pytest.mark.parametrize("jump", [1_000, -20_000])
async def test_a_jump_of_the_clock_removes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    """And what is used while the clock is wrong is there when it is right again."""
    clock = [time.time()]
    monkeypatch.setattr(sqlite_blobs, "time", SimpleNamespace(time=lambda: clock[0]))
    blobs = SqliteBlobs(tmp_path / "blobs.db", limit=1_000_000)
    try:
        assert await blobs.remove_unused(90 * DAY) == 0
        await blobs.put(digest(b"before"), b"before")
        for days in (jump, -jump):
            clock[0] += days * DAY
            assert await blobs.remove_unused(90 * DAY) == 0
            await blobs.put(digest(b"%d" % days), b"%d" % days)
        removed = []
        for _ in range(100):
            clock[0] += DAY - 1
            removed.append(await blobs.remove_unused(90 * DAY))
        assert sum(removed[:89]) == 0
        assert sum(removed) > 0, "what nobody uses is removed at last"
    finally:
        await blobs.close()


def test_the_file_of_an_older_gateway_opens(tmp_path: Path) -> None:
    conn = sqlite3.connect(tmp_path / "blobs.db")
    for statement in sqlite_blobs.SCHEMA:
        conn.execute(statement)
    conn.execute("PRAGMA user_version = 1")
    conn.commit()
    conn.close()
    opened = sqlite_blobs._open(tmp_path / "blobs.db")
    assert opened.execute("SELECT seen_at FROM clock").fetchall() == [(None,)]
    opened.close()


async def test_a_full_disk_refuses_a_blob_until_there_is_space() -> None:
    async with gateway_process("http://127.0.0.1:9") as gateway, aiohttp.ClientSession() as http:
        await Api(gateway.url, http).open()
        fill_disk(gateway)
        assert (await send(gateway.url, "PUT", digest(TEXT), TEXT))[0] == 503
        make_room(gateway)
        assert (await send(gateway.url, "PUT", digest(TEXT), TEXT))[0] == 201
        assert (await send(gateway.url, "GET", digest(TEXT))) == (200, TEXT)


async def test_requests_share_the_memory_in_their_order() -> None:
    budget = ByteBudget(10)
    held: list[int] = []

    async def hold(size: int, until: asyncio.Event) -> None:
        async with budget.hold(size):
            held.append(size)
            await until.wait()

    first, rest = asyncio.Event(), asyncio.Event()
    tasks = [asyncio.create_task(hold(6, first))]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(hold(size, rest)) for size in (25, 3, 7)]
    await asyncio.sleep(0.01)
    assert held == [6], "the large one waits until it is alone, and those behind it for it"
    tasks[1].cancel()
    await asyncio.sleep(0.01)
    assert held == [6, 3]
    first.set()
    await asyncio.sleep(0.01)
    assert held == [6, 3, 7]
    rest.set()
    await asyncio.gather(*tasks, return_exceptions=True)
