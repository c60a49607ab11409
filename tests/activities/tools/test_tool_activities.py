"""The two activities, over real servers and fakes of the other kinds."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio.activity import ActivityCancellationDetails
from temporalio.client import AsyncActivityCancelledError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.tools.called_tool import CalledTool
from activities.tools.exceptions import ToolBroke, ToolTimedOut, ToolUnreachable
from activities.tools.mcp.sessions import McpSessions
from activities.tools.tool_activities import Tools
from activities.tools.tool_call import ANEW, KEY_IN_META
from activities.tools.tool_listing import _check_amount
from durable_agent_team.atxp.account_api import AtxpAccounts
from durable_agent_team.atxp.exceptions import ProviderRefused, Unreachable
from durable_agent_team.atxp.httpx_client import HttpxClient
from durable_agent_team.atxp.tool_charges import ToolCharge, ToolCharges
from durable_agent_team.blobs.store import NoBlobs
from durable_agent_team.blobs.texts import Texts
from durable_agent_team.contracts.call import AccountRef
from durable_agent_team.contracts.text_ref import TextRef
from durable_agent_team.contracts.tool_box import ToolBox
from durable_agent_team.contracts.tool_call import ChargeEnd, ToolFailure, ToolOrder, ToolResult
from durable_agent_team.contracts.tool_kinds import (
    ApprovalRule,
    BuiltInTool,
    CommandServer,
    Effects,
    PythonTool,
    ServerTools,
    ToolServer,
    UrlServer,
)
from tests.activities.support import SEALER, FakeClient, context
from tests.activities.tools.hostile_http import hostile_http
from tests.activities.tools.support import (
    FakeBuiltIns,
    FakeFunctions,
    Rooms,
    fact,
    hostile,
    order,
    wanted,
)
from tests.support.gateway import running_gateway
from tests.support.memory_blobs import MemoryBlobs
from tests.support.upstream import ScriptedUpstream

PRICE = Decimal("0.25")
REFUND = PythonTool(python="shop.tools:refund")
ABOVE: dict[str, Any] = {
    "approve": ApprovalRule.ABOVE_USD,
    "above_usd": Decimal(5),
    "amount": "usd",
}


@pytest.fixture
async def rooms() -> AsyncIterator[Rooms]:
    opened = McpSessions({"PATH": os.environ["PATH"]})
    yield Rooms(opened)
    await opened.close()


class SlowFunctions(FakeFunctions):
    """Returns when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.is_inside, self.may_return = asyncio.Event(), asyncio.Event()

    async def call(self, *given: Any, **more: Any) -> CalledTool:
        self.is_inside.set()
        await self.may_return.wait()
        return await super().call(*given, **more)


class StandsStill(ToolCharges):
    """As the process does before the request `at` is sent, once, while `meanwhile` happens."""

    def __init__(self, http: HttpxClient, url: str, at: str) -> None:
        super().__init__(http, url)
        self.at = at
        self.meanwhile: Callable[[], Awaitable[object]] = never

    async def _send(
        self, method: str, url: str, key: SecretStr, order: Any = None, revision: int | None = None
    ) -> ToolCharge:
        if method == "POST" and url.endswith(self.at):
            self.at = "done"
            await self.meanwhile()
        return await super()._send(method, url, key, order, revision)


async def never() -> None:
    pytest.fail("not set")


@dataclass
class Paying:
    """The activities at a real gateway. The worker `first` stands still before a request."""

    rooms: Rooms
    accounts: AtxpAccounts
    given: ToolOrder
    still: StandsStill
    first: Tools
    second: Tools
    slow: SlowFunctions

    @property
    def account(self) -> AccountRef:
        assert self.given.account is not None
        return self.given.account

    async def run(self, of: Tools, client: FakeClient | None = None) -> ToolResult:
        environment = context(client=client or FakeClient())
        result = await environment.run(of.call_tool, self.given)
        assert isinstance(result, ToolResult)
        return result

    async def end(self, settle: bool) -> None:
        """A person decides."""
        end = ChargeEnd(account=self.account, key=self.given.key, amount_usd=PRICE, settle=settle)
        await context().run(self.second.end_charge, end)

    async def reserved(self) -> Decimal:
        return (await self.accounts.read(self.account.account_id)).reserved_usd

    async def paid(self) -> list[tuple[str | None, Decimal]]:
        lines = await self.accounts.charges(self.account.account_id)
        return [(line.idempotency_key, line.amount_usd) for line in lines]


