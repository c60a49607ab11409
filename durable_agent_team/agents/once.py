"""`@once`: what a tool does to the world is done once for each call, or a person decides.

>>> @once
... def refund(order: str, cents: int) -> str:
...     return shop.refund(order, cents)

The gateway keeps the result under the scope of this work, so that an attempt after a crash gets it,
and the tool does not run again. docs/effects.md has what happens at each crash.
"""

import asyncio
import contextvars
import functools
import hashlib
import inspect
import json
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec, TypeVar, overload

from durable_agent_team.agents.effect_call import (
    AttemptState,
    EffectCall,
    Kept,
    Run,
    Wait,
    result_json,
)
from durable_agent_team.agents.effect_client import VARIABLES, Team, team_of
from durable_agent_team.agents.effect_errors import EffectUnknown, OutsideOfTeam
from durable_agent_team.agents.effect_names import (
    arguments_of,
    base_name,
    canonical,
    check_json,
    tool_name,
)
from durable_agent_team.agents.tool_key import call_key

log = logging.getLogger("durable_agent_team.agents")

P = ParamSpec("P")
R = TypeVar("R")
Function = Callable[..., Any]

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Between two looks at a call that another thread of this attempt is inside of."""

_STATES: dict[Team, AttemptState] = {}
_KEY: contextvars.ContextVar[str] = contextvars.ContextVar("once_idempotency_key")
_said: list[bool] = []


@dataclass(frozen=True)
class _Tool:
    function: Function
    signature: inspect.Signature
    name: str
    key: Function | None
    idempotent: bool
    strict: bool
    on_skip: Literal["raise", "none"]

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> EffectCall | None:
        """The call, not started yet; None outside of a team. Raises TypeError, OutsideOfTeam."""
        if self.key is None:
            arguments = arguments_of(self.signature, self.name, args, kwargs)
        else:
            value = self.key(*args, **kwargs)
            check_json(value, f"what `key` of the tool {self.name} returns", "Return JSON")
            arguments = canonical({"key": value})
        team = team_of()
        if team is None:
            _say_outside(self)
            return None
        return EffectCall(
            team,
            _STATES.setdefault(team, AttemptState()),
            self.name,
            base_name(self.name, arguments),
            numbered=self.key is None,
            idempotent=self.idempotent,
            skipped_is_none=self.on_skip == "none",
        )


@overload
def once(function: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def once(
    *,
    name: str | None = None,
    key: Function | None = None,
    idempotent: bool = False,
    strict: bool = False,
    on_skip: Literal["raise", "none"] = "raise",
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def once(
    function: Function | None = None,
    /,
    *,
    name: str | None = None,
    key: Function | None = None,
    idempotent: bool = False,
    strict: bool = False,
    on_skip: Literal["raise", "none"] = "raise",
) -> Any:
    """Wraps a function or a method, `async` or not, whose arguments and result JSON has.

    A call is known by the tool's `name` (by default the function's, with its module), its
    arguments, and the number of equal calls before it in this attempt. With `key`, a function of
    the same arguments, it is known by what that returns, and equal keys are one call.

    The next attempt gets the result, or `ToolFailedBefore` with the text of the tool's exception.
    If an attempt died inside, `EffectUnknown` ends the program, and a person decides; with
    `idempotent`, the tool runs again (`idempotency_key` is the same then). After the decision to
    skip, a call raises `EffectSkipped`, or returns None with `on_skip="none"`.

    Outside of a team the function runs each time, and with `strict` raises `OutsideOfTeam`.
    """

    def wrap(wrapped: Function) -> Function:
        if isinstance(wrapped, (staticmethod, classmethod)):
            raise TypeError(f"once: put @once below @{type(wrapped).__name__}")
        if not callable(wrapped) or inspect.isclass(wrapped):
            raise TypeError(f"once: {wrapped!r} is not a function")
        if inspect.isgeneratorfunction(wrapped) or inspect.isasyncgenfunction(wrapped):
            raise TypeError(f"once: {wrapped.__qualname__} is a generator; return one result")
        if on_skip not in ("raise", "none"):
            raise TypeError(f'once: `on_skip` must be "raise" or "none"; got {on_skip!r}')
        signature = inspect.signature(wrapped)
        tool = _Tool(wrapped, signature, tool_name(wrapped, name), key, idempotent, strict, on_skip)
        return _async(tool) if inspect.iscoroutinefunction(wrapped) else _sync(tool)

    return wrap if function is None else wrap(function)


def idempotency_key() -> str:
    """Inside of a tool that `once` wraps: a key for the request that it makes, 64 hexadecimal
    digits. It is the same in each attempt, so that the other side can recognise the request. In a
    function that is a tool of an agent it is made from the key of the call; elsewhere, it is a new
    one each time."""
    return _KEY.get("") or _new_key()


def _sync(tool: _Tool) -> Function:
    @functools.wraps(tool.function)
    def call_once(*args: Any, **kwargs: Any) -> Any:
        call = tool.call(args, kwargs)
        if call is None:
            return json.loads(result_json(_run(tool, _new_key(tool.name), args, kwargs), tool.name))
        call.start()
        pause = FIRST_PAUSE
        while isinstance(step := call.begin(), Wait):
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        if isinstance(step, Kept):
            return step.value
        try:
            value = _run(tool, _key_of(call), args, kwargs)
        except EffectUnknown as error:
            raise call.not_known(error) from None
        except Exception as error:
            call.failed(error)
            raise
        except BaseException:
            call.abandon()
            raise
        return call.done(value)

    return call_once


def _async(tool: _Tool) -> Function:
    @functools.wraps(tool.function)
    async def call_once(*args: Any, **kwargs: Any) -> Any:
        call = tool.call(args, kwargs)
        if call is None:
            value = await _run(tool, _new_key(tool.name), args, kwargs)
            return json.loads(result_json(value, tool.name))
        call.start()
        step = await _begin(call)
        if isinstance(step, Kept):
            return step.value
        try:
            value = await _run(tool, _key_of(call), args, kwargs)
        except EffectUnknown as error:
            raise await _in_thread(call.not_known, error) from None
        except Exception as error:
            await _in_thread(call.failed, error)
            raise
        except BaseException:
            call.abandon()
            raise
        return await _in_thread(call.done, value)

    return call_once


async def _begin(call: EffectCall) -> Run | Kept:
    pause = FIRST_PAUSE
    try:
        while isinstance(step := await _in_thread(call.begin), Wait):
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
    except asyncio.CancelledError:
        call.lose()
        raise
    return step


def _run(tool: _Tool, key: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Calls the function, which finds its key. An async one takes it along in its context."""
    token = _KEY.set(key)
    try:
        if not inspect.iscoroutinefunction(tool.function):
            return tool.function(*args, **kwargs)
        return _awaited(tool.function(*args, **kwargs), key)
    finally:
        _KEY.reset(token)


async def _awaited(coroutine: Awaitable[R], key: str) -> R:
    token = _KEY.set(key)
    try:
        return await coroutine
    finally:
        _KEY.reset(token)


async def _in_thread(function: Callable[..., R], *args: Any) -> R:
    """So that the event loop continues. Other loops than asyncio's (trio) have to wait."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return function(*args)
    return await asyncio.to_thread(function, *args)


def _key_of(call: EffectCall) -> str:
    return hashlib.sha256(f"{call.team.scope}/{call.effect}".encode()).hexdigest()


def _new_key(tool: str = "") -> str:
    """Outside of a team: of the call of an agent's tool that is carried out, otherwise random."""
    key = call_key()
    return hashlib.sha256(f"{key}/{tool}".encode() if key else uuid.uuid4().bytes).hexdigest()


def _say_outside(tool: _Tool) -> None:
    what = f"outside of a team ({', '.join(VARIABLES)} are not set)"
    if tool.strict:
        raise OutsideOfTeam(f"{tool.name} did not run: {what}, and `once` is strict")
    if not _said:
        _said.append(True)
        log.warning("once: %s, so tools run each time that they are called", what)


__all__ = ["idempotency_key", "once"]
