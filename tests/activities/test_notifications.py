"""`notify_url` tells nothing about what listens at an address, and reaches only public ones."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.notifications import NO_ANSWER, PRIVATE, Notifications
from activities.public_addresses import is_public
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.notification import Notification
from durable_agent_team.contracts.run import Waiting
from tests.support.fuzzing import examples
from tests.support.serving import listening

SECRET_PATH = "/hook-secret-5f3c"


def notification(url: str) -> Notification:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    waiting = Waiting(
        subject="facts", agent="research", reason="r", type=ErrorType.BUDGET_EXHAUSTED,
        command="c", since=now, until=now,
    )  # fmt: skip
    return Notification(url=url, workflow_id="run", team="brief", waiting=waiting)


async def failure(url: str, private: bool = True) -> ApplicationError:
    """Of one attempt, which keeps nothing of the address."""
    notify = Notifications(private_addresses=private).notify
    with pytest.raises(ApplicationError) as raised:
        await ActivityEnvironment().run(notify, notification(url))
    error = raised.value
    text = f"{error} {error.details} {error.__cause__}"
    assert "127.0.0.1" not in text
    assert SECRET_PATH not in text
    return error


@asynccontextmanager
async def saying(greeting: bytes) -> AsyncIterator[int]:
    """The port of a service that answers with something other than HTTP."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


GREETINGS = {
    "SSH": b"SSH-2.0-OpenSSH_9.6 secret-banner\r\n",
    "SMTP": b"220 secret-banner ESMTP\r\n",
    "Redis": b"-ERR secret-banner\r\n",
    "nothing": b"",
    "a bad status line": b"HTTP/1.1 secret-banner OK\r\n\r\n",
    "a bad header": b"HTTP/1.1 200 OK\r\nsecret-banner\x00: x\r\nbad\r\n\r\n",
    "a long line": b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("greeting", GREETINGS.values(), ids=GREETINGS)
async def test_what_is_not_http_looks_like_a_closed_port(greeting: bytes) -> None:
    async with saying(greeting) as port:
        spoken = await failure(f"http://127.0.0.1:{port}{SECRET_PATH}")
        no_tls = await failure(f"https://127.0.0.1:{port}{SECRET_PATH}")
    closed = await failure(f"http://127.0.0.1:{closed_port()}{SECRET_PATH}")
    texts = {str(each) for each in (spoken, no_tls, closed)}
    assert texts == {f"{ErrorType.UPSTREAM_UNAVAILABLE}: notify_url: {NO_ANSWER}"}


@pytest.mark.parametrize(("status", "kept"), [(404, "4xx"), (418, "4xx"), (503, "5xx")])
async def test_of_a_status_only_its_class_is_kept(status: int, kept: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, reason="secret", text="secret")

    app = web.Application()
    app.router.add_post(SECRET_PATH, answer)
    async with listening(app) as url:
        assert str(await failure(url + SECRET_PATH)).endswith(f"notify_url: HTTP {kept}")


async def test_a_redirect_is_not_followed() -> None:
    reached: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        reached.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with listening(app) as url:
        assert str(await failure(url + SECRET_PATH)).endswith("HTTP 3xx")
    assert reached == [SECRET_PATH]


async def test_a_notification_is_posted_as_json_without_its_url() -> None:
    received: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        received.append(await request.json())
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hook", answer)
    async with listening(app) as url:
        notify = Notifications(private_addresses=True).notify
        await ActivityEnvironment().run(notify, notification(f"{url}/hook"))
    assert received[0].keys() == {"workflow_id", "team", "waiting"}


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0",
     "10.0.0.1", "192.168.1.1", "169.254.169.254", "[fd00:ec2::254]", "[fe80::1]"],
)  # fmt: skip
async def test_a_private_address_is_refused_before_a_connection(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with saying(b"SSH-2.0-x\r\n") as port:
        for number in (port, closed_port()):
            error = await failure(f"http://{host}:{number}{SECRET_PATH}", private=False)
            assert (error.message, error.non_retryable) == (f"notify_url: {PRIVATE}", True)
        if host in ("localhost", "[::1]", "127.0.0.1"):
            return  # never through a proxy
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        error = await failure(f"http://{host}:{port}{SECRET_PATH}", private=False)
        assert error.message == f"notify_url: {PRIVATE}"


async def test_a_name_is_checked_by_the_address_that_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that is public when it is looked up first, and loopback afterwards."""
    async with saying(b"SSH-2.0-x\r\n") as port:
        loop = asyncio.get_running_loop()

        async def rebound(host: str, *_: Any, **__: Any) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(type(loop), "getaddrinfo", lambda self, *a, **k: rebound(*a, **k))
        error = await failure(f"http://rebinding.example:{port}{SECRET_PATH}", private=False)
        assert error.message == f"notify_url: {PRIVATE}"


@pytest.mark.parametrize(
    "url",
    [
        "http://[",
        "http://a..b/",
        f"http://{'a' * 300}/",
        "http://:80/x",
        "http://127.1/",
        "http://2130706433/",
    ],
)
async def test_a_url_without_a_host_is_an_ordinary_failure(url: str) -> None:
    assert str(await failure(url)).endswith(NO_ANSWER)


def test_public_and_other_addresses() -> None:
    for public in ("1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101"):
        assert is_public(public), public
    private = (
        "100.64.0.1 100.100.100.200 172.16.0.1 192.0.0.192 224.0.0.1 240.0.0.1 255.255.255.255"
        " 168.63.129.16 :: ff02::1 fec0::1 fc00::1 64:ff9b::a9fe:a9fe 2002:7f00:1::"
        " ::ffff:10.0.0.1 2001:0:7f00:1:0:0:80ff:fffe"
    )
    for other in private.split():
        assert not is_public(other), other


@pytest.mark.fuzz
@settings(max_examples=examples(200), deadline=None)
@given(st.ip_addresses(v=4))
def test_an_address_inside_another_one_is_judged_as_itself(inner: ipaddress.IPv4Address) -> None:
    number = int(inner)
    carriers = [
        ipaddress.IPv6Address((0xFFFF << 32) | number),
        ipaddress.IPv6Address((0x0064FF9B << 96) | number),
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80)),
    ]
    assert {is_public(str(each)) for each in carriers} == {is_public(str(inner))}
    assert not is_public(str(inner)) or inner.is_global