@asynccontextmanager
async def paying_for(rooms: Rooms, at: str) -> AsyncIterator[Paying]:
    async with (
        ScriptedUpstream([]) as upstream,
        running_gateway(upstream.url) as gateway,
        HttpxClient() as http,
    ):
        accounts = AtxpAccounts(http, gateway.base_url, SecretStr(gateway.parent_key))
        opened = await accounts.open("clerk", Decimal(1), "open")
        still, slow = StandsStill(http, gateway.base_url, at), SlowFunctions()
        first, second = (
            Tools(McpSessions({}), functions, FakeBuiltIns(), charges, SEALER, Texts(NoBlobs()))
            for functions, charges in (
                (rooms.functions, still),
                (slow, ToolCharges(http, gateway.base_url)),
            )
        )
        sealed = SEALER.seal(opened.api_key, opened.account_id)
        ref = AccountRef(agent="clerk", account_id=opened.account_id, sealed_key=sealed)
        given = (await refunding(rooms, price_usd=PRICE)).model_copy(update={"account": ref})
        yield Paying(rooms, accounts, given, still, first, second, slow)


async def boxed(rooms: Rooms, *tools: Any, **servers: ToolServer) -> ToolBox:
    return await rooms.box(wanted(*tools, servers=dict(servers)))


async def ordered(
    rooms: Rooms, name: str, tool: ServerTools, server: CommandServer, **changes: Any
) -> ToolOrder:
    box = await boxed(rooms, tool, **{tool.server: server})
    value = changes.pop("value", "")
    given = json.dumps({"value": str(value)})
    return order(fact(box, name), tool, server, arguments=given, **changes)


async def refunding(rooms: Rooms, **changes: Any) -> ToolOrder:
    tool = REFUND.model_copy(update=changes)
    box = await boxed(rooms, tool)
    return order(box.tools[0], tool, arguments='{"order": 7}')


def failure_of(error: ApplicationError) -> ToolFailure:
    assert isinstance(error.details[0], ToolFailure)
    return error.details[0]


async def failing(rooms: Rooms, given: ToolOrder, **about: Any) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await rooms.call(given, **about)
    assert failure_of(caught.value).model_dump()
    return caught.value


async def test_a_box_has_the_tools_of_every_kind_in_the_order_of_the_entries(rooms: Rooms) -> None:
    shop = ServerTools(server="shop", only=("echo", "effect"))
    twin = ServerTools(server="twin", only=("echo",), effects=Effects.NONE)
    box = await boxed(
        rooms, BuiltInTool(built_in="calculate"), shop, twin, REFUND, shop=hostile(), twin=hostile()
    )
    assert [(each.name, each.source, each.entry, each.effects) for each in box.tools] == [
        ("calculate", "calculate", 0, Effects.NONE),
        ("shop_echo", "shop.echo", 1, Effects.ONCE),
        ("effect", "shop.effect", 1, Effects.ONCE),
        ("twin_echo", "twin.echo", 2, Effects.NONE),
        ("refund", "shop.tools:refund", 3, Effects.ONCE),
    ]
    assert isinstance(box.definitions, str)
    shown = json.loads(box.definitions)
    assert [each["name"] for each in shown] == [each.name for each in box.tools]
    assert shown[1]["description"] == "Does echo."
    assert box.instructions["shop"] == "Pay me.\\x1b[31m"


