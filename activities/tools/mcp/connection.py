"""One session with one MCP server, owned by a task of its own; calls come from other tasks.

The package's task groups end the task that entered them when a transport breaks. That is the
owner here, so that a caller gets an error, and never a cancellation that nobody asked for.
"""

import asyncio
import contextvars
import logging
import shlex
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import mcp_types as types
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from pydantic import TypeAdapter, ValidationError

from activities.tools.called_tool import CalledTool
from activities.tools.exceptions import (
    ToolAsks,
    ToolBroke,
    ToolError,
    ToolTimedOut,
    ToolUnreachable,
)
from activities.tools.mcp.answers import answer_to_error, asks, check_answered
from activities.tools.mcp.bounded_events import MAX_BODY_BYTES
from activities.tools.mcp.bounded_http import bounded_client
from activities.tools.mcp.called_result import called_tool, plain_text
from activities.tools.mcp.connect_failures import why_not_connected, why_refused
from activities.tools.mcp.definitions import ServerTool, server_tool, without_secrets
from activities.tools.mcp.demands import demand_in_result
from activities.tools.mcp.negotiation import negotiate, own_version, proxy_of
from activities.tools.mcp.raw_dispatcher import ANSWERS, RawDispatcher
from activities.tools.mcp.server_secrets import scrubber, server_environment, server_headers
from activities.tools.mcp.sign_in import token_remedy
from activities.tools.mcp.stdio_transport import StdioServer, stdio_server
from durable_agent_team.contracts.tool_kinds import CommandServer, ToolServer
from durable_agent_team.rules.pydantic_messages import shown

MAX_PAGES: Final = 50
MAX_LISTED: Final = 1_000
LIST_SECONDS: Final = 30.0
"""For one page of the list of tools."""
ALL_PAGES_SECONDS: Final = 45.0
"""For all pages: less than the activity has, whose own timeout would not name the server."""
STALE_SECONDS: Final = 30.0
"""After which a server is asked for its tools again, although it has not said that they changed."""
END_SECONDS: Final = 15.0
INSTALLERS: Final = frozenset({"npx", "bunx", "pnpx", "uvx", "uv", "pipx"})
"""Commands that install a server on its first start, which may take longer than a start."""
SAID: Final = 600
"""Characters of a server's standard error in an error of ours, and less than these more where they
would begin within a word: an address to sign in at is of no use without its beginning."""
WHOLE_WORD: Final = 300

for _name in ("mcp", "client", "httpx2", "httpcore2"):
    # They log what servers send, with its secrets, and every request.
    logging.getLogger(_name).setLevel(logging.CRITICAL)

_CALLED: Final[TypeAdapter[Any]] = TypeAdapter(types.CallToolResult | types.InputRequiredResult)


