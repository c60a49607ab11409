"""One call of a tool, whatever its kind: check, reserve, mark, call, settle, cut, keep."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from temporalio import activity

from activities.heartbeats import NotConfirmed, confirm_attempt, time_left
from activities.tools.called_tool import CalledTool
from activities.tools.charge import Charge, Charges
from activities.tools.exceptions import FUNCTION_CHANGED, ToolBroke, ToolChanged, ToolError
from activities.tools.mark import SENT, check_confirmed, mark_sent
from activities.tools.mcp.answers import SessionGone
from activities.tools.mcp.sessions import McpSessions
from activities.tools.tool_kinds import BuiltIns, Functions
from activities.tools.tool_listing import definition_sha256, takes
from activities.tools.tool_spans import trace_context
from durable_agent_team.atxp.sealing import Sealer
from durable_agent_team.blobs.store import BlobsUnreachable
from durable_agent_team.blobs.texts import Texts
from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.text_ref import Text, json_bytes_of
from durable_agent_team.contracts.tool_call import ToolOrder, ToolResult
from durable_agent_team.contracts.tool_kinds import Effects, PythonTool, ServerTools
from durable_agent_team.rules.tools.result_text import head_and_tail

MARGIN_SECONDS: Final = 2.0
"""The part of the activity's time that is kept for what follows the call."""
KEPT_BYTES: Final = 4_096
"""As JSON. A longer result is stored, and its reference travels."""
STORE_SECONDS: Final = 4.0
KEY_IN_META: Final = "durable-agent-team/key"
"""In `_meta`: the key of the call, the same in all attempts. Names of `_meta` have a prefix (MCP
2025-06-18, "_meta")."""
ANEW: Final = "[The session of this tool's server began anew: what it remembered is gone.]"
MAX_SHOWN_ARGUMENTS: Final = 1_000
"""Characters of arguments that a person has changed."""

Call = Callable[[float], Awaitable[CalledTool]]
"""Sends the call, and waits as many seconds for its result."""


class ToolRun:
    """What calls need; `of` makes one."""

    def __init__(
        self,
        sessions: McpSessions,
        functions: Functions,
        built_ins: BuiltIns,
        charges: Charges,
        sealer: Sealer,
        texts: Texts,
    ) -> None:
        self.sessions = sessions
        self.functions = functions
        self.built_ins = built_ins
        self.charges = charges
        self.sealer = sealer
        self.texts = Texts(texts.store, max(texts.least_bytes, KEPT_BYTES))

    def of(self, order: ToolOrder) -> "ToolCallInFlight":
        return ToolCallInFlight(self, order)


