"""Notifies a webhook that a run waits or has ended: one POST, retried by Temporal.

The URL comes from a team file, and the user who starts a run can read its history. So only the
class of the response is reported, and nothing that tells an open port from a closed one. By default
only public addresses are notified (NOTIFY_PRIVATE_ADDRESSES).
"""

import ipaddress
import logging
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.public_addresses import PublicSockets, is_public
from durable_agent_team.contracts.activity_interfaces import NotificationActivities
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.notification import Notification

log = logging.getLogger("worker")

TIMEOUT_SECONDS: Final = 10
HEADERS: Final = {"Content-Type": "application/json", "User-Agent": "durable-agent-team"}

NO_ANSWER: Final = "no HTTP response from its host"
PRIVATE: Final = (
    "its host is not at a public address"
    " (use a public one, or set NOTIFY_PRIVATE_ADDRESSES=true for the worker)"
)


class Notifications(NotificationActivities):
    """Posts to the team's `notify_url`. Follows no redirect and does not read the body."""

    def __init__(self, *, private_addresses: bool = False) -> None:
        self._private_addresses = private_addresses

    @activity.defn
    async def notify(self, notification: Notification) -> None:
        """One POST of the notification as JSON; any 2xx is a success."""
        sockets = None if self._private_addresses else PublicSockets()
        try:
            status = await self._post(notification, sockets)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            if sockets is not None and sockets.refused:
                raise _not_notified(PRIVATE, final=True) from None
            log.info("notify_url: %s", type(error).__name__)
            raise _not_notified(NO_ANSWER) from None
        if not 200 <= status < 300:
            raise _not_notified(f"HTTP {status // 100}xx")

    async def _post(self, notification: Notification, sockets: PublicSockets | None) -> int:
        """The status. A new connection for each: a run that parks is rare."""
        proxy = _proxy(notification.url)
        if proxy is not None and sockets is not None:
            _check_name(notification.url, sockets)
        connector = TCPConnector(
            force_close=True, socket_factory=sockets if proxy is None else None
        )
        async with (
            ClientSession(
                connector=connector,
                cookie_jar=DummyCookieJar(),
                timeout=ClientTimeout(total=TIMEOUT_SECONDS),
                auto_decompress=False,
            ) as session,
            session.post(
                notification.url,
                data=_body(notification),
                headers=HEADERS,
                allow_redirects=False,
                proxy=proxy,
            ) as response,
        ):
            return response.status


def _body(notification: Notification) -> bytes:
    """Without the URL, and without the one of `waiting` and `ended` that it is not about."""
    absent = {name for name in ("waiting", "ended") if getattr(notification, name) is None}
    return notification.model_dump_json(exclude={"url", *absent}).encode()


def _proxy(url: str) -> str | None:
    """The environment's proxy for this URL; never one for this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in ("localhost", "127.0.0.1", "::1") or proxy_bypass(host):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def _check_name(url: str, sockets: PublicSockets) -> None:
    """What can be checked of a request that a proxy resolves: an address in the URL itself."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return
    if not is_public(host):
        sockets.refused = True
        raise PermissionError("not a public address")


def _not_notified(why: str, final: bool = False) -> ApplicationError:
    """Without the URL, which is often a webhook's secret."""
    kind = ErrorType.INVALID_INPUT if final else ErrorType.UPSTREAM_UNAVAILABLE
    return ApplicationError(f"notify_url: {why}", type=kind.value, non_retryable=final)
