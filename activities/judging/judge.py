"""Judges answers and schemas for the activity of a call, without holding the event loop."""

import asyncio
import json
from collections import Counter, OrderedDict
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

from activities.calls.output_formats import output_schema
from activities.judging.answer_checks import AnswerCheck, reasons_against
from activities.judging.cost_estimate import is_cheap, simple_parts
from activities.judging.exceptions import CheckStopped, InvalidSchema
from activities.judging.judge_process import JudgeProcess
from activities.judging.schemas import WHOLE, check_schema
from durable_agent_team.contracts.call import CallRequest

CHECK_SECONDS = 3.0
MAX_HALVINGS = 3
"""A schema that was stopped gets half of the time from then on, so that it cannot keep the
processes that other runs need."""

PROCESSES = 2
MAX_PARTS_AT_ONCE = 25
"""The most parts of a schema that the worker checks itself: each takes about a millisecond."""

REMEMBERED = 256

SIMPLER = "Answer more briefly and in a simpler shape."


class Judge:
    """Has at most `processes` children, each started when it is first needed."""

    def __init__(self, seconds: float = CHECK_SECONDS, processes: int = PROCESSES) -> None:
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="judge")
        self._idle: SimpleQueue[JudgeProcess] = SimpleQueue()
        for _ in range(processes):
            self._idle.put(JudgeProcess())
        self._stopped: Counter[str | None] = Counter()
        self._prepared: OrderedDict[str, None] = OrderedDict()
        """Schemas that were checked themselves, which takes longer than to check an answer."""

    async def prepare(self, call: CallRequest) -> None:
        """Tries the output's schema before anything is paid. Raises `InvalidSchema`."""
        schema_text = _schema_text(call)
        if schema_text is None or call.output == "findings":
            return
        try:
            await self._try(schema_text)
        except CheckStopped:
            raise InvalidSchema(
                f"the task's `output` takes longer to check than {self._seconds:g} s or too"
                " much memory, whatever the answer; make it smaller in the team file, with"
                " fewer `$ref`s and alternatives"
            ) from None

    async def _try(self, schema_text: str) -> None:
        """Once: a schema that is none would make the check of an answer raise anything. Raises
        `InvalidSchema` and `CheckStopped`."""
        if schema_text in self._prepared:
            return
        if (simple_parts(schema_text) or MAX_PARTS_AT_ONCE + 1) <= MAX_PARTS_AT_ONCE:
            check_schema(schema_text)
        else:
            await self._ask(schema_text, schema_text)
        self._remember(schema_text)

    def _remember(self, schema_text: str) -> None:
        self._prepared[schema_text] = None
        if len(self._prepared) > REMEMBERED:
            self._prepared.popitem(last=False)

    async def reasons(self, call: CallRequest, answer: str) -> tuple[str, ...]:
        """Why this answer may not be handed on; empty if it may. Raises `InvalidSchema`."""
        await self.prepare(call)
        check = answer_check(call, answer)
        if is_cheap(check):
            return reasons_against(check)
        try:
            reply = await self._ask(check, check.schema_text)
        except CheckStopped:
            return (
                f"The answer could not be checked within {self._seconds:g} s and its limit of"
                f" memory: the task's schema, or its number of quotes, is too costly. {SIMPLER}",
            )
        return tuple(reply["reasons"])

    async def argument_reasons(self, schema: Any, arguments: str) -> tuple[str, ...]:
        """Why a tool would not take these arguments, a JSON object; empty if it would. A schema
        that is none, or too costly, is left to the tool itself."""
        try:
            schema_text = json.dumps(schema, sort_keys=True)
            check = AnswerCheck(answer=arguments, schema_text=schema_text)
            await self._try(schema_text)
            if is_cheap(check):
                reasons = reasons_against(check)
            else:
                reasons = (await self._ask(check, check.schema_text))["reasons"]
        except (InvalidSchema, CheckStopped, ValueError, RecursionError):
            return ()
        return tuple(each.replace(f"At {WHOLE}:", "At the arguments:", 1) for each in reasons)

    def close(self) -> None:
        """Kills the children. Checks that run end as stopped."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        while not self._idle.empty():
            self._idle.get_nowait().kill()

    async def _ask(self, request: AnswerCheck | str, schema_text: str | None) -> dict[str, Any]:
        halvings = min(self._stopped[schema_text], MAX_HALVINGS)
        seconds = self._seconds / 2**halvings
        loop = asyncio.get_running_loop()
        try:
            reply = await loop.run_in_executor(self._threads, self._in_child, request, seconds)
        except CheckStopped:
            if len(self._stopped) > REMEMBERED:
                self._stopped.clear()
            self._stopped[schema_text] += 1
            raise
        if "invalid_schema" in reply:
            raise InvalidSchema(reply["invalid_schema"])
        if "unexpected" in reply:
            raise RuntimeError(f"the check raised {reply['unexpected']}")
        return reply

    def _in_child(self, request: AnswerCheck | str, seconds: float) -> dict[str, Any]:
        process = self._idle.get()
        try:
            return process.ask(request, seconds)
        finally:
            self._idle.put(process)


def answer_check(call: CallRequest, answer: str) -> AnswerCheck:
    """What decides on this answer to this call."""
    checks = call.checks
    quoted = checks.quotes_exist_in == "inputs"
    return AnswerCheck(
        answer=answer,
        schema_text=_schema_text(call),
        sources=tuple(source.text for source in call.sources) if quoted else None,
        min_length=checks.min_length,
        max_length=checks.max_length,
    )


def _schema_text(call: CallRequest) -> str | None:
    schema = None
    if not call.checked_by_workflow:
        schema = output_schema(call.output)
    if schema is None:
        return None
    try:
        return json.dumps(schema, sort_keys=True)
    except (ValueError, RecursionError):
        raise InvalidSchema(
            "the task's `output` is nested too deeply; make it flatter in the team file"
        ) from None
