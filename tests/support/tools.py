"""A fake world with tools: a scripted model that calls them, and a worker that forgets."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.activity_interfaces import ToolActivities
from durable_agent_team.contracts.arguments_check import ArgumentsCheck, ArgumentsVerdict
from durable_agent_team.contracts.call import AttemptSpend, CallRequest, CallResult
from durable_agent_team.contracts.conversation import Entry, ToolCall, Turn
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.tool_box import ToolBox, ToolDefinition, ToolFacts
from durable_agent_team.contracts.tool_call import (
    ChargeEnd,
    ChargeEnded,
    ListTools,
    ToolOrder,
    ToolResult,
)
from durable_agent_team.contracts.tool_kinds import Effects, Tool
from durable_agent_team.rules.tools.conversation_forms import in_whole_form
from tests.support.fakes import FakeWorld

Said = str | Turn
Tooling = Callable[[ToolOrder], Awaitable[str | ToolResult] | str | ToolResult]

ANY = {"type": "object", "properties": {}, "additionalProperties": True}


class ToolWorld(FakeWorld, ToolActivities):
    """`says` gives what the model says to a request in its whole form: an answer, or a turn.

    `forgets` is asked before each call whether the worker has lost all conversations.
    """

    def __init__(
        self,
        says: Callable[[CallRequest], Said],
        tool: Tooling = lambda order: f"result of {order.key.split(':')[1]}",
        forgets: Callable[[CallRequest], bool] = lambda call: False,
    ) -> None:
        super().__init__(self._turn)
        self.says, self.tool, self.forgets = says, tool, forgets
        self.orders: list[ToolOrder] = []
        self.listed: list[ListTools] = []
        self.wholes: list[CallRequest] = []
        """Each request that reached the model, in its whole form."""
        self.misses = 0
        self.price_usd: Decimal | None = None
        """Of each call of a tool, which is booked as it ends."""
        self.ended_charges: list[ChargeEnd] = []
        self._known: dict[str, CallRequest] = {}

    @property
    def activities(self) -> list[Any]:
        own = [self.list_tools, self.call_tool, self.end_charge, self.check_arguments]
        return [*super().activities, *own]

    @activity.defn
    async def list_tools(self, wanted: ListTools) -> ToolBox:
        self.listed.append(wanted)
        return box_of(wanted.tools)

    @activity.defn
    async def call_tool(self, order: ToolOrder) -> ToolResult:
        self.orders.append(order)
        said = self.tool(order)
        if asyncio.iscoroutine(said):
            said = await said
        result = said if isinstance(said, ToolResult) else tool_result(str(said))
        if self.price_usd is None:
            return result
        self.books[order.agent].charges[order.key] = self.price_usd
        return result.model_copy(update={"charged_usd": self.price_usd})

    @activity.defn
    async def end_charge(self, end: ChargeEnd) -> ChargeEnded:
        """As a gateway: what is reserved under the key is settled or released."""
        self.ended_charges.append(end)
        book = self.books[end.account.agent]
        if end.settle:
            book.charges[end.key] = end.amount_usd
        return ChargeEnded(charged_usd=end.amount_usd if end.settle else Decimal(0))

    @activity.defn
    async def check_arguments(self, check: ArgumentsCheck) -> ArgumentsVerdict:
        """Wants a number where an `amount` is given."""
        amount = json.loads(check.arguments).get("amount", 0)
        good = isinstance(amount, int | float)
        return ArgumentsVerdict(problem="" if good else "amount: a number is expected")

    def entries(self, task: str) -> tuple[Entry, ...]:
        """All of the task's last request to the model."""
        last = [each for each in self.wholes if each.task == task][-1]
        assert last.conversation is not None
        return last.conversation.entries

    def _turn(self, call: CallRequest) -> CallResult | None:
        if call.conversation is None:
            return None
        whole = self._whole(call)
        self.wholes.append(whole)
        said = self.says(whole)
        if isinstance(said, Turn):
            return self.answer(call, "").model_copy(update={"turn": said})
        return self.answer(call, said)

    def _whole(self, call: CallRequest) -> CallRequest:
        part = call.conversation
        assert part is not None
        if self.forgets(call):
            self._known.clear()
        if part.base is not None:
            head = self._known.get(part.base)
            if head is None or head.conversation is None:
                self.misses += 1
                raise unknown_base()
            call = in_whole_form(call, head, head.conversation.entries, part.entries)
        self._known[part.whole] = call
        return call


def unknown_base() -> ApplicationError:
    return ApplicationError(
        "this worker does not have the conversation",
        AttemptSpend(attempts=1),
        type=ErrorType.UNKNOWN_BASE.value,
        non_retryable=True,
    )


def tool_result(text: str, *, is_error: bool = False) -> ToolResult:
    more = {"is_error": True} if is_error else {}
    return ToolResult(text=text, started_at=datetime.now(UTC), seconds=0.01, **more)


def calls(*named: tuple[str, dict[str, Any]], content: str = "") -> Turn:
    """A turn that calls these tools with these arguments."""
    made = [
        ToolCall(id=f"c{number}", name=name, arguments=json.dumps(arguments))
        for number, (name, arguments) in enumerate(named, start=1)
    ]
    return Turn(content=content, calls=tuple(made)) if content else Turn(calls=tuple(made))


def box_of(tools: Sequence[Tool], schemas: dict[str, Any] | None = None) -> ToolBox:
    """One tool for each entry, named by its function or its place."""
    facts, definitions = [], []
    for entry, tool in enumerate(tools):
        own = getattr(tool, "python", getattr(tool, "built_in", f"tool{entry}"))
        name = str(own).partition(":")[2] or str(own)
        parameters = (schemas or {}).get(name, ANY)
        definition = ToolDefinition(name=name, description=f"Does {name}.", parameters=parameters)
        definitions.append(definition.model_dump())
        facts.append(
            ToolFacts(
                name=name,
                entry=entry,
                own_name=name,
                source=str(own),
                effects=tool.effects or Effects.ONCE,
                sha256=_sha256(json.dumps(definition.model_dump(), sort_keys=True)),
            )
        )
    text = json.dumps(definitions)
    return ToolBox(tools=tuple(facts), definitions=text, sha256=_sha256(text))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
