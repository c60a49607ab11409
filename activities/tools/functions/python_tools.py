"""Functions of a team's own: what they are for a model, and a call of one."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from activities.programs.child_environment import named_variables
from activities.programs.exceptions import ProgramError
from activities.programs.secret_scrubber import SecretScrubber, secrets_of
from activities.programs.staged_modules import StagedModules
from activities.programs.work_directories import WorkDirectories
from activities.tools.called_tool import CalledTool
from activities.tools.exceptions import (
    FUNCTION_CHANGED,
    ToolBroke,
    ToolChanged,
    ToolTimedOut,
    ToolUnreachable,
)
from activities.tools.functions.host_pool import HostPool, NoHostFree
from activities.tools.functions.host_process import HostEnded, HostKey, HostProcess
from durable_agent_team.contracts.tool_box import ToolDefinition
from durable_agent_team.contracts.tool_kinds import PythonTool

START_SECONDS: Final = 60.0
"""For a process that starts, and the imports of its module."""
TRIES: Final = 3
"""Processes that are asked: others may have been kept from before a module changed."""
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]")


class PythonTools:
    """Implements `tool_kinds.Functions`. `worker` is the worker's environment, of which a function
    gets what its team file names."""

    def __init__(
        self,
        directories: WorkDirectories,
        worker: Mapping[str, str],
        modules: StagedModules | None = None,
    ) -> None:
        self._worker = worker
        self._describing: dict[tuple[str, str | None], asyncio.Lock] = {}
        staged = modules or StagedModules(directories)
        self._pool = HostPool(lambda key: HostProcess(key, directories, staged, worker))

    async def describe(self, tool: PythonTool, *, fresh: bool = True) -> ToolDefinition:
        """Its schema, from its signature and docstring; afterwards its process is warm. Without
        `fresh`, as it was when the process was first asked: `call` notices a change. Raises
        `ToolUnreachable`.

        One at a time of a module: an agent's tools, which are listed together, share a process.
        """
        about = (tool.python.partition(":")[0], tool.directory)
        lock = self._describing.setdefault(about, asyncio.Lock())
        async with lock, self._ready(tool, is_kept=not fresh) as (_, _, described):
            return described

    async def call(
        self,
        tool: PythonTool,
        described: ToolDefinition,
        arguments: dict[str, Any],
        key: str,
        timeout_seconds: float,
    ) -> CalledTool:
        """What the function returned, or the exception that it raised. Raises `ToolUnreachable`;
        `ToolChanged` where the function is not what `described` says; `ToolBroke` and
        `ToolTimedOut`, with which it may have had its effect. When this returns, raises or is
        cancelled, nothing of the function runs any more, except for what it has left running of a
        call that returned in time."""
        request = {**_asked(tool), "arguments": arguments, "key": key}
        for attempt in range(TRIES):
            # The first process may have been kept from before a change: then the next is asked.
            async with self._ready(tool, is_kept=not attempt) as (host, scrubber, now):
                if now != described and not attempt:
                    continue
                if now != described:
                    raise ToolChanged(FUNCTION_CHANGED)
                reply = await _result(host, request, timeout_seconds, scrubber)
                if "text" in reply:
                    return CalledTool(scrubber.scrub(reply["text"]))
                if "failed" in reply:
                    return CalledTool(scrubber.scrub_message(reply["failed"]), is_error=True)
                host.is_usable = False  # it has not run: the module has changed
        raise _changes(tool)

    async def close(self) -> None:
        """Ends the processes that wait for a call."""
        await self._pool.close()

    @asynccontextmanager
    async def _ready(
        self, tool: PythonTool, *, is_kept: bool = False
    ) -> AsyncIterator[tuple[HostProcess, SecretScrubber, ToolDefinition]]:
        """A process that has imported the function, and what that is; with `is_kept`, as it was
        when the process was first asked. Raises `ToolUnreachable`: nothing of it was called."""
        variables = self._variables(tool)
        scrubber = SecretScrubber(secrets_of(variables))
        module = tool.python.partition(":")[0]
        key = HostKey(module, tool.directory or "", tuple(sorted(variables.items())))
        for _ in range(TRIES):
            async with self._host(key, tool.python) as host:
                about = (tool.python, tool.key_argument)
                if not is_kept or about not in host.described:
                    reply = await self._described(host, tool, scrubber)
                    if reply is None:
                        continue
                    host.described[about] = _definition(tool, reply)
                yield host, scrubber, host.described[about]
                return
        raise _changes(tool)

    @asynccontextmanager
    async def _host(self, key: HostKey, name: str) -> AsyncIterator[HostProcess]:
        async with AsyncExitStack() as opened:
            try:
                host = await opened.enter_async_context(self._pool.one(key, START_SECONDS))
            except NoHostFree as error:
                raise ToolUnreachable(f"{name}: {error}", final=False) from None
            except OSError as error:
                text = f"{name}: no process can be started ({error.strerror})"
                raise ToolUnreachable(text, final=False) from None
            yield host

    async def _described(
        self, host: HostProcess, tool: PythonTool, scrubber: SecretScrubber
    ) -> dict[str, Any] | None:
        """None where the process was kept from before its module changed."""
        try:
            async with asyncio.timeout(START_SECONDS):
                reply = await host.exchange(_asked(tool))
        except TimeoutError:
            text = f"{tool.python}: its module was not imported within {START_SECONDS:g} s"
            raise ToolUnreachable(text) from None
        except HostEnded as error:
            raise ToolUnreachable(scrubber.scrub_message(f"{tool.python}: {error}")) from None
        if "description" in reply:
            return reply
        host.is_usable = False
        if "refused" in reply:
            raise ToolUnreachable(scrubber.scrub_message(reply["refused"]))
        return None

    def _variables(self, tool: PythonTool) -> dict[str, str]:
        wanted = {name: reference.removeprefix("$") for name, reference in tool.env.items()}
        try:
            return named_variables(wanted, self._worker, "env")
        except ProgramError as error:
            raise ToolUnreachable(f"{tool.python}: {error}") from None


async def _result(
    host: HostProcess, request: Mapping[str, Any], seconds: float, scrubber: SecretScrubber
) -> dict[str, Any]:
    """The reply to a call. Raises `ToolTimedOut` and `ToolBroke`: it may have had its effect."""
    name = request["function"]
    try:
        async with asyncio.timeout(seconds):
            return await host.exchange(request)
    except TimeoutError:
        text = f"{name} had not returned within {seconds:g} s, and was killed"
        raise ToolTimedOut(text, sent=True) from None
    except HostEnded as error:
        raise ToolBroke(scrubber.scrub_message(f"{name}: {error}"), sent=True) from None


def _changes(tool: PythonTool) -> ToolUnreachable:
    return ToolUnreachable(f"{tool.python}: its module changes all the time", final=False)


def _asked(tool: PythonTool) -> dict[str, Any]:
    return {"function": tool.python, "key_argument": tool.key_argument}


def _definition(tool: PythonTool, reply: Mapping[str, Any]) -> ToolDefinition:
    name = _NOT_IN_A_NAME.sub("_", tool.python.rpartition(":")[2])[:64]
    return ToolDefinition(
        name=name, description=reply["description"], parameters=reply["parameters"]
    )
