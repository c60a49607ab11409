"""A gateway whose database file is removed or replaced is not ready, and books nothing."""

import asyncio
import os
import re
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from durable_agent_team.gateway.calls import call_service
from durable_agent_team.gateway.stores import sqlite_file, sqlite_writer
from durable_agent_team.gateway.stores.sqlite_blobs import blobs_file
from durable_agent_team.gateway.stores.sqlite_file import SchemaError
from durable_agent_team.gateway.stores.sqlite_schema import connect
from durable_agent_team.gateway.stores.sqlite_store import SqliteStore
from durable_agent_team.gateway.stores.store import NewAccount, NewCall, Settlement
from tests.gateway.client import Agent, World, world
from tests.support.upstream import Rule

USED = {"prompt_tokens": 20, "completion_tokens": 5}
ROOT = Path(__file__).parents[2]


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


async def test_the_file_of_the_large_texts_is_noticed_too() -> None:
    """Their runs stand still, and what is written would be gone after the next start."""
    async with world() as w:
        path = blobs_file(w.gateway.database)
        kept = path.rename(path.with_name("kept.db"))
        status, reason = await health(w)
        assert status == 503
        assert f"{path} was removed" in reason
        reply = await w.api.send("GET", f"/v1/blobs/{'0' * 64}")
        assert (reply.status, reply.error["code"]) == (503, "store_unavailable")
        assert "/healthz says why" in reply.error["message"]
        kept.rename(path)
        assert await health(w) == (200, "ready")


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


async def test_a_folder_that_may_not_be_read_is_no_removed_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world() as w:
        path, stat = w.gateway.database, os.stat

        def refused(name: Any, **more: Any) -> os.stat_result:
            if str(name).startswith(str(path.parent)):
                raise PermissionError(13, "Permission denied", name)
            return stat(name, **more)

        with monkeypatch.context() as changed:
            changed.setattr(os, "stat", refused)
            await refuses_everything(w, path, "made unreadable")
        assert (await health(w))[0] == 200


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


LONG = Rule(text="x" * 100_000, usage=USED)


async def filled(w: World) -> Agent:
    """An account with so many calls that a part of the database is in its file and a part in the
    log."""
    agent = await w.api.open()
    for number in range(60):
        assert (await agent.chat(key=f"k{number}")).status == 200
    assert w.gateway.database.stat().st_size > 1_000_000
    return agent


def backed_up(database: Path) -> Path:
    copy = database.with_name("backup.db")
    with closing(sqlite3.connect(database)) as conn:
        conn.execute("VACUUM INTO ?", [str(copy)])
    return copy


def zeroed(path: Path) -> None:
    """As long as before."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\0" * (size - 4096))


@pytest.mark.parametrize("is_smaller", [True, False])
async def test_another_file_that_is_copied_over_the_database_is_noticed(is_smaller: bool) -> None:
    async with world(LONG) as w:
        agent, path = await filled(w), w.gateway.database
        copy = backed_up(path)
        for number in range(60):
            await agent.chat(key=f"later {number}")
        made = w.upstream.count
        if is_smaller:
            shutil.copyfile(copy, path)
        else:
            zeroed(path)
        refused = await agent.chat()
        assert (refused.status, refused.error["code"]) == (503, "store_unavailable")
        assert w.upstream.count == made, "no call is made that could not be booked"
        status, reason = await health(w)
        assert status == 503
        assert f"{path} is damaged, or another file was copied over it" in reason
        assert "restore a backup" in reason


async def test_a_database_that_was_made_smaller_in_place_is_used_on() -> None:
    """By SQLite's VACUUM."""
    async with world(LONG) as w:
        agent, path = await filled(w), w.gateway.database
        before = path.stat().st_size
        await agent.patch(status="disabled")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("VACUUM")
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert path.stat().st_size < before / 2
        agent = await w.api.open()
        assert (await agent.chat()).status == 200
        assert await health(w) == (200, "ready")


async def test_a_gateway_does_not_start_with_the_log_of_another_file(tmp_path: Path) -> None:
    """Of one that was killed before a backup was restored. It changes neither."""
    path = tmp_path / "gateway.db"
    async with world(LONG) as w:
        agent = await filled(w)
        copy = backed_up(w.gateway.database)
        for number in range(60):
            await agent.chat(key=f"later {number}")
        shutil.copyfile(w.gateway.database, path)
        log = path.with_name(path.name + "-wal")
        shutil.copyfile(w.gateway.database.with_name(log.name), log)
        connect(path).close()  # as it was when it died: it is whole
        shutil.copyfile(w.gateway.database.with_name(log.name), log)
        shutil.copyfile(copy, path)
    before = path.read_bytes(), log.read_bytes()
    with pytest.raises(SchemaError, match=f"GATEWAY_DATABASE cannot be used: {path} is damaged"):
        connect(path)
    assert (path.read_bytes(), log.read_bytes()) == before
    log.unlink()
    connect(path).close()