async def test_hints_count_only_of_a_server_that_is_trusted(rooms: Rooms) -> None:
    tools = ServerTools(server="shop", only=("echo", "effect", "slow"))
    box = await boxed(rooms, tools, shop=hostile(trust_hints=True))
    assert {each.own_name: each.effects.value for each in box.tools} == {
        "echo": "none",
        "effect": "idempotent",
        "slow": "once",
    }


@pytest.mark.parametrize(
    ("tool", "says"),
    [
        ({"only": ("nope",)}, "the server 'shop' has no tool 'nope'; it has: "),
        ({"leave_out": ("nope",)}, "the server 'shop' has no tool 'nope'"),
        ({"key_argument": "token"}, "no tool of the server 'shop' has an argument 'token'"),
        (ABOVE, "`amount`: the server 'shop' has no argument 'usd'; it has: request_key, value"),
    ],
)
async def test_what_a_server_does_not_have_is_named(
    rooms: Rooms, tool: dict[str, Any], says: str
) -> None:
    with pytest.raises(ApplicationError, match="the tools of clerk") as caught:
        await boxed(rooms, ServerTools(server="shop", **tool), shop=hostile())
    assert says in str(caught.value)
    assert (caught.value.type, caught.value.non_retryable) == ("ToolUnavailable", True)


async def test_an_amount_that_a_function_does_not_take_is_named(rooms: Rooms) -> None:
    """Before the agent's first turn is paid; else a person would be asked about every call."""
    with pytest.raises(ApplicationError) as caught:
        await boxed(rooms, PythonTool(python="shop.tools:refund", **ABOVE))
    assert "`amount`: shop.tools:refund has no argument 'usd'; it has: order" in str(caught.value)
    assert (caught.value.type, caught.value.non_retryable) == ("ToolUnavailable", True)
    await boxed(rooms, PythonTool(python="shop.tools:refund", **{**ABOVE, "amount": "order"}))


@pytest.mark.parametrize("word", ["$ref", "allOf", "oneOf"])
def test_a_schema_that_may_say_more_elsewhere_is_believed(word: str) -> None:
    tool = PythonTool(python="shop.tools:refund", **ABOVE)
    _check_amount(tool, "it", [{"type": "object", "properties": {}, word: []}])
    _check_amount(tool, "it", [{"type": "object"}])
    with pytest.raises(ToolUnreachable):
        _check_amount(tool, "it", [{"type": "object", "properties": {}}])


async def test_the_key_goes_in_meta_and_in_an_argument_that_the_model_does_not_see(
    rooms: Rooms,
) -> None:
    tool, server = ServerTools(server="shop", key_argument="request_key"), hostile()
    box = await boxed(rooms, tool, shop=server)
    assert isinstance(box.definitions, str)
    shown = {each["name"]: each["parameters"] for each in json.loads(box.definitions)}
    assert shown["meta"]["properties"] == {"value": {"type": "string"}}
    assert "required" not in shown["meta"]
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    given = order(fact(box, "meta"), tool, server, trace=trace)
    got = json.loads((await rooms.call(given)).text)
    assert got["arguments"] == {"request_key": "conversation:3.1"}
    assert got["meta"][KEY_IN_META] == "conversation:3.1"
    assert got["meta"]["traceparent"] == trace["traceparent"]


async def test_a_result_says_how_long_it_took_and_is_cut_to_its_bound(rooms: Rooms) -> None:
    tool = ServerTools(server="shop", effects=Effects.NONE, max_result_bytes=1_000)
    given = await ordered(rooms, "big", tool, hostile(), value=50_000)
    result: ToolResult = await rooms.call(given)
    assert len(result.text.encode()) <= 1_000
    assert "bytes are left out here" in result.text
    assert result.bytes == 50_000
    assert not result.is_error
    assert result.seconds > 0


