"""Carries out calls of functions that are tools of an agent, one at a time:

    python -m durable_agent_team.agents.tool_host SOCKET DIRECTORY

SOCKET is the number of a socket to the worker: requests and replies are JSON, each after its length
in four bytes. Whatever the process prints, libraries and C code included, goes to standard error,
so that nothing of it is read as a reply. The worker starts one process for each call that runs at
the same time, keeps it for the next one, and kills it, with its children, when a call takes too
long. DIRECTORY is where the functions' modules are: after one of them has changed, the process
refuses to continue (`stale`), and the worker starts another.

Standard library only, Python 3.10 or newer.
"""

import asyncio
import inspect
import json
import os
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from durable_agent_team.agents.argument_limits import ArgumentError
from durable_agent_team.agents.host import NoFunction, load_function
from durable_agent_team.agents.module_watch import ModuleWatch
from durable_agent_team.agents.tool_key import set_call_key
from durable_agent_team.agents.tool_result import NoResult, error_text, result_text
from durable_agent_team.agents.tool_signature import NoTool, ToolSignature

LENGTH_BYTES = 4


@dataclass(frozen=True)
class _Tool:
    function: Callable[..., Any]
    signature: ToolSignature


class ToolHost:
    """Replies to requests; `directory` is watched for changes."""

    def __init__(self, directory: str) -> None:
        self._tools: dict[tuple[str, str | None], _Tool] = {}
        self._watch = ModuleWatch(directory)
        self._loop: asyncio.AbstractEventLoop | None = None

    def reply(self, request: dict[str, Any]) -> dict[str, Any]:
        """`refused`: there is no such tool, nothing ran; `failed`: what the model gets as an error;
        `stale`: ask a new process."""
        if self._watch.has_changed():
            return {"stale": True}
        try:
            tool = self._tool(request["function"], request.get("key_argument"))
        except (NoFunction, NoTool) as error:
            return {"refused": str(error)[:4_000]}
        except BaseException as error:  # of a module that ends the process when it is imported
            return {"refused": f"{request['function']} cannot be imported: {error_text(error)}"}
        finally:
            self._watch.look()
        if "arguments" not in request:
            return {
                "description": tool.signature.description,
                "parameters": tool.signature.schema(),
            }
        try:
            return {"text": self._called(tool, request["arguments"], request["key"])}
        except ArgumentError as error:
            return {"failed": f"the arguments are wrong: {error}"[:4_000]}
        except NoResult as error:
            return {"failed": str(error)[:4_000]}
        except BaseException as error:
            traceback.print_exc()
            return {"failed": error_text(error)}
        finally:
            self._watch.look()

    def _tool(self, name: str, key_argument: str | None) -> _Tool:
        found = self._tools.get((name, key_argument))
        if found is None:
            function = load_function(name)
            try:
                found = _Tool(function, ToolSignature(function, key_argument))
            except NoTool as error:
                raise NoTool(f"{name} cannot be a tool: {error}") from None
            self._tools[name, key_argument] = found
        return found

    def _called(self, tool: _Tool, arguments: dict[str, Any], key: str) -> str:
        positional, named = tool.signature.bound(arguments, key)
        set_call_key(key)
        value = tool.function(*positional, **named)
        if inspect.isawaitable(value):
            value = self._awaited(value)
        elif inspect.isgenerator(value) or inspect.isasyncgen(value):
            raise NoResult("it is a generator: it has to return its result as a whole")
        return result_text(value)

    def _awaited(self, found: Any) -> Any:
        """One event loop for all calls: what a module keeps open belongs to it."""

        async def awaited() -> Any:
            return await found

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        return self._loop.run_until_complete(awaited())


def serve(connection: socket.socket, host: ToolHost) -> None:
    """Until the other side closes the connection."""
    with connection.makefile("rwb") as stream:
        while len(length := stream.read(LENGTH_BYTES)) == LENGTH_BYTES:
            request = json.loads(stream.read(int.from_bytes(length, "big")))
            reply = json.dumps(host.reply(request)).encode()
            stream.write(len(reply).to_bytes(LENGTH_BYTES, "big") + reply)
            stream.flush()


def main(arguments: list[str]) -> None:
    number, directory = arguments
    connection = socket.socket(fileno=int(number))
    connection.set_inheritable(False)
    os.dup2(2, 1)
    try:
        serve(connection, ToolHost(directory))
    finally:
        sys.stderr.flush()
        os._exit(0)  # a thread that a library left running must not keep the process


if __name__ == "__main__":
    main(sys.argv[1:])
