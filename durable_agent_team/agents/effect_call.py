"""One call of a tool that `once` wraps: begun at the gateway, and finished there."""

import json
import logging
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from durable_agent_team.agents import effect_client
from durable_agent_team.agents.effect_client import Team
from durable_agent_team.agents.effect_errors import (
    AttemptSuperseded,
    EffectRefused,
    EffectSkipped,
    EffectsUnavailable,
    EffectUnknown,
    ResultNotKept,
    ToolFailedBefore,
    report_unknown,
)
from durable_agent_team.agents.effect_names import CallNumbers, canonical, check_json

log = logging.getLogger("durable_agent_team.agents")

MAX_RESULT_BYTES = 256 * 1024
MAX_ERROR_TYPE, MAX_ERROR_MESSAGE = 200, 4_000
RESULT_REMEDY = "Return what JSON has: texts, numbers, true, false, None, lists and dicts"
OVER = ("attempt_superseded", "effect_resolved", "effect_of_another_attempt")
"""What the gateway answers to the end of a call that was given up."""


@dataclass
class AttemptState:
    """What this process knows of its attempt's calls."""

    numbers: CallNumbers = field(default_factory=CallNumbers)
    lost: dict[str, str] = field(default_factory=dict)
    """Effects of which it is not known whether they were begun, with the key of that request: the
    tool did not run, so the next equal call repeats the request."""
    abandoned: dict[str, str] = field(default_factory=dict)
    """Calls that were cancelled inside, with the effect's name."""
    unknown: EffectUnknown | None = None
    """After it, no tool of this attempt begins: the model must not look for another way."""


class Run:
    """The tool is to run now."""


class Wait:
    """Another thread or process of this attempt is inside the same call."""


@dataclass
class Kept:
    """The tool is not to run; this is its result."""

    value: Any


@dataclass
class EffectCall:
    """`start`, then `begin` until it does not return `Wait`; if it returns `Run`, then one of
    `done`, `failed`, `not_known` and `abandon`. `start`, `lose` and `abandon` return at once; the
    others block."""

    team: Team
    state: AttemptState
    tool: str
    base: str
    numbered: bool
    idempotent: bool
    skipped_is_none: bool = False
    effect: str = ""
    _number: int = 0
    _request_key: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Raises EffectUnknown."""
        if self.state.unknown is not None:
            raise self.state.unknown
        abandoned = self.state.abandoned.get(self.base)
        if abandoned is not None and not self.idempotent:
            raise self._unknown(
                f"an equal call of {self.tool} was cancelled inside, and may have happened",
                abandoned,
                self.team.attempt,
            )
        self.effect = self.base
        if self.numbered:
            self._number = self.state.numbers.take(self.base)
            self.effect = f"{self.base}.{self._number}"
        self._request_key = self.state.lost.pop(self.effect, "") or uuid.uuid4().hex

    def begin(self) -> "Run | Wait | Kept":
        """Raises what `once` raises before a tool runs."""
        try:
            answer = effect_client.begin(
                self.team,
                self.effect,
                self.tool,
                idempotent=self.idempotent,
                request_key=self._request_key,
            )
        except EffectsUnavailable as error:
            self.lose()
            raise EffectsUnavailable(f"{self.tool} did not run: {error}") from None
        if answer.status == 200:
            return self._begun(answer.body)
        if answer.code == "effect_in_progress":
            return Wait()
        if answer.code == "effect_unknown":
            about = answer.error  # another effect than this one, if that is unknown
            effect = str(about.get("effect", self.effect))
            raise self._unknown(
                answer.message, effect, about.get("attempt", 0), str(about.get("tool", self.tool))
            )
        if answer.code == "attempt_superseded":
            raise AttemptSuperseded(answer.message)
        self._give_back()
        raise EffectRefused(f"{self.tool} did not run: {answer.message}", answer.code)

    def lose(self) -> None:
        """The request to begin was not answered, or nobody waits for its answer any more."""
        if key := self._give_back():
            self.state.lost[self.effect] = key

    def done(self, value: Any) -> Any:
        """Keeps the result, and returns it as the next attempt will get it."""
        try:
            written = result_json(value, self.tool)
        except (TypeError, ResultNotKept) as error:
            self.failed(error)
            raise
        result = json.loads(written)
        self._finish({"state": "done", "result": result})
        return result

    def failed(self, error: Exception) -> None:
        """Keeps the tool's exception."""
        kept = {
            "type": type(error).__name__[:MAX_ERROR_TYPE],
            "message": _plain(str(error))[:MAX_ERROR_MESSAGE],
        }
        self._finish({"state": "failed", "error": kept})

    def not_known(self, error: EffectUnknown) -> EffectUnknown:
        """The tool itself does not know what it has done; or a tool that it called."""
        self._finish({"state": "unknown"})
        if error.effect:
            return error
        return self._unknown(str(error), self.effect, self.team.attempt)

    def abandon(self) -> None:
        """The tool was cancelled inside."""
        self.state.abandoned[self.base] = self.effect

    def _begun(self, body: Mapping[str, Any]) -> "Run | Kept":
        state = body.get("state")
        if state == "done":
            return Kept(body.get("result"))
        if state == "failed":
            error = body.get("error") or {}
            raise ToolFailedBefore(str(error.get("type", "")), str(error.get("message", "")))
        if state == "skipped":
            if self.skipped_is_none:
                return Kept(None)
            raise EffectSkipped(f"A person decided that this call of {self.tool} is not made")
        return Run()

    def _finish(self, body: Mapping[str, Any]) -> None:
        try:
            answer = effect_client.finish(self.team, self.effect, body)
        except EffectsUnavailable as error:
            # The tool ran. An exception would have the model call it again.
            log.warning("what became of %s is not kept: %s", self.effect, error)
            return
        if answer.code in OVER:
            raise AttemptSuperseded(answer.message)
        if answer.status != 200:
            log.warning("what became of %s is not kept: %s", self.effect, answer.message)

    def _unknown(self, message: str, effect: str, attempt: int, tool: str = "") -> EffectUnknown:
        with self._lock:
            error = EffectUnknown(message, effect=effect, tool=tool or self.tool, attempt=attempt)
            report_unknown(error)
            self.state.unknown = error
            return error

    def _give_back(self) -> str:
        """The key of the request; empty if the number was given back before."""
        with self._lock:
            key, self._request_key = self._request_key, ""
            if key and self.numbered:
                self.state.numbers.give_back(self.base, self._number)
            return key


def result_json(value: Any, tool: str) -> str:
    """Raises TypeError or ResultNotKept."""
    ran = f"{tool} ran, but its result is not kept"
    try:
        check_json(value, "the result", RESULT_REMEDY)
    except TypeError as error:
        raise TypeError(f"{ran}: {error}") from None
    written = canonical(value)
    size = len(written.encode())
    if size > MAX_RESULT_BYTES:
        raise ResultNotKept(
            f"{ran}: it has {size} bytes of JSON, more than {MAX_RESULT_BYTES}. Return a reference"
            " to it, such as a file's name"
        )
    return written


def _plain(text: str) -> str:
    return text.encode(errors="replace").decode()
