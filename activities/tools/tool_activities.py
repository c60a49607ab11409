"""The activities of tools: what an agent has, and one call."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Final

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.error_translation import translated
from activities.heartbeats import earlier_spend, heartbeating, heartbeating_with
from activities.labelling import label_activity
from activities.tools.charge import Charges, ended_charge
from activities.tools.mcp.sessions import McpSessions
from activities.tools.tool_call import ToolRun
from activities.tools.tool_errors import tool_error
from activities.tools.tool_kinds import BuiltIns, Functions
from activities.tools.tool_listing import ToolListing
from activities.tools.tool_spans import tool_span
from durable_agent_team.atxp.sealing import Sealer
from durable_agent_team.blobs.texts import Texts
from durable_agent_team.contracts.activity_interfaces import ToolActivities
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.telemetry_labels import AGENT
from durable_agent_team.contracts.text_ref import TextRef
from durable_agent_team.contracts.tool_box import ToolBox
from durable_agent_team.contracts.tool_call import (
    ChargeEnd,
    ChargeEnded,
    ListTools,
    ToolFailure,
    ToolOrder,
    ToolResult,
)
from durable_agent_team.contracts.tool_kinds import Effects

AT_ONCE: Final = timedelta(milliseconds=100)


class Tools(ToolActivities):
    """Does not retry: the type of an error, and whether the call was sent, decide."""

    def __init__(
        self,
        sessions: McpSessions,
        functions: Functions,
        built_ins: BuiltIns,
        charges: Charges,
        sealer: Sealer,
        texts: Texts,
    ) -> None:
        """`texts` keeps results and definitions above a threshold."""
        self._listing = ToolListing(sessions, functions, built_ins)
        self._run = ToolRun(sessions, functions, built_ins, charges, sealer, texts)
        self._charges = charges
        self._sealer = sealer
        self._texts = texts

    @activity.defn
    async def list_tools(self, wanted: ListTools) -> ToolBox:
        """What an agent's servers, functions and built-in tools are. May be repeated."""
        label_activity({AGENT: wanted.agent})
        about = f"the tools of {wanted.agent}"
        try:
            with _translated(about):
                async with heartbeating():
                    box = await self._listing.box(wanted)
                    assert isinstance(box.definitions, str)
                    kept = await self._texts.keep(box.definitions)
        except asyncio.CancelledError:
            _raise_if_stopped(about, ToolFailure())
            raise
        return box.model_copy(update={"definitions": kept}) if isinstance(kept, TextRef) else box

    @activity.defn
    async def call_tool(self, order: ToolOrder) -> ToolResult:
        """One call. What the tool itself reports as an error is a result. Every error of the
        activity carries a `ToolFailure`, which says whether the tool may have run.

        Before a tool with `effects: once` is called, the activity makes the heartbeat
        `["sent"]` through the server, and waits for its answer: an attempt that the server has
        given up sends nothing.
        """
        call = self._run.of(order)
        with tool_span(order) as attempt:
            try:
                async with heartbeating_with(call.beat):
                    return attempt.answered(await call.result())
            except asyncio.CancelledError:
                _raise_for_cancellation(order, call.is_sent, call.charged_usd)
                raise
            except Exception as error:
                raise tool_error(
                    error,
                    order.facts.source,
                    order.facts.effects,
                    call.charged_usd,
                    sent=call.is_sent,
                ) from None

    @activity.defn
    async def end_charge(self, end: ChargeEnd) -> ChargeEnded:
        """Settles or releases the price of a call that a person has decided about. May be
        repeated."""
        label_activity({AGENT: end.account.agent})
        with translated(earlier_spend()):
            async with heartbeating():
                charged = await ended_charge(self._charges, self._sealer, end)
        return ChargeEnded(charged_usd=charged)


def _raise_for_cancellation(order: ToolOrder, is_sent: bool, charged_usd: Decimal) -> None:
    """Raises an error if the tool may have had its effect, since a cancellation has no details; or
    one that lets another worker make the call, if this one stops. Otherwise returns."""
    failure = ToolFailure(sent=is_sent, charged_usd=charged_usd)
    if is_sent and order.facts.effects is Effects.ONCE:
        raise ApplicationError(
            f"{order.facts.source}: it may have run: the call was cancelled after it was sent",
            failure,
            type=ErrorType.EFFECT_UNKNOWN.value,
            non_retryable=True,
        ) from None
    _raise_if_stopped(order.facts.source, failure)


def _raise_if_stopped(about: str, failure: ToolFailure) -> None:
    """If this worker is shutting down, raises an error that lets another worker take over."""
    details = activity.cancellation_details()
    if details is not None and details.worker_shutdown:
        raise ApplicationError(
            f"{about}: this worker was shut down; another one continues",
            failure,
            type=ErrorType.WORKER_LOST.value,
            next_retry_delay=AT_ONCE,
        ) from None


@contextmanager
def _translated(about: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        found = error
        while isinstance(found, ExceptionGroup):
            found = found.exceptions[0]
        raise tool_error(found, about, Effects.NONE, Decimal(0), sent=False) from None
