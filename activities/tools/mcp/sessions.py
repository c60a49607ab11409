"""The connections of this worker: one for each server, closed when nobody has used it for a while.

A server with `stateful: true` has one for each conversation: what it remembers of one is no
business of another.
"""

import asyncio
import importlib
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from activities.tools.exceptions import ToolUnreachable
from activities.tools.mcp.answers import SessionGone
from activities.tools.mcp.definitions import ServerTool
from durable_agent_team.contracts.tool_kinds import ToolServer

if TYPE_CHECKING:
    from activities.tools.mcp.connection import Connection

IDLE_SECONDS: Final = 120.0
MAX_OPEN: Final = 64
"""Beyond it, the connection that has been idle for longest is closed first."""
MISSING: Final = (
    "this worker cannot talk to MCP servers, since the package `mcp` is not installed: install"
    " durable-agent-team[worker]"
)
FORGETS: Final = (
    "it does not know a session that it has just begun (status 404): if it has several instances,"
    " all requests of a session have to reach the same one"
)
OTHER_CODE: Final = (
    "this worker cannot load what talks to MCP servers: {error}. Its code has probably changed"
    " since it started: start it again"
)


class McpSessions:
    """Close it at the end of the process: it has processes of servers."""

    def __init__(self, worker: Mapping[str, str], idle_seconds: float = IDLE_SECONDS) -> None:
        """`worker` is the environment that `env` and `headers` name variables of."""
        self._worker = worker
        self._idle_seconds = idle_seconds
        self._opened: dict[str, asyncio.Task[Connection]] = {}
        self._legacy: set[str] = set()
        """Servers that do not know the newest version of the protocol."""
        self._closing: set[asyncio.Task[None]] = set()
        self._sweep: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def connection(
        self, name: str, server: ToolServer, conversation: str = ""
    ) -> AsyncIterator["Connection"]:
        """The open connection, or a new one. Raises `ToolUnreachable`, `ToolAsks`."""
        key = _key(name, server, conversation)
        connection = await self._open(key, name, server)
        connection.holders += 1
        try:
            yield connection
        finally:
            connection.holders -= 1
            connection.used_at = time.monotonic()
            if connection.retired or connection.ended.is_set():
                self._forget(key, connection)
            self._sweep_later()

    @asynccontextmanager
    async def listed(
        self, name: str, server: ToolServer, conversation: str = "", *, fresh: bool
    ) -> AsyncIterator[tuple["Connection", dict[str, ServerTool]]]:
        """The same with the server's tools. A session that has ended unnoticed, or that the server
        has forgotten, is begun anew once."""
        for is_last in (False, True):
            async with self.connection(name, server, conversation) as connection:
                try:
                    tools = await connection.tools(fresh=fresh)
                except (SessionGone, ToolUnreachable) as error:
                    is_forgotten = isinstance(error, SessionGone)
                    if is_last and is_forgotten:
                        raise connection.unreachable(FORGETS, final=False) from None
                    if is_last or not (is_forgotten or connection.ended.is_set()):
                        raise
                    connection.retired = True
                    continue
                yield connection, tools
                return

    async def close(self) -> None:
        """Ends every session and every server's process."""
        if self._sweep is not None:
            self._sweep.cancel()
        for opening in list(self._opened.values()):
            if not opening.done():
                opening.cancel()
            elif (connection := _connected(opening)) is not None:
                self._close(connection)
        self._opened.clear()
        if self._closing:
            await asyncio.wait(self._closing)

    async def _open(self, key: str, name: str, server: ToolServer) -> "Connection":
        while True:
            opening = self._opened.get(key)
            if opening is None:
                self._make_room()
                opening = asyncio.create_task(self._opened_anew(key, name, server))
                self._opened[key] = opening
            try:
                # Others may wait for it, too, when this caller is cancelled.
                connection = await asyncio.shield(opening)
            except BaseException:
                if opening.done() and self._opened.get(key) is opening:
                    del self._opened[key]
                raise
            if not connection.ended.is_set() and not connection.retired:
                return connection
            self._forget(key, connection)

    async def _opened_anew(self, key: str, name: str, server: ToolServer) -> "Connection":
        try:
            module: Any = await asyncio.to_thread(
                importlib.import_module, "activities.tools.mcp.connection"
            )
        except ImportError as error:
            is_missing = isinstance(error, ModuleNotFoundError)
            why = MISSING if is_missing else OTHER_CODE.format(error=error)
            raise ToolUnreachable(why) from None
        known = key in self._legacy
        connection: Connection = module.Connection(name, server, self._worker)
        try:
            await connection.open(legacy=known)
        except ToolUnreachable:
            # Some older servers end when they are asked something before they are initialized.
            if known or not connection.died_early:
                raise
            connection = module.Connection(name, server, self._worker)
            await connection.open(legacy=True)
        if connection.is_legacy:
            self._legacy.add(key)
        return connection

    def _forget(self, key: str, connection: "Connection") -> None:
        """Takes it out; the last one who holds it closes it."""
        if _connected(self._opened.get(key)) is connection:
            del self._opened[key]
        if connection.holders == 0:
            self._close(connection)

    def _close(self, connection: "Connection") -> None:
        task = asyncio.create_task(connection.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _idle(self) -> list[tuple[str, "Connection"]]:
        """The connections that nobody holds, the one that has been idle for longest first."""
        idle = [
            (key, connection)
            for key, opening in self._opened.items()
            if (connection := _connected(opening)) is not None and connection.holders == 0
        ]
        return sorted(idle, key=lambda each: each[1].used_at)

    def _make_room(self) -> None:
        excess = len(self._opened) - MAX_OPEN + 1
        for key, connection in self._idle()[: max(excess, 0)]:
            self._forget(key, connection)

    def _sweep_later(self) -> None:
        if self._sweep is None:
            loop = asyncio.get_running_loop()
            self._sweep = loop.call_later(self._idle_seconds, self._close_idle)

    def _close_idle(self) -> None:
        self._sweep = None
        until = time.monotonic() - self._idle_seconds
        for key, connection in self._idle():
            if connection.used_at <= until or connection.ended.is_set():
                self._forget(key, connection)
        if self._opened:
            self._sweep_later()


def _connected(opening: "asyncio.Task[Connection] | None") -> "Connection | None":
    """The connection that a task has opened, if it has."""
    if opening is None or not opening.done() or opening.cancelled() or opening.exception():
        return None
    return opening.result()


def _key(name: str, server: ToolServer, conversation: str) -> str:
    whose = conversation if server.stateful else ""
    return f"{name}\0{whose}\0{server.model_dump_json()}"
