"""An MCP server as a process: its lines are bounded, and nothing of it is left behind.

The transport of the `mcp` package splits all that it has read again with each chunk: 20 MB in one
line took 49 s and several times their memory.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCRequest, RequestId, jsonrpc_message_adapter
from pydantic import ValidationError

from activities.child_process import ChildProcess
from activities.tools.mcp.bounded_lines import BoundedLines, LongLine
from activities.tools.mcp.faults import Fault
from activities.tools.mcp.unasked import Unasked
from activities.tools.mcp.wire_messages import is_answer, is_of_no_use, number_of, read_message

SUPERVISOR: Final = Path(__file__).with_name("stdio_supervisor.py")
CHUNK: Final = 65_536
MAX_UNASKED_BYTES: Final = 32 * 1024 * 1024
MAX_UNASKED_MESSAGES: Final = 2_000
"""Within a minute, between two answers. A server that sends more is stopped. Each message costs the
package a millisecond; notifications that nothing uses are dropped before it, and not counted."""
IN_A_THREAD: Final = 256 * 1024
"""Bytes of a message from which on it is not parsed on the event loop."""
MAX_STDERR: Final = 4_000
LEAVE_SECONDS: Final = 1.0
"""How long a server may take to end when its standard input is closed."""
KILL_SECONDS: Final = 5.0


class StdioServer:
    """A running server. `ended` is set once it answers no more; `said` is the end of its standard
    error."""

    def __init__(
        self,
        process: ChildProcess,
        stdin: asyncio.StreamWriter,
        stdout: asyncio.StreamReader,
        stderr: asyncio.StreamReader,
    ) -> None:
        self.ended = asyncio.Event()
        self.said = ""
        self.floods = False
        self._process, self._stdin, self._stdout, self._stderr = process, stdin, stdout, stderr
        self._open: set[RequestId] = set()
        """The numbers of requests that have no answer yet."""
        self._send, self.incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        self.outgoing, self._receive = anyio.create_memory_object_stream[SessionMessage](0)

    @property
    def why(self) -> str:
        """How it ended, for people."""
        if self.floods:
            return "it sent too much that is no answer"
        code = self._process.returncode
        return "it closed its output" if code is None else f"it ended with exit code {code}"

    async def read(self) -> None:
        """Hands on messages until the server's output ends, and then drops what still comes."""
        lines, unasked = BoundedLines(), Unasked(MAX_UNASKED_BYTES, MAX_UNASKED_MESSAGES)
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            async with self._send:
                while (chunk := await self._stdout.read(CHUNK)) and not self.floods:
                    unasked.add(len(chunk))
                    for line in lines.feed(chunk):
                        if (message := await _message(line)) is None:
                            continue
                        answers = hasattr(message, "result") or hasattr(message, "error")
                        is_expected = answers and message.id in self._open
                        if is_expected or not answers:
                            await self._send.send(SessionMessage(message))
                        if is_expected:
                            self._open.discard(message.id)
                            unasked.answered()
                        else:
                            unasked.add(0, 1)
                    self.floods = unasked.is_too_much
                with contextlib.suppress(TimeoutError):  # for the exit code
                    await asyncio.wait_for(self._process.wait(), 0.2)
                self.ended.set()
        self.ended.set()
        while await self._stdout.read(CHUNK):
            pass

    async def write(self) -> None:
        """Writes what the session sends."""
        with contextlib.suppress(OSError, anyio.ClosedResourceError):
            async with self._receive:
                async for sent in self._receive:
                    if isinstance(sent.message, JSONRPCRequest):
                        self._open.add(sent.message.id)
                    text = sent.message.model_dump_json(by_alias=True, exclude_unset=True)
                    self._stdin.write(text.encode() + b"\n")
                    await self._stdin.drain()
        self.ended.set()

    async def listen(self) -> None:
        """Keeps the end of standard error, so that a server that writes much there is not held."""
        kept = b""
        while chunk := await self._stderr.read(CHUNK):
            kept = (kept + chunk)[-MAX_STDERR:]
            self.said = kept.decode(errors="replace")

    async def close(self) -> None:
        """Ends the server: politely, and then with everything that it has started."""
        self.incoming.close()
        self.outgoing.close()
        self._stdin.close()
        for end, seconds in (
            (None, LEAVE_SECONDS),
            (self._process.terminate, KILL_SECONDS),
            (self._process.kill, KILL_SECONDS),
        ):
            with contextlib.suppress(TimeoutError):
                if end is not None:
                    end()
                await asyncio.wait_for(self._process.wait(), 0.1 if self.floods else seconds)
                return


@asynccontextmanager
async def stdio_server(
    command: Sequence[str], directory: str, environment: Mapping[str, str]
) -> AsyncIterator[StdioServer]:
    """Starts the server; at the end, none of its processes is left. Raises OSError if no process
    can be started at all."""
    process = ChildProcess(
        (sys.executable, "-I", "-S", str(SUPERVISOR), str(os.getpid()), directory, *command),
        environment,
        stdin=subprocess.PIPE,
        output=subprocess.PIPE,
    )
    try:
        server = StdioServer(process, *await process.pipes())
    except BaseException:
        process.terminate()
        process.close_pipes()
        raise
    tasks = [asyncio.create_task(each()) for each in (server.read, server.write, server.listen)]
    try:
        yield server
    finally:
        closing = asyncio.create_task(server.close())
        try:
            await asyncio.shield(closing)
        finally:
            for task in tasks:
                task.cancel()
            process.close_pipes()


async def _message(line: bytes | LongLine) -> Any:
    if isinstance(line, bytes) and len(line) > IN_A_THREAD:
        return await asyncio.to_thread(_parsed, line)
    return _parsed(line)


def _parsed(line: bytes | LongLine) -> Any:
    found = read_message(line)
    if found is None or is_of_no_use(found):
        return None
    number = number_of(found.get("id")) if is_answer(found) else None
    if number is not None:
        found = {**found, "id": number}
    try:
        return jsonrpc_message_adapter.validate_python(found, by_name=False)
    except (ValidationError, RecursionError):
        if number is None:
            return None
    fault = Fault("unreadable", "the server's answer is no JSON-RPC response")
    error = {"jsonrpc": "2.0", "id": number, "error": fault.error()}
    return jsonrpc_message_adapter.validate_python(error, by_name=False)