async def test_a_large_result_is_a_reference_where_there_is_a_store() -> None:
    store = MemoryBlobs()
    opened = McpSessions({"PATH": os.environ["PATH"]})
    try:
        rooms = Rooms(opened, store)
        tool = ServerTools(server="shop", effects=Effects.NONE)
        box = await boxed(rooms, tool, shop=hostile())
        assert isinstance(box.definitions, TextRef)
        for size, is_stored in ((2_000, False), (9_000, True)):
            given = order(fact(box, "big"), tool, hostile(), arguments=f'{{"value": "{size}"}}')
            result = await rooms.call(given)
            assert (result.text_ref is not None) is is_stored
            assert (result.text == "y" * size) is not is_stored
    finally:
        await opened.close()


async def test_a_tool_that_changed_is_not_called(rooms: Rooms, tmp_path: Path) -> None:
    effect = tmp_path / "effect"
    server = CommandServer(
        command=("env", f"HOSTILE_DESCRIPTION={tmp_path / 'said'}", *hostile().command)
    )
    for effects in Effects:
        (tmp_path / "said").unlink(missing_ok=True)
        tool = ServerTools(server="shop", effects=effects)
        given = await ordered(rooms, "changes", tool, server)
        await rooms.call(given)  # it changes its own description
        error = await failing(rooms, given)
        assert (error.type, error.non_retryable) == ("ToolChanged", True)
        assert "shop.changes: the server has changed this tool" in str(error)
        assert not failure_of(error).sent
    assert not effect.exists()


async def test_a_function_whose_docstring_changed_is_not_called(rooms: Rooms) -> None:
    given = await refunding(rooms)
    rooms.functions.description = "Refunds twice."
    error = await failing(rooms, given)
    assert error.type == "ToolChanged"
    assert rooms.functions.called == []


async def test_the_mark_comes_before_a_call_with_effects_and_only_there(rooms: Rooms) -> None:
    given = await refunding(rooms)
    assert (await rooms.call(given, heartbeat=5)).text == "refunded"
    assert rooms.client.marks == [("sent",)]
    await rooms.call(await refunding(rooms, effects=Effects.IDEMPOTENT))
    assert len(rooms.client.marks) == 1
    assert rooms.functions.called[0] == ({"order": 7}, "conversation:3.1")


async def test_no_heartbeat_takes_the_place_of_the_mark(rooms: Rooms) -> None:
    """The SDK sends heartbeats later, and not each of them: its last one must say `sent` before the
    mark is made, if there was one, and every one after it."""
    given = await refunding(rooms)
    for connecting, first in ((0.0, ("sent",)), (0.05, ())):
        rooms.functions.seconds, rooms.client.seconds = connecting, 0.05
        beats: list[tuple[Any, ...]] = []
        environment = rooms.environment(heartbeat=0.06)
        environment.on_heartbeat = lambda *details, beats=beats: beats.append(details)
        await environment.run(rooms.tools.call_tool, given)
        assert beats[0] == first
        after = beats[beats.index(("sent",)) :]
        assert set(after) == {("sent",)}


async def test_a_quick_call_makes_no_heartbeat_but_the_mark(rooms: Rooms) -> None:
    """Each is a request to the server, and a write there."""
    given, beats = await refunding(rooms), list[Any]()
    environment = rooms.environment(heartbeat=5)
    environment.on_heartbeat = lambda *details: beats.append(details)
    await environment.run(rooms.tools.call_tool, given)
    assert (rooms.client.marks, beats) == ([("sent",)], [])


@pytest.mark.parametrize(
    "error",
    [
        RPCError("given up", RPCStatusCode.NOT_FOUND, b""),
        RPCError("away", RPCStatusCode.UNAVAILABLE, b""),
        AsyncActivityCancelledError(),
    ],
)
async def test_without_the_mark_nothing_is_sent(rooms: Rooms, error: Exception) -> None:
    given = await refunding(rooms, price_usd=Decimal("0.10"))
    rooms.client.errors = [None, error]
    failed = await failing(rooms, given)
    assert not failure_of(failed).sent
    assert failed.type == "ToolFailed"
    assert rooms.functions.called == []
    reserved = "reserve 0.10 for shop.tools:refund"
    is_cancelled = isinstance(error, AsyncActivityCancelledError)
    assert [what for what, _ in rooms.charges.log] == [reserved, *["release"] * is_cancelled]
    rooms.charges.log.clear()
    rooms.client.errors = [error]
    assert not failure_of(await failing(rooms, given)).sent
    assert rooms.charges.log == []


