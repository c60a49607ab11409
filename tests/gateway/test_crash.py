"""The gateway as a process: killed, stopped, started with wrong settings."""

import asyncio
import os
import signal
import socket
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from durable_agent_team.gateway.keys import KeyMaker
from durable_agent_team.gateway.stores.process_lock import OtherSecret, ProcessLock
from durable_agent_team.gateway.stores.store import BeginResult, NewCall
from tests.gateway.client import Agent, Api, body, bound
from tests.support.gateway import PARENT_KEY, SECRET, running_gateway
from tests.support.gateway_process import gateway_process
from tests.support.upstream import Rule, ScriptedUpstream
from tests.support.warm import warm_command

USED = {"prompt_tokens": 20, "completion_tokens": 5}


async def test_a_gateway_killed_in_the_middle_of_a_call() -> None:
    """Nothing stays reserved; the call is counted, can be repeated, and is charged once."""
    async with (
        ScriptedUpstream([Rule(usage=USED, times=1)]) as upstream,
        gateway_process(upstream.url) as gateway,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(gateway.url, http).open()
        paid = await agent.chat(key="paid")
        upstream.add(Rule(latency=30, times=1), Rule(usage=USED))
        call = asyncio.create_task(agent.chat(key="k"))
        await agent.until_reserved()
        await gateway.end(signal.SIGKILL)
        assert isinstance((await asyncio.gather(call, return_exceptions=True))[0], Exception)
        await gateway.start()
        account = await agent.account()
        assert account["reserved"] == 0
        assert account["interrupted"] == {"gateway_died": 1}
        assert (await agent.chat(key="k")).status == 200
        assert (await agent.chat(key="paid")).text == paid.text
        charged = [line["idempotency_key"] for line in await agent.ledger()]
        assert charged == ["paid", "k"]
        assert upstream.count == 3


async def test_another_gateway_releases_the_reservations_of_a_killed_one() -> None:
    """It notices the death long before the lease expires."""
    async with (
        ScriptedUpstream([Rule(latency=30, times=1)]) as upstream,
        gateway_process(upstream.url) as dying,
        running_gateway(upstream.url, database=dying.database) as survivor,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(dying.url, http).open()
        asyncio.create_task(agent.chat(key="k")).add_done_callback(lambda task: task.exception())
        await agent.until_reserved()
        waiting = asyncio.create_task(
            Agent(Api(survivor.url, http), agent.id, agent.key).chat(key="k")
        )
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await dying.end(signal.SIGKILL)
        reply = await asyncio.wait_for(waiting, 30)
        assert reply.status == 200
        agent.api = Api(survivor.url, http)
        account = await agent.account()
        assert (account["reserved"], account["charges"]) == (0, 1)
        assert account["interrupted"] == {"gateway_died": 1}


async def test_a_slow_gateway_keeps_its_reservation() -> None:
    async with (
        ScriptedUpstream([Rule(latency=2.5, usage=USED)]) as upstream,
        running_gateway(upstream.url) as slow,
        running_gateway(upstream.url, database=slow.database),
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(slow.url, http).open()
        assert (await agent.chat()).status == 200
        assert (await agent.account())["interrupted"] == {}


async def test_a_gateway_frozen_beyond_its_lease() -> None:
    """Another gateway takes over the call; the frozen one wakes up and must not charge it again."""
    async with (
        ScriptedUpstream([Rule(latency=1.5, text="lost", times=1), Rule(usage=USED)]) as upstream,
        gateway_process(
            upstream.url, upstream_timeout_seconds=3, gateway_lease_seconds=4
        ) as frozen,
        running_gateway(upstream.url, database=frozen.database) as other,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(frozen.url, http).open()
        first = asyncio.create_task(agent.chat(key="k"))
        await agent.until_reserved()
        async with asyncio.timeout(10):
            while not upstream.count:
                await asyncio.sleep(0.01)
        assert frozen.process is not None
        frozen.process.send_signal(signal.SIGSTOP)
        taken_over = await Agent(Api(other.url, http), agent.id, agent.key).chat(key="k")
        assert taken_over.status == 200
        frozen.process.send_signal(signal.SIGCONT)
        late = await first
        assert late.status in (
            503,
            504,
        )  # the expired lease, or its timeout
        account = await agent.account()
        assert (account["charges"], account["reserved"]) == (1, 0)
        assert account["spent"] == Decimal("0.00003")
        assert account["interrupted"] == {"lease_expired": 1}


@pytest.mark.parametrize("makes", [True, False], ids=["made elsewhere", "not made"])
async def test_a_gateway_frozen_before_it_sent_a_call(
    monkeypatch: pytest.MonkeyPatch, makes: bool
) -> None:
    """Beyond the lease of its reservation. When it wakes up, it sends the call only if no other
    gateway has made it."""
    limits: dict[str, Any] = {"upstream_timeout_seconds": 0.3, "gateway_lease_seconds": 0.6}
    async with (
        ScriptedUpstream([Rule(usage=USED)]) as upstream,
        running_gateway(upstream.url, **limits) as frozen,
        running_gateway(upstream.url, database=frozen.database, **limits) as other,
        aiohttp.ClientSession() as http,
    ):
        begin, wakes = frozen.server.store.begin, asyncio.Event()

        async def freezes(call: NewCall) -> BeginResult:
            begun = await begin(call)
            await wakes.wait()
            return begun

        monkeypatch.setattr(frozen.server.store, "begin", freezes)
        agent = await Api(frozen.url, http).open()
        first = asyncio.create_task(agent.chat(key="k"))
        scoped = asyncio.create_task(
            agent.api.send("POST", "/scopes/s/1/v1/chat/completions", body(), key=agent.key)
        )
        async with asyncio.timeout(10):
            while (await agent.account())["reserved"] < Decimal(2 * bound(body())).scaleb(-6):
                await asyncio.sleep(0.01)
        if makes:
            taken_over = await Agent(Api(other.url, http), agent.id, agent.key).chat(key="k")
            assert taken_over.status == 200
        else:
            await asyncio.sleep(limits["gateway_lease_seconds"])
        wakes.set()
        assert [(await first).status, (await scoped).status] == [200, 200]
        assert upstream.count == 2
        account = await agent.account()
        assert (account["charges"], account["reserved"]) == (2, 0)
        assert account["interrupted"] == ({"lease_expired": 1} if makes else {})


async def test_a_frozen_gateway_does_not_carry_out_what_its_client_has_given_up() -> None:
    """The client has sent it again, to another gateway, and has gone on since."""
    async with (
        ScriptedUpstream([]) as upstream,
        gateway_process(upstream.url) as frozen,
        running_gateway(upstream.url, database=frozen.database) as other,
        aiohttp.ClientSession() as http,
    ):
        first = await Api(frozen.url, http).open()
        agent = Agent(Api(other.url, http), first.id, first.key)
        charge = {"key": "c", "amount_usd": "0.25", "what": "refund"}
        assert (await agent.api.send("POST", "/v1/charges", charge, key=agent.key)).status == 201
        assert frozen.process is not None
        frozen.process.send_signal(signal.SIGSTOP)
        release = first.api.send("POST", "/v1/charges/c/release", key=agent.key)
        for request in (first.patch(budget=5), release):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(request, 0.3)
        assert (await agent.patch(budget=2)).status == 200
        frozen.process.send_signal(signal.SIGCONT)
        async with asyncio.timeout(10):
            while frozen.log.count(" 503 ") < 2:
                await asyncio.sleep(0.05)
        account = await agent.account()
        assert (account["budget"], account["reserved"]) == (2, Decimal("0.25"))


async def test_sigterm_finishes_calls_in_flight() -> None:
    async with (
        ScriptedUpstream([Rule(latency=0.5)]) as upstream,
        gateway_process(upstream.url) as gateway,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(gateway.url, http).open()
        call = asyncio.create_task(agent.chat(key="k"))
        await agent.until_reserved()
        ending = asyncio.create_task(gateway.end(signal.SIGTERM))
        assert (await call).status == 200
        assert await ending == 0
        owners = gateway.database.with_name("gateway.db.owners")
        assert list(owners.iterdir()) == []


async def test_sigterm_releases_calls_that_do_not_finish_in_time() -> None:
    async with (
        ScriptedUpstream([Rule(latency=30)]) as upstream,
        gateway_process(upstream.url, gateway_shutdown_seconds=0.2) as gateway,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(gateway.url, http).open()
        call = asyncio.create_task(agent.chat(key="k"))
        await agent.until_reserved()
        assert await asyncio.wait_for(gateway.end(signal.SIGTERM), 30) == 0
        reply = await call
        assert (reply.status, reply.error["code"]) == (503, "stopping")
        await gateway.start()
        account = await agent.account()
        assert (account["reserved"], account["interrupted"]) == (0, {"gateway_died": 1})


async def start(*program: str, **environment: str) -> tuple[int, str]:
    """Starts a gateway that should refuse to start, or `program` for it. Returns its exit status
    and output."""
    process = await asyncio.create_subprocess_exec(
        *(program or tuple(await asyncio.to_thread(warm_command, "gateway"))),
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode or 0, output.decode()


async def test_all_wrong_settings_are_listed_without_secrets() -> None:
    status, output = await start(
        *(sys.executable, "-m", "durable_agent_team.gateway"),
        GATEWAY_PARENT_KEY="tiny-secret",
        GATEWAY_PORT="port",
        UPSTREAM_URL="ftp://x",
    )
    assert status == 2
    for piece in ("GATEWAY_PARENT_KEY", "GATEWAY_SECRET is not set", "'port'", "'ftp://x'"):
        assert piece in output
    assert "tiny-secret" not in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"GATEWAY_LEASE_SECONDS": "60"}, "UPSTREAM_TIMEOUT_SECONDS (120)"),
        ({"GATEWAY_PRICES": "/nowhere/prices.toml"}, "/nowhere/prices.toml cannot be read"),
        ({"GATEWAY_PRICES": "/dev/zero"}, "/dev/zero cannot be read: it has more than"),
        ({"GATEWAY_MODELS": "/dev/zero"}, "/dev/zero cannot be read: it has more than"),
        ({"GATEWAY_DATABASE": "/proc/gateway.db"}, "GATEWAY_DATABASE /proc/gateway.db"),
        ({"GATEWAY_HOST": "a\u202eb"}, "GATEWAY_HOST a\\u202eb is not the name of a host"),
        ({"GATEWAY_HOST": "a..b"}, "GATEWAY_HOST a..b is not the name of a host"),
        ({"GATEWAY_PRICES": "/nowhere\x1b[2J"}, "/nowhere\\x1b[2J cannot be read"),
    ],
)
async def test_unusable_settings_are_refused(
    tmp_path: Path, environment: dict[str, str], says: str
) -> None:
    given = {
        "GATEWAY_PARENT_KEY": PARENT_KEY,
        "GATEWAY_SECRET": SECRET,
        "GATEWAY_PORT": "0",
        "GATEWAY_DATABASE": str(tmp_path / "gateway.db"),
        "UPSTREAM_URL": "http://127.0.0.1:9/v1",
    }
    status, output = await start(**{**given, **environment})
    assert status == 2
    assert says in output
    assert "Traceback" not in output


@pytest.mark.parametrize("setting", ["GATEWAY_PRICES", "GATEWAY_MODELS"])
async def test_a_pipe_is_not_waited_for(tmp_path: Path, setting: str) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    await test_unusable_settings_are_refused(
        tmp_path, {setting: str(pipe)}, f"{pipe} cannot be read: it is a pipe"
    )


async def test_a_port_in_use_is_reported_with_its_setting(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, output = await start(
            GATEWAY_PARENT_KEY=PARENT_KEY,
            GATEWAY_SECRET=SECRET,
            GATEWAY_PORT=str(port),
            GATEWAY_DATABASE=str(tmp_path / "gateway.db"),
            UPSTREAM_URL="http://127.0.0.1:9/v1",
        )
    assert status == 2
    assert f"GATEWAY_PORT {port}" in output
    assert "Traceback" not in output


async def test_another_secret_beside_a_running_gateway_is_refused(tmp_path: Path) -> None:
    database = tmp_path / "gateway.db"
    given = {
        "GATEWAY_PARENT_KEY": PARENT_KEY,
        "GATEWAY_PORT": "0",
        "GATEWAY_DATABASE": str(database),
        "UPSTREAM_URL": "http://127.0.0.1:9/v1",
    }
    other = "another-secret-0123456789-0123456789"
    async with running_gateway("http://127.0.0.1:9/v1", database=database):
        status, output = await start(**given, GATEWAY_SECRET=other)
    assert status == 2
    assert output.startswith("GATEWAY_SECRET is not that of the gateway that already uses")
    assert str(database) in output
    assert other not in output
    assert SECRET not in output
    assert "Traceback" not in output


def test_only_living_gateways_are_compared_and_their_secrets_not_stored(tmp_path: Path) -> None:
    """A secret can be changed while no gateway runs, and a killed one leaves its file behind."""
    database = tmp_path / "gateway.db"
    ours, other = (KeyMaker(each * 32).fingerprint() for each in ("a", "b"))
    first, second = ProcessLock(database, ours), ProcessLock(database, ours)
    unknown = ProcessLock(database)
    with pytest.raises(OtherSecret, match="GATEWAY_SECRET"):
        ProcessLock(database, other)
    folder = tmp_path / "gateway.db.owners"
    assert len(list(folder.iterdir())) == 3, "what was refused leaves nothing behind"
    assert not any("aaaa" in each.read_text() for each in folder.iterdir())
    first.close()
    second.close()
    (folder / "killed").write_text(ours)
    ProcessLock(database, other).close()
    unknown.close()