class Connection:
    """`open` it, use it from any task, `close` it. After `ended` it is of no use any more."""

    def __init__(self, name: str, server: ToolServer, worker: Mapping[str, str]) -> None:
        self.id = uuid.uuid4().hex[:16]
        self.ended = asyncio.Event()
        self.holders = 0
        """Callers that use it now."""
        self.died_early = False
        """Its process ended before it had answered anything."""
        self.used_at = time.monotonic()
        self.retired = False
        """No new call may use it: a call of it timed out, and may run on."""
        self.instructions = ""
        self.is_legacy = False
        self._name, self._server, self._worker = name, server, worker
        self._scrubber = scrubber(server, worker)
        self._ready = asyncio.Event()
        self._stop = asyncio.Event()
        self._problem: BaseException | None = None
        self._session: ClientSession | None = None
        self._process: StdioServer | None = None
        self._tools: dict[str, ServerTool] | None = None
        self._listed_at = self._list_began = 0.0
        self._list_failed = (0.0, "")
        """When the last listing that failed began, and why it failed."""
        self._changes = 0
        """How often the server has said that its tools changed."""
        self._listing = asyncio.Lock()
        self._owner: asyncio.Task[None] | None = None

    async def open(self, *, legacy: bool = False) -> None:
        """Connects within the server's `connect_seconds`. Raises `ToolUnreachable`, `ToolAsks`."""
        self._owner = asyncio.create_task(self._own(legacy))
        waiting = [asyncio.create_task(each.wait()) for each in (self._ready, self.ended)]
        try:
            await asyncio.wait(
                waiting,
                timeout=self._server.connect_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        except BaseException:
            self._stop.set()
            self._owner.cancel()
            raise
        finally:
            for each in waiting:
                each.cancel()
        if self._ready.is_set() and not self.ended.is_set():
            return
        in_time = self.ended.is_set()
        process, said = self._process, self._said()
        self.died_early = process is not None and process.ended.is_set()
        await self.close()
        if not in_time:
            text = (
                f"it did not answer within {self._server.connect_seconds:g} s (`connect_seconds`)"
            )
            raise self.unreachable(text + self._installs() + said, final=False)
        how = process.why if process is not None and process.ended.is_set() else None
        with self._errors_without_secrets():
            text, final = why_not_connected(self._problem, how)
        raise self.unreachable(text + said, final=final)

    def _installs(self) -> str:
        """What to do about a command that may still have been installing its server when it was
        ended: the next attempt begins that again."""
        server = self._server
        if not isinstance(server, CommandServer) or Path(server.command[0]).name not in INSTALLERS:
            return ""
        command = shown(shlex.join(server.command), 200)
        return f": the first time it installs the server, so run `{command}` once yourself"

    async def close(self) -> None:
        """Ends the session and the server's process."""
        self._stop.set()
        if self._owner is None:
            return
        if not self._ready.is_set():
            self._owner.cancel()
        _, late = await asyncio.wait({self._owner}, timeout=END_SECONDS)
        for each in late:
            each.cancel()

    async def tools(self, *, fresh: bool = False) -> dict[str, ServerTool]:
        """What the server has, by name: as it last said, if that is not long ago. With `fresh`, as
        it says from now on; several who ask at once get one answer. Raises `ToolUnreachable`,
        `ToolAsks`."""
        asked_at = time.monotonic()
        async with self._listing:
            now = time.monotonic()
            is_old = self._list_began < asked_at if fresh else now - self._listed_at > STALE_SECONDS
            if self._tools is None or is_old:
                failed_at, why = self._list_failed
                if failed_at >= asked_at:
                    raise self.unreachable(why, final=False)
                changes = self._changes
                try:
                    self._tools = await self._list()
                except (ToolBroke, ToolTimedOut) as error:
                    self._list_failed = (now, f"it does not list its tools: {error}")
                    raise self.unreachable(self._list_failed[1], final=False) from None
                if changes == self._changes:
                    self._list_began, self._listed_at = now, time.monotonic()
            return self._tools

    async def call(
        self, name: str, arguments: dict[str, Any], meta: dict[str, Any], seconds: float
    ) -> CalledTool:
        """One call. Raises `ToolError`."""
        params = types.CallToolRequestParams.model_validate(
            {"name": name, "arguments": arguments, "_meta": meta}
        )
        with self._errors_without_secrets():
            try:
                answer = await self._answer(types.CallToolRequest(params=params), _CALLED, seconds)
            except MCPError as error:
                called = answer_to_error(error.code, error.message, error.error.data)
            else:
                if (demand := demand_in_result(answer)) is not None:
                    raise asks(demand)
                called = called_tool(answer)
                if called.is_error:
                    check_answered(called.text)
        return await self._without_secrets(called)

    def unreachable(self, text: str, *, final: bool = True) -> ToolUnreachable:
        return ToolUnreachable(self.about(text), final=final)

    def about(self, text: str) -> str:
        """The text of an error, with the server's name and without secrets."""
        said = self._scrubber.scrub_message(text)
        return f"the server {self._name!r}: {said}"

    @contextmanager
    def _errors_without_secrets(self) -> Iterator[None]:
        scrub = self._scrubber.scrub_message
        try:
            yield
        except ToolError as error:
            error.args = (scrub(str(error)),)
            if isinstance(error, ToolAsks):
                shown = {"url": scrub(error.demand.url), "amount": scrub(error.demand.amount)}
                error.demand = error.demand.model_copy(update=shown)
            raise error from None

    async def _own(self, legacy: bool) -> None:
        try:
            async with AsyncExitStack() as stack:
                streams = await self._transport(stack)
                dispatcher = RawDispatcher(*streams)
                session = ClientSession(
                    dispatcher=dispatcher,
                    message_handler=self._noticed,
                    client_info=types.Implementation(
                        name="durable-agent-team", version=own_version()
                    ),
                )
                await stack.enter_async_context(session)
                await negotiate(session, legacy=legacy)
                self._session = session
                self.is_legacy = session.discover_result is None
                self.instructions = self._scrubber.scrub(plain_text(session.instructions or ""))
                self._ready.set()
                await self._stopped()
        except BaseException as error:
            self._problem = error
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
        finally:
            self.ended.set()

    async def _transport(self, stack: AsyncExitStack) -> tuple[Any, Any]:
        server = self._server
        if isinstance(server, CommandServer):
            environment = server_environment(server, self._worker)
            directory = server.directory or "."
            started = stdio_server(server.command, directory, environment)
            self._process = await stack.enter_async_context(started)
            return self._process.incoming, self._process.outgoing
        headers = server_headers(server, self._worker)
        proxy = proxy_of(server.url, self._worker)
        remedy = token_remedy(server)
        client = bounded_client(
            headers, server.connect_seconds, proxy, remedy, self._scrubber.scrub_message
        )
        await stack.enter_async_context(client)
        transport = streamable_http_client(
            server.url, http_client=client, max_sse_event_size=2 * MAX_BODY_BYTES
        )
        return await stack.enter_async_context(transport)

    async def _stopped(self) -> None:
        """Until the session is to end, or the server's process has."""
        events = [self._stop] + ([self._process.ended] if self._process else [])
        waiting = [asyncio.create_task(each.wait()) for each in events]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
        if not self._stop.is_set() and self._process is not None:
            self._problem = ToolBroke(self._process.why)
        self.ended.set()

    async def _noticed(self, message: Any) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self._changes += 1
            self._list_began = self._listed_at = -STALE_SECONDS

    async def _answer(self, request: Any, kind: Any, seconds: float) -> dict[str, Any]:
        """The answer as it came. Raises `MCPError`, `ToolBroke`, `ToolTimedOut`."""
        session = self._session
        if session is None or self.ended.is_set():
            raise ToolBroke(self._lost())
        answers: list[dict[str, Any]] = []
        context = contextvars.copy_context()
        context.run(ANSWERS.set, answers)
        sending = asyncio.create_task(session.send_request(request, kind), context=context)
        ending = asyncio.create_task(self.ended.wait())
        try:
            await asyncio.wait(
                {sending, ending}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if self.ended.is_set() and not sending.done():
                await asyncio.wait({sending}, timeout=0.2)
            if not sending.done():
                self._give_up()
                if self.ended.is_set():
                    raise ToolBroke(self._lost(), sent=True)
                raise ToolTimedOut(f"no result within {seconds:g} s", sent=True)
            sending.result()
        except ValidationError:
            if not answers:
                raise ToolBroke("its answer cannot be read", sent=True) from None
        except (MCPError, ToolError):
            if self.ended.is_set() and self._process is not None and not answers:
                raise ToolBroke(self._lost(), sent=True) from None
            raise
        except asyncio.CancelledError:
            if not sending.cancelled():
                self._give_up()  # the caller is cancelled, and not the session
                raise
            raise ToolBroke(self._lost(), sent=True) from None
        except Exception as error:
            raise ToolBroke(f"the session broke ({type(error).__name__})", sent=True) from None
        finally:
            for each in (sending, ending):
                each.cancel()
        return answers[-1] if answers else {}

    def _give_up(self) -> None:
        """A tool that is not waited for may run on, also when the server was told: the session is
        not used again. One with a memory is kept until its server is gone."""
        if not self._server.stateful:
            self.retired = True

    async def _list(self) -> dict[str, ServerTool]:
        found: dict[str, ServerTool] = {}
        cursor: str | None = None
        asked = {cursor}
        until = time.monotonic() + ALL_PAGES_SECONDS
        for _ in range(MAX_PAGES):
            page = await self._page(cursor, min(LIST_SECONDS, until - time.monotonic()))
            tools = page.get("tools")
            for described in tools if isinstance(tools, list) else []:
                tool = server_tool(described) if isinstance(described, dict) else None
                if tool is not None:
                    found[tool.name] = without_secrets(tool, self._scrubber.scrub)
            if len(found) > MAX_LISTED:
                raise self.unreachable(f"it has more than {MAX_LISTED} tools")
            cursor = page.get("nextCursor")
            if not isinstance(cursor, str) or cursor in asked:
                return found
            asked.add(cursor)
            if time.monotonic() > until:
                text = f"its list of tools takes more than {ALL_PAGES_SECONDS:g} s"
                raise self.unreachable(text, final=False)
        raise self.unreachable(f"its list of tools has more than {MAX_PAGES} pages")

    async def _page(self, cursor: str | None, seconds: float) -> dict[str, Any]:
        params = types.PaginatedRequestParams(cursor=cursor) if cursor else None
        request = types.ListToolsRequest(params=params)
        try:
            return await self._answer(request, types.ListToolsResult, seconds)
        except MCPError as error:
            if error.code == types.METHOD_NOT_FOUND:
                return {}
            with self._errors_without_secrets():
                text, final = why_refused(error)
            raise self.unreachable(f"it does not list its tools: {text}", final=final) from None

    async def _without_secrets(self, called: CalledTool) -> CalledTool:
        scrub = self._scrubber.scrub
        large = len(called.text) > 100_000
        text = await asyncio.to_thread(scrub, called.text) if large else scrub(called.text)
        return replace(called, text=text)

    def _lost(self) -> str:
        why = str(self._problem) if isinstance(self._problem, ToolError) else "the session ended"
        return f"{why}{self._said()}"

    def _said(self) -> str:
        said = self._process.said if self._process is not None else ""
        said = " ".join(plain_text(self._scrubber.scrub_message(said)).split())
        return f"; it said: {_end_of(said)}" if said else ""


def _end_of(said: str) -> str:
    cut = max(len(said) - SAID, 0)
    begin = said.rfind(" ", max(cut - WHOLE_WORD, 0), cut) + 1
    return said[begin or cut :] if cut else said