class ToolCallInFlight:
    """One attempt. `is_sent`: the tool may run, or have run."""

    def __init__(self, run: ToolRun, order: ToolOrder) -> None:
        self.is_sent = False
        self._run, self._order = run, order
        self._charge = Charge(run.charges, run.sealer, order)
        self._started_at, self._clock = datetime.now(UTC), time.perf_counter()
        self._is_marked = self._has_beaten = False

    @property
    def charged_usd(self) -> Decimal:
        return self._charge.charged_usd

    def beat(self) -> tuple[object, ...]:
        """The details of a heartbeat: none before the mark."""
        self._has_beaten = True
        return self._details()

    def _details(self) -> tuple[object, ...]:
        return (SENT,) if self._is_marked else ()

    async def result(self) -> ToolResult:
        """Raises `ToolError`, and `AtxpError` where the price cannot be reserved."""
        order = self._order
        try:
            async with self._ready() as call:
                if self._charge.has_price:
                    await self._charge.look()
                    await check_confirmed(*self._details())
                    await self._charge.reserve()
                if order.facts.effects is Effects.ONCE:
                    self._check_not_paid()
                    self._is_marked = True
                    await mark_sent(after_heartbeats=self._has_beaten)
                self.is_sent = True
                called = await call(self._seconds())
        except BaseException as error:
            if isinstance(error, ToolError):
                self.is_sent = error.sent
            if not self.is_sent and self._charge.is_begun and await self._still_counts():
                await self._charge.release()
            raise
        await self._charge.settle()
        return await self._result(called)

    def _seconds(self) -> float:
        """How long the tool may take."""
        seconds = self._order.tool.timeout_seconds
        if activity.info().is_local:
            # A local attempt is short, and Temporal has to end it: then it does not count as a
            # failure of the tool, and the run learns that the tool is slow.
            return seconds
        left = time_left(MARGIN_SECONDS) - (time.perf_counter() - self._clock)
        return max(min(seconds, left), 0.1)

    def _check_not_paid(self) -> None:
        """What the account has paid for has run: Temporal may have forgotten it, the ledger has
        not. Only a person lets it run again."""
        if self._charge.was_settled and not self._order.again:
            raise ToolBroke(
                "its account has paid for this call already, and this run has no result of it, as"
                " after a backup of Temporal was restored",
                sent=True,
            )

    async def _still_counts(self) -> bool:
        """An attempt that was given up leaves its charge as it is: the next one has the same, and
        may be inside of the tool."""
        try:
            await confirm_attempt(*self._details())
        except NotConfirmed as error:
            return error.is_cancelled
        return True

    @asynccontextmanager
    async def _ready(self) -> AsyncIterator[Call]:
        """Everything that can be done before anything is sent: connected, and the same tool."""
        order, tool = self._order, self._order.tool
        arguments: dict[str, Any] = json.loads(order.arguments)
        if isinstance(tool, ServerTools):
            async with self._of_server(tool, arguments) as call:
                yield call
        elif isinstance(tool, PythonTool):
            described = await self._run.functions.describe(tool, fresh=False)
            if definition_sha256(described) != order.facts.sha256:
                described = await self._run.functions.describe(tool)
            if definition_sha256(described) != order.facts.sha256:
                raise ToolChanged(FUNCTION_CHANGED)
            yield lambda seconds: self._run.functions.call(
                tool, described, arguments, order.key, seconds
            )
        else:
            yield lambda seconds: self._run.built_ins.call(
                tool, arguments, order.documents, seconds
            )

    @asynccontextmanager
    async def _of_server(self, tool: ServerTools, arguments: dict[str, Any]) -> AsyncIterator[Call]:
        order, server = self._order, self._order.servers[tool.server]
        conversation = order.key.rpartition(":")[0]
        facts = order.facts
        fresh = facts.effects is not Effects.NONE
        listed = self._run.sessions.listed(tool.server, server, conversation, fresh=fresh)
        async with listed as (connection, tools):
            known = tools.get(facts.own_name)
            if known is None or known.sha256 != facts.sha256:
                has = "no longer has" if known is None else "has changed"
                raise ToolChanged(f"the server {has} this tool since the run listed it")
            key = tool.key_argument
            if key is not None and takes(known, key):
                arguments = {**arguments, key: order.key}
            meta = {**trace_context(order), KEY_IN_META: order.key}

            async def call(seconds: float) -> CalledTool:
                called = await connection.call(facts.own_name, arguments, meta, seconds)
                if not server.stateful:
                    return called
                is_new = order.session is not None and order.session != connection.id
                return replace(called, began_anew=is_new, session=connection.id)

            try:
                yield call
            except SessionGone as error:
                connection.retired = True
                raise ToolBroke(f"{error}: the server has forgotten the session") from None

    async def _result(self, called: CalledTool) -> ToolResult:
        """Sets only what differs from the defaults, which keeps the history small."""
        notes = [ANEW] if called.began_anew else []
        if self._order.edited:
            notes.append(edited_note(self._order.arguments))
        whole = "\n".join((*notes, called.text))
        text = head_and_tail(whole, self._order.tool.max_result_bytes, called.left_out)
        kept = await self._kept(text)
        extras: dict[str, Any] = {
            "text" if isinstance(kept, str) else "text_ref": kept,
            "is_error": called.is_error,
            "bytes": len(whole.encode()) + called.left_out if text != whole else 0,
            "session": called.session,
            "charged_usd": self._charge.charged_usd,
            # The history of a local activity does not have its input.
            "key": self._order.key if activity.info().is_local else "",
        }
        return ToolResult(
            started_at=self._started_at,
            seconds=round(time.perf_counter() - self._clock, 4),
            **{name: value for name, value in extras.items() if value},
        )

    async def _kept(self, text: str) -> Text:
        """The reference to it, or the text itself where the store is away: what a tool has done is
        not lost for that."""
        texts = self._run.texts
        if not texts.can_store or json_bytes_of(text) < texts.least_bytes:
            return text
        try:
            return await texts.keep(text, STORE_SECONDS)
        except BlobsUnreachable as error:
            activity.logger.warning("a result is kept in Temporal's history: %s", error)
            return text


def edited_note(arguments: str) -> str:
    """Without it, a model tells of what it asked for, and not of what was done."""
    return f"[A person changed the arguments of this call to {cut(arguments, MAX_SHOWN_ARGUMENTS)}]"