async def test_a_mark_that_was_confirmed_long_ago_is_made_again(rooms: Rooms) -> None:
    """The worker stood still after it: Temporal may have given up the attempt since."""
    given = await refunding(rooms)
    rooms.client.seconds = 0.1
    rooms.client.errors = [None, RPCError("given up", RPCStatusCode.NOT_FOUND, b"")]
    failed = await failing(rooms, given, heartbeat=0.1)
    assert rooms.client.marks == [("sent",)]
    assert not failure_of(failed).sent
    assert rooms.functions.called == []


@pytest.mark.parametrize(
    ("error", "effects", "kind", "is_final"),
    [
        (ToolBroke("gone", sent=True), Effects.ONCE, "EffectUnknown", True),
        (ToolBroke("gone", sent=True), Effects.IDEMPOTENT, "ToolFailed", False),
        (ToolBroke("gone"), Effects.ONCE, "ToolFailed", True),
        (ToolTimedOut("late", sent=True), Effects.ONCE, "EffectUnknown", True),
        (ToolTimedOut("late", sent=True), Effects.NONE, "ToolTimeout", False),
        (ToolUnreachable("away", final=False), Effects.NONE, "ToolFailed", False),
        (ToolUnreachable("away", final=False), Effects.ONCE, "ToolUnavailable", True),
        (ToolUnreachable("wrong"), Effects.NONE, "ToolUnavailable", True),
        (KeyError("a bug with sk-0123456789abcdef"), Effects.ONCE, "EffectUnknown", True),
        (KeyError("a bug with sk-0123456789abcdef"), Effects.NONE, "Internal", False),
    ],
)
async def test_how_a_call_ends_decides_what_follows(
    rooms: Rooms, error: Exception, effects: Effects, kind: str, is_final: bool
) -> None:
    given = await refunding(rooms, effects=effects)
    rooms.functions.result = error
    failed = await failing(rooms, given)
    assert (failed.type, failed.non_retryable) == (kind, is_final)
    assert failure_of(failed).sent is (error.sent if hasattr(error, "sent") else True)
    assert "sk-0123456789abcdef" not in str(failed)
    assert str(failed).partition(": ")[2].startswith("shop.tools:refund: ")


async def test_the_last_attempt_at_a_server_that_is_away_says_so(rooms: Rooms) -> None:
    given = await refunding(rooms, effects=Effects.NONE)
    rooms.functions.result = ToolUnreachable("away", final=False)
    policy = RetryPolicy(maximum_attempts=3)
    assert (await failing(rooms, given, attempt=2, policy=policy)).type == "ToolFailed"
    assert (await failing(rooms, given, attempt=3, policy=policy)).type == "ToolUnavailable"


async def test_a_demand_is_in_the_details_of_the_error(rooms: Rooms) -> None:
    tool = ServerTools(server="shop", price_usd=Decimal("0.10"))
    given = await ordered(rooms, "atxp", tool, hostile())
    failed = await failing(rooms, given)
    assert (failed.type, failed.non_retryable) == ("ToolAsks", True)
    details = failure_of(failed)
    assert details.demand is not None
    assert (details.demand.kind, details.demand.amount) == ("payment", "0.05")
    assert (details.sent, details.charged_usd) == (False, Decimal(0))
    assert rooms.charges.log[-1] == ("release", "conversation:3.1")


async def test_a_price_is_reserved_before_and_settled_after(rooms: Rooms) -> None:
    given = await refunding(rooms, price_usd=Decimal("0.25"))
    assert (await rooms.call(given)).charged_usd == Decimal("0.25")
    assert [what for what, _ in rooms.charges.log] == [
        "reserve 0.25 for shop.tools:refund",
        "settle",
    ]
    rooms.charges.log.clear()
    rooms.functions.result = CalledTool("no such order", is_error=True)
    assert (await rooms.call(given)).charged_usd == Decimal("0.25")


