"""Runs one function as an agent: `python -m durable_agent_team.agents.host module:function`.

Reads the task from standard input, calls the function with an `AgentTask`, and writes what it
returns to standard output: a text as it is, anything else as JSON. Whatever else the process
prints, libraries and C code included, goes to standard error. Exit codes: 0 there is an answer; 1
the function raised an exception, or returned no answer; 75 an effect of an earlier attempt is
unknown (`durable_agent_team.agents.once`); 78 there is no such function.

Standard library only, Python 3.10 or newer.
"""

import asyncio
import importlib
import inspect
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from durable_agent_team.agents.task import AgentTask
from durable_agent_team.agents.tool_result import plain

FAILED = 1
NO_FUNCTION = 78
"""EX_CONFIG of sysexits.h. Another attempt would find no function either."""

NAMED_EXITS = "agent_exit_code"
"""An exception with this attribute says itself what the process exits with."""


class NoFunction(Exception):
    """`module:function` names nothing that can be called."""


class NoAnswer(Exception):
    """The function returned something that is no answer."""


def main(arguments: list[str]) -> NoReturn:
    answers = _redirect_output()
    if len(arguments) != 1:
        _end(NO_FUNCTION, "usage: python -m durable_agent_team.agents.host module:function")
    try:
        task = AgentTask.from_json(sys.stdin.buffer.read())
        function = load_function(arguments[0])
    except NoFunction as error:
        _end(NO_FUNCTION, str(error))
    except ValueError as error:
        _end(FAILED, f"the task on standard input cannot be read: {error}")
    try:
        answer = answer_text(_result(function, task))
    except NoAnswer as error:
        _end(FAILED, f"{arguments[0]} {error}")
    except BaseException as error:
        traceback.print_exc()
        _end(_exit_code(error))
    with os.fdopen(answers, "wb") as out:
        out.write(answer.encode("utf-8", "replace"))
    _end(0)


def load_function(name: str) -> Callable[[AgentTask], Any]:
    """The function that `module:function` names. Raises `NoFunction`."""
    module_name, _, path = name.partition(":")
    if not module_name or not path:
        raise NoFunction(f"{name!r} is not module:function")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            traceback.print_exc()
            raise NoFunction(
                f"the module {module_name!r} needs {error.name!r}, which this environment does not"
                f" have ({sys.executable}): add it to the environment's requirements.lock"
            ) from None
        raise NoFunction(
            f"there is no module {error.name!r} (for {name}): it is searched for in"
            f" {_searched()}, and in the packages of {sys.executable}"
        ) from None
    except Exception as error:
        traceback.print_exc()
        raise NoFunction(
            f"the module {module_name!r} cannot be imported: {type(error).__name__}: {error}"
        ) from None
    for part in path.split("."):
        if not hasattr(found, part):
            raise NoFunction(
                f"the module {module_name!r} ({getattr(found, '__file__', None) or 'built in'}) has"
                f" no {path!r}{_nearest(found)}"
            )
        found = getattr(found, part)
    if not callable(found):
        raise NoFunction(f"{name} is a {type(found).__name__}, not a function of the task")
    function: Callable[[AgentTask], Any] = found
    return function


def answer_text(value: Any) -> str:
    """A text as it is, anything else as JSON: also models of pydantic, dataclasses and dates, in
    whatever they are. Raises `NoAnswer`."""
    if value is None:
        raise NoAnswer("returned None: return the answer, a text or a JSON value")
    if isinstance(value, str):
        if not value.strip():
            raise NoAnswer("returned an empty text")
        return value
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise NoAnswer(
            f"returned a {type(value).__name__} that is neither a text nor a JSON value: {error}"
        ) from None


def _result(function: Callable[[AgentTask], Any], task: AgentTask) -> Any:
    found = function(task)
    if inspect.isawaitable(found):

        async def awaited() -> Any:
            return await found

        return asyncio.run(awaited())
    if inspect.isgenerator(found) or inspect.isasyncgen(found):
        raise NoAnswer("is a generator: return the answer as a whole")
    return found


def _redirect_output() -> int:
    """Makes file descriptor 1 standard error for everything in this process and the processes that
    it starts; returns a descriptor of the standard output, which those do not get."""
    answers = os.dup(1)  # not inheritable
    os.dup2(2, 1)
    return answers


def _exit_code(error: BaseException) -> int:
    code = getattr(error, NAMED_EXITS, None)
    if isinstance(code, int):
        return code
    if isinstance(error, SystemExit) and isinstance(error.code, int) and error.code:
        return error.code
    return FAILED


def _searched() -> str:
    return ", ".join(each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each)


def _nearest(module: Any) -> str:
    functions = [
        name
        for name, each in vars(module).items()
        if inspect.isfunction(each) and each.__module__ == getattr(module, "__name__", None)
    ]
    return f"; its functions: {', '.join(functions[:10])}" if functions else ""


def _end(code: int, message: str = "") -> NoReturn:
    """Ends the process at once: a thread that a framework left running must not keep it."""
    if message:
        print(message, file=sys.stderr)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