async def test_a_call_is_settled_once_its_damaged_file_can_be_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error in the middle of a transaction: neither its beginning nor its end fails."""
    monkeypatch.setattr(call_service, "SETTLE_PAUSES", (0.05,))
    monkeypatch.setattr(call_service, "LONGEST_SETTLE_PAUSE", 0.06)
    async with world(Rule(latency=0.5, usage={"prompt_tokens": 20, "completion_tokens": 5})) as w:
        agent, path = await w.api.open(), w.gateway.database
        call = asyncio.create_task(agent.chat(key="k"))
        await agent.until_reserved()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("PRAGMA user_version = 8")  # so that the gateway reads all pages again
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            whole = path.read_bytes()
            with path.open("r+b") as file:
                file.seek(4096)
                file.write(b"\0" * (len(whole) - 4096))
        refused = await w.api.send("GET", f"/v1/agents/{agent.id}")
        assert (refused.status, refused.error["code"]) == (503, "store_unavailable")
        await asyncio.sleep(1)
        assert not call.done()
        with path.open("r+b") as file:
            file.write(whole)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("PRAGMA user_version = 8")
        assert (await call).status == 200
        account = await agent.account()
        assert (account["charges"], account["reserved"], account["interrupted"]) == (1, 0, {})


LOCKS = """
import sqlite3, sys
conn = sqlite3.connect(sys.argv[1], isolation_level=None)
conn.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@asynccontextmanager
async def locking(database: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process in the middle of a transaction. It goes on if it is still there at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LOCKS, str(database)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"locked\n"
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        await process.communicate(b"")


async def test_a_lock_that_another_program_holds_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At once, before and after the first request has failed; and who holds it."""
    monkeypatch.setattr(sqlite_writer, "STUCK_SECONDS", 0.2)
    monkeypatch.setattr(sqlite_file, "LOCK_SECONDS", 3)
    async with world() as w:
        agent = await w.api.open()
        async with locking(w.gateway.database) as other:
            call = asyncio.create_task(agent.chat())
            async with asyncio.timeout(30):
                while (await health(w))[0] != 503:
                    await asyncio.sleep(0.02)
            _, reason = await health(w)
            assert not call.done()
            assert reason.endswith(f"s by process {other.pid}: let it finish, or end it")
            other.send_signal(signal.SIGSTOP)
            assert (await call).status == 503
            calls = [asyncio.create_task(agent.chat()) for _ in range(3)]
            began = time.monotonic()
            for _ in range(5):
                async with asyncio.timeout(2):
                    status, reason = await health(w)
                assert status == 503
                assert f"s by process {other.pid}, which is stopped: resume it (`kill" in reason
                await asyncio.sleep(0.3)
            assert time.monotonic() - began > 1
            assert {(await each).status for each in calls} == {503}
            assert w.upstream.count == 0
        assert (await agent.chat()).status == 200
        assert (await health(w)) == (200, "ready")


async def test_a_gateway_that_finds_the_database_locked_says_by_whom(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sqlite_file, "LOCK_SECONDS", 0.1)
    path = tmp_path / "gateway.db"
    with closing(connect(path)):
        async with locking(path) as other:
            with pytest.raises(SchemaError, match=f"locked for 0.1 s by process {other.pid}: "):
                connect(path)


async def test_the_disk_is_given_back_that_was_needed_while_another_program_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "gateway.db"
    store, log = SqliteStore(path, 100), path.with_name("gateway.db-wal")
    await store.open_account(NewAccount("a", "a", "a", 10**6, None, ""))

    async def pay(key: str, response: bytes) -> None:
        await store.begin(NewCall(key, "a", key, "", "m", 1))
        await store.settle(Settlement(key, 1, 1, 1, False, 0, 200, response, ""))

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM accounts").fetchall()
        for number in range(70):
            await pay(f"large {number}", b"x" * 10**6)
        assert log.stat().st_size > 70 * 10**6
    for number in range(3):
        await pay(f"small {number}", b"")
    assert log.stat().st_size <= 64 * 2**20
    await store.close()


async def test_a_gateway_that_has_the_database_by_a_link_is_alive_for_the_other(
    tmp_path: Path,
) -> None:
    """Also after its lock was removed."""
    path, link = tmp_path / "real" / "gateway.db", tmp_path / "link.db"
    one = SqliteStore(path, 100)
    link.symlink_to(path)
    two = SqliteStore(link, 100)
    await one.open_account(NewAccount("a", "a", "a", 100, None, ""))
    for number, store in enumerate((one, two)):
        await store.begin(NewCall(f"c{number}", "a", None, "", "m", 10))
    for _ in range(2):
        for store in (one, two):
            assert await store.release_abandoned() == 0
        for lock in path.with_name("gateway.db.owners").iterdir():
            lock.unlink()
        for store in (one, two):
            store._process_lock.keep()
    path.with_name("gateway.db-wal").unlink()
    assert "gateway.db-wal was removed" in str(await two.not_ready())
    await two.close()
    await one.close()


async def test_the_documented_copy_of_a_database_in_use_is_whole(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    (command,) = re.findall(r"^\(umask .*?\)$", page, re.DOTALL | re.MULTILINE)
    copy = tmp_path / "gateway-backup.db"
    async with world(Rule(usage={"prompt_tokens": 20, "completion_tokens": 5})) as w:
        agent = await w.api.open()
        await agent.chat(key="first")
        for before, now in (
            (".venv/bin/python", sys.executable),
            (".data/gateway.db", str(w.gateway.database)),
            (copy.name, str(copy)),
        ):
            assert before in command
            command = command.replace(before, now)
        copying = await asyncio.create_subprocess_shell(command)
        number = 0
        while copying.returncode is None:
            number += 1
            assert (await agent.chat(key=f"k{number}")).status == 200
        assert copying.returncode == 0
    assert copy.stat().st_mode & 0o777 == 0o600
    async with world(database=copy) as restored:
        agent.api = restored.api
        account, lines = await agent.account(), await agent.ledger("?limit=1000")
        assert account["spent"] == sum(line["amount"] for line in lines) > 0
        again = await agent.chat(key="first")
        assert again.headers["x-idempotent-replay"] == "true"