async def test_the_charge_of_an_attempt_that_was_given_up_is_that_of_the_next_one(
    rooms: Rooms,
) -> None:
    """Its worker stood still after it had reserved the price. It goes on while another worker is
    inside of the tool, and must not give the price back."""
    async with paying_for(rooms, at="never") as paying:
        seconds = list[asyncio.Task[ToolResult]]()

        class GivenUp(FakeClient):
            async def heartbeat(self, *details: Any) -> None:
                if details != ("sent",):
                    return
                if not seconds:
                    seconds.append(asyncio.create_task(paying.run(paying.second)))
                    await paying.slow.is_inside.wait()
                raise RPCError("given up", RPCStatusCode.NOT_FOUND, b"")

        with pytest.raises(ApplicationError, match="nothing was sent"):
            await paying.run(paying.first, GivenUp())
        assert await paying.reserved() == PRICE
        paying.slow.may_return.set()
        assert (await seconds[0]).charged_usd == PRICE
        assert rooms.functions.called == []
        assert await paying.paid() == [(paying.given.key, PRICE)]


async def test_a_worker_that_stands_still_before_it_gives_a_price_back(rooms: Rooms) -> None:
    """Temporal had confirmed the attempt. The next one relies on the price when it goes on."""
    async with paying_for(rooms, at="/release") as paying:
        seconds = list[asyncio.Task[ToolResult]]()

        async def meanwhile() -> None:
            seconds.append(asyncio.create_task(paying.run(paying.second)))
            await paying.slow.is_inside.wait()

        paying.still.meanwhile = meanwhile
        rooms.functions.result = ToolUnreachable("no such module")
        with pytest.raises(ApplicationError, match="no such module"):
            await paying.run(paying.first)
        assert await paying.reserved() == PRICE
        paying.slow.may_return.set()
        assert (await seconds[0]).charged_usd == PRICE
        assert await paying.paid() == [(paying.given.key, PRICE)]


@pytest.mark.parametrize("second", [True, False])
@pytest.mark.parametrize("settle", [True, False])
async def test_a_worker_that_stands_still_before_it_reserves_a_price(
    rooms: Rooms, second: bool, settle: bool
) -> None:
    """When it goes on, a person has decided about the call: after another attempt of it, or after
    none that has come as far. Nothing is reserved any more that closing would charge."""
    async with paying_for(rooms, at="/charges") as paying:

        async def meanwhile() -> None:
            if second:
                running = asyncio.create_task(paying.run(paying.second))
                await paying.slow.is_inside.wait()
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            await paying.end(settle)

        paying.still.meanwhile = meanwhile
        with pytest.raises(ApplicationError, match="another attempt of this call") as caught:
            await paying.run(paying.first)
        assert not failure_of(caught.value).sent
        assert rooms.functions.called == []
        assert await paying.reserved() == 0
        assert await paying.paid() == [(paying.given.key, PRICE)] * (second and settle)


async def test_what_was_reserved_without_an_answer_is_given_back(rooms: Rooms) -> None:
    """The gateway reserved it, and its answer was lost."""
    async with paying_for(rooms, at="never") as paying:
        reserve = paying.still.reserve

        async def lost(*given: Any) -> ToolCharge:
            await reserve(*given)
            raise Unreachable("the connection broke")

        paying.still.reserve = lost  # type: ignore[method-assign, assignment]
        with pytest.raises(ApplicationError, match="broke"):
            await paying.run(paying.first)
        assert await paying.reserved() == 0


async def test_an_effect_that_was_paid_for_is_repeated_only_when_a_person_says_so(
    rooms: Rooms,
) -> None:
    """A restored backup of Temporal does not know that it has happened; the ledger does."""
    rooms.charges.state = "settled"
    given = await refunding(rooms, price_usd=Decimal("0.25"))
    failed = await failing(rooms, given)
    assert failed.type == "EffectUnknown"
    assert (failure_of(failed).sent, failure_of(failed).charged_usd) == (True, Decimal("0.25"))
    assert rooms.functions.called == []
    assert ("sent",) not in rooms.client.marks
    assert "has paid for this call already" in str(failed)
    again = given.model_copy(update={"again": True})
    assert (await rooms.call(again)).charged_usd == Decimal("0.25")
    idempotent = await refunding(rooms, price_usd=Decimal("0.25"), effects=Effects.IDEMPOTENT)
    await rooms.call(idempotent)
    assert len(rooms.functions.called) == 2


async def test_an_unknown_end_keeps_the_price_reserved(rooms: Rooms) -> None:
    given = await refunding(rooms, price_usd=Decimal("0.25"))
    rooms.functions.result = ToolBroke("gone", sent=True)
    assert failure_of(await failing(rooms, given)).charged_usd == Decimal("0.25")
    assert [what for what, _ in rooms.charges.log] == ["reserve 0.25 for shop.tools:refund"]


async def test_a_price_that_does_not_fit_is_refused_before_anything_runs(rooms: Rooms) -> None:
    given = await refunding(rooms, price_usd=Decimal("0.25"))
    amounts = {"required_usd": Decimal("0.25"), "remaining_usd": Decimal("0.10")}
    rooms.charges.refuses["reserve"] = ProviderRefused(
        "POST /charges", 402, "no money", code="budget_exhausted", amounts=amounts
    )
    failed = await failing(rooms, given)
    assert failed.type == "BudgetExhausted"
    details = failure_of(failed)
    assert (details.required_usd, details.remaining_usd) == (Decimal("0.25"), Decimal("0.10"))
    assert rooms.functions.called == []
    assert ("sent",) not in rooms.client.marks


async def test_a_result_is_not_given_up_because_it_cannot_be_settled(rooms: Rooms) -> None:
    given = await refunding(rooms, price_usd=Decimal("0.25"))
    rooms.charges.refuses["settle"] = Unreachable("away")
    result = await rooms.call(given)
    assert (result.text, result.charged_usd) == ("refunded", Decimal("0.25"))


async def test_a_price_that_was_given_back_is_not_said_to_be_paid(rooms: Rooms) -> None:
    given = await refunding(rooms, price_usd=Decimal("0.25"))
    rooms.charges.refuses["settle"] = ProviderRefused("POST", 409, "", code="charge_released")
    result = await rooms.call(given)
    assert (result.text, result.charged_usd) == ("refunded", Decimal(0))


async def test_a_session_that_began_anew_is_said_to_the_model(rooms: Rooms) -> None:
    tool = ServerTools(server="shop", effects=Effects.NONE)
    given = await ordered(rooms, "slow", tool, hostile(stateful=True), value=0)
    first = await rooms.call(given)
    again = await rooms.call(given.model_copy(update={"session": first.session}))
    assert (first.text, again.text) == ("slow 1", "slow 2")
    assert first.session == again.session
    anew = await rooms.call(given.model_copy(update={"session": "an-older-one"}))
    assert anew.text == f"{ANEW}\nslow 3"


async def test_the_model_reads_with_which_arguments_a_person_had_it_called(rooms: Rooms) -> None:
    given = await refunding(rooms)
    result = await rooms.call(given.model_copy(update={"edited": True}))
    assert result.text.endswith("\nrefunded")
    assert given.arguments in result.text.splitlines()[0]


@pytest.mark.parametrize("effects", list(Effects))
async def test_a_cancelled_call_with_effects_may_have_run(rooms: Rooms, effects: Effects) -> None:
    given = await ordered(
        rooms, "slow", ServerTools(server="shop", effects=effects), hostile(), value=30
    )
    environment = rooms.environment()
    running = asyncio.create_task(environment.run(rooms.tools.call_tool, given))
    await asyncio.sleep(0.5)
    running.cancel()
    if effects is not Effects.ONCE:
        with pytest.raises(asyncio.CancelledError):
            await running
        return
    with pytest.raises(ApplicationError) as caught:
        await running
    assert caught.value.type == "EffectUnknown"
    assert failure_of(caught.value).sent


@pytest.mark.parametrize("lists", [False, True])
async def test_a_worker_that_stops_before_anything_was_sent_says_so(
    rooms: Rooms, lists: bool
) -> None:
    given = await refunding(rooms)
    rooms.functions.seconds = 30
    environment = rooms.environment()
    running: asyncio.Task[Any] = asyncio.create_task(
        environment.run(rooms.tools.list_tools, wanted(REFUND))
        if lists
        else environment.run(rooms.tools.call_tool, given)
    )
    await asyncio.sleep(0.2)
    environment.cancel(ActivityCancellationDetails(worker_shutdown=True))
    with pytest.raises(ApplicationError, match="another one continues") as caught:
        await running
    assert caught.value.type == "WorkerLost"
    assert not failure_of(caught.value).sent


@pytest.mark.parametrize(("settle", "charged"), [(True, "0.25"), (False, "0")])
async def test_what_a_person_decides_ends_the_charge(
    rooms: Rooms, settle: bool, charged: str
) -> None:
    given = await refunding(rooms, price_usd=Decimal("0.25"))
    assert given.account is not None
    end = ChargeEnd(account=given.account, key=given.key, amount_usd=Decimal("0.25"), settle=settle)
    ended = await rooms.environment().run(rooms.tools.end_charge, end)
    assert ended.charged_usd == Decimal(charged)
    assert rooms.charges.log == [("settle" if settle else "release", given.key)]


async def test_the_first_attempt_of_a_quick_call_does_not_shorten_the_time_of_the_tool(
    rooms: Rooms,
) -> None:
    """It is a local activity, whose end is Temporal's to say: as an error of the tool, it would be
    the result, or an attempt."""
    tool = ServerTools(server="it", effects=Effects.NONE, timeout_seconds=1)
    call = await ordered(rooms, "slow", tool, hostile(), value="0.4")
    assert (await rooms.call(call, timeout=0.2, is_local=True)).text == "slow 1"
    with pytest.raises(ApplicationError, match="no result within") as caught:
        await rooms.call(call, timeout=0.2)
    assert caught.value.type == "ToolTimeout"


async def test_names_that_look_alike_are_told_apart_by_people(rooms: Rooms) -> None:
    """The model reads ASCII names, no two of which are the same; a person reads what is not ASCII
    escaped."""
    async with hostile_http() as server:
        others = ["d\u0435lete", "del\u200bete", "caf\u00e9", "cafe\u0301", "calculate", "a\nb"]
        names = ["delete", *others]
        server.tools = [{"name": name, "inputSchema": {"type": "object"}} for name in names]
        url = UrlServer(url=server.url)
        box = await boxed(
            rooms, BuiltInTool(built_in="calculate"), ServerTools(server="it"), it=url
        )
        assert [each.own_name for each in box.tools] == ["calculate", *names]
        assert [each.name for each in box.tools] == [
            *("calculate", "delete", "d_lete", "del_ete", "caf_", "cafe_", "it_calculate", "a_b")
        ]
        assert [each.source for each in box.tools] == [
            *("calculate", "it.delete", "it.d\\u0435lete", "it.del\\u200bete", "it.caf\\xe9"),
            *("it.cafe\\u0301", "it.calculate", "it.a\\nb"),
        ]
        only = ServerTools(server="it", only=("delete",))
        assert [each.own_name for each in (await boxed(rooms, only, it=url)).tools] == ["delete"]
        server.tools = server.tools[1:]
        with pytest.raises(ApplicationError, match=r"no tool 'delete'; it has: .*d\\u0435lete"):
            await boxed(rooms, only, it=url)
