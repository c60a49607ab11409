"""`@once` against the real gateway: what each attempt gets, for whatever a tool can be."""

import asyncio
import inspect
import json
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from durable_agent_team.agents import (
    EffectRefused,
    EffectSkipped,
    EffectUnknown,
    OutsideOfTeam,
    ResultNotKept,
    ToolFailedBefore,
    effect_client,
    idempotency_key,
    once,
)
from durable_agent_team.agents.effect_client import Team
from durable_agent_team.agents.effect_errors import AttemptSuperseded
from tests.agents.attempts import Scope
from tests.gateway.client import world

Anything = Callable[..., Any]


@pytest.fixture
async def scope(tmp_path: Path) -> AsyncIterator[Scope]:
    async with world() as w:
        yield Scope(await w.api.open(), tmp_path)


async def call(tool: Anything, *args: Any, **kwargs: Any) -> Any:
    """A tool blocks; the gateway is in this process."""
    found = await asyncio.to_thread(tool, *args, **kwargs)
    return await found if asyncio.iscoroutine(found) else found


class Ledger:
    """Counts what happened to the world."""

    def __init__(self) -> None:
        self.lines: list[Any] = []

    def add(self, *line: Any) -> None:
        self.lines.append(line)


@pytest.fixture
def world_of() -> Ledger:
    return Ledger()


def as_is(tool: Anything) -> Anything:
    return tool


def as_async(tool: Anything) -> Anything:
    async def awaited(order: Any, cents: Any = 0) -> Any:
        await asyncio.sleep(0)
        return tool(order, cents)

    return awaited


kinds = pytest.mark.parametrize("kind", [as_is, as_async])


@kinds
async def test_the_second_attempt_gets_the_result(
    scope: Scope, world_of: Ledger, kind: Anything
) -> None:
    def refund(order: Any, cents: Any = 0) -> Any:
        world_of.add(order, cents)
        return {"refund": len(world_of.lines), "of": [order, cents]}

    tool = once(name="refund")(kind(refund))
    results = []
    for attempt in (1, 2, 3):
        with scope.attempt(attempt):
            results.append([await call(tool, "o1", 5), await call(tool, cents=5, order="o2")])
    assert world_of.lines == [("o1", 5), ("o2", 5)]
    assert results[0] == results[1] == results[2]
    assert results[0][1] == {"refund": 2, "of": ["o2", 5]}


async def test_equal_calls_are_counted_in_each_attempt(scope: Scope, world_of: Ledger) -> None:
    @once
    def ping(host: str = "a") -> int:
        world_of.add(host)
        return len(world_of.lines)

    with scope.attempt(1):
        assert [await call(ping), await call(ping, "a"), await call(ping, host="a")] == [1, 2, 3]
    with scope.attempt(2):
        assert [await call(ping) for _ in range(4)] == [1, 2, 3, 4]
        assert await call(ping, "b") == 5
    assert len(world_of.lines) == 5


async def test_concurrent_equal_calls_each_happen_once(scope: Scope) -> None:
    seen: list[str] = []

    @once(name="t")
    async def tool(text: str) -> str:
        await asyncio.sleep(0.01)
        seen.append(text)
        return f"{text}{len(seen)}"

    @once(name="t")
    def in_thread(text: str) -> str:
        seen.append(text)
        return f"{text}{len(seen)}"

    for attempt in (1, 2):
        with scope.attempt(attempt):
            first = await asyncio.gather(*(tool("a") for _ in range(10)))
            more = await asyncio.gather(*(asyncio.to_thread(in_thread, "a") for _ in range(10)))
            assert len({*first, *more}) == len(seen) == 20


async def test_the_next_attempt_gets_the_tools_exception(scope: Scope, world_of: Ledger) -> None:
    @once
    async def charge(card: str) -> None:
        world_of.add(card)
        raise KeyError("no card")

    with scope.attempt(1), pytest.raises(KeyError) as first:
        await charge("c")
    for attempt in (2, 3):
        with scope.attempt(attempt), pytest.raises(ToolFailedBefore) as again:
            await charge("c")
        assert again.value.kind == "KeyError"
    assert world_of.lines == [("c",)]

    @once
    def limit() -> None:
        raise ValueError("over the limit")

    for attempt in (3, 4):
        with scope.attempt(attempt), pytest.raises(Exception, match="over the limit") as error:
            await call(limit)
        assert (str(error.value), repr(error.value)) == (
            "over the limit",
            "ValueError('over the limit')",
        )
    assert str(first.value) == str(KeyError("no card"))


async def test_a_long_exception_is_cut(scope: Scope) -> None:
    @once
    def tool() -> None:
        raise ValueError("x" * 10_000 + "\ud800")

    with scope.attempt(1), pytest.raises(ValueError, match="xxx"):
        await call(tool)
    with scope.attempt(2), pytest.raises(ToolFailedBefore) as error:
        await call(tool)
    assert len(str(error.value)) == 4_000


async def test_a_method_is_known_without_its_object(scope: Scope, world_of: Ledger) -> None:
    class Shop:
        @once
        def sell(self, item: str) -> str:
            world_of.add(item)
            return item

        @classmethod
        @once
        def close(cls, day: int) -> int:
            world_of.add(day)
            return day

        @staticmethod
        @once
        def clean(room: str) -> str:
            world_of.add(room)
            return room

    for attempt in (1, 2):
        with scope.attempt(attempt):
            assert await call(Shop().sell, "tea") == "tea"
            assert await call(Shop.close, 3) == 3
            assert await call(Shop.clean, "hall") == "hall"
    assert world_of.lines == [("tea",), (3,), ("hall",)]


async def test_a_key_tells_calls_apart(scope: Scope, world_of: Ledger) -> None:
    class Order:
        def __init__(self, id: int) -> None:
            self.id = id

    @once(name="pay", key=lambda order, note="": order.id)
    def pay(order: Order, note: str = "") -> str:
        world_of.add(order.id)
        return note

    with scope.attempt(1):
        assert await call(pay, Order(1), "first") == "first"
        assert await call(pay, Order(1), "second") == "first"
        assert await call(pay, Order(2)) == ""
    with scope.attempt(2):
        assert await call(pay, Order(1)) == "first"
    assert world_of.lines == [(1,), (2,)]


async def test_equal_keys_at_once_are_one_call(scope: Scope, world_of: Ledger) -> None:
    @once(key=lambda order: order)
    async def slow(order: int) -> int:
        world_of.add(order)
        await asyncio.sleep(0.1)
        return len(world_of.lines)

    @once(name="threads", key=lambda order: order)
    def thread(order: int) -> int:
        world_of.add(order)
        return threading.get_ident()

    with scope.attempt(1):
        assert await asyncio.gather(*(slow(1) for _ in range(12))) == [1] * 12
        found = await asyncio.gather(*(asyncio.to_thread(thread, 2) for _ in range(4)))
        assert len(set(found)) == 1
    assert world_of.lines == [(1,), (2,)]


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({1, 2}, "`order` of the tool refund is a set"),
        (object(), "is a object"),
        (b"x", "is a bytes"),
        ({"a": [1, {"b": 1j}]}, "`order` of the tool refund['a'][1]['b'] is a complex"),
        ({1: 2}, "has a key that is a int"),
        (float("nan"), "is nan"),
        ("\ud800", "surrogate"),
        (10**100, "digits"),
    ],
)
async def test_an_argument_that_is_not_json_is_named(
    scope: Scope, world_of: Ledger, value: Any, names: str
) -> None:
    @once(name="refund")
    def refund(order: Any, *rest: Any, **more: Any) -> None:
        world_of.add(order)

    with scope.attempt(1), pytest.raises(TypeError, match="`key`") as error:
        await call(refund, value)
    assert names in str(error.value)
    with scope.attempt(1), pytest.raises(TypeError, match="`more`"):
        await call(refund, 1, x=value)
    with scope.attempt(1), pytest.raises(TypeError, match="missing a required argument"):
        await call(refund)
    assert (world_of.lines, await scope.effects()) == ([], [])


@pytest.mark.parametrize(
    ("result", "error"), [({1}, TypeError), ("x" * 262_143, ResultNotKept), ({2: 3}, TypeError)]
)
async def test_a_result_that_cannot_be_kept_is_an_error_and_the_tool_is_not_run_again(
    scope: Scope, world_of: Ledger, result: Any, error: type[Exception]
) -> None:
    @once(name="t")
    def tool() -> Any:
        world_of.add()
        return result

    with scope.attempt(1), pytest.raises(error, match="t ran, but its result is not kept"):
        await call(tool)
    with scope.attempt(2), pytest.raises(ToolFailedBefore, match="t ran, but"):
        await call(tool)
    assert len(world_of.lines) == 1


async def test_both_attempts_get_what_json_has(scope: Scope) -> None:
    @once
    def tool() -> Any:
        return ("é", [1.0, 1e300], {"b": None, "a": True})

    for attempt in (1, 2):
        with scope.attempt(attempt):
            assert await call(tool) == ["é", [1.0, 1e300], {"b": None, "a": True}]


async def test_an_idempotent_tool_runs_again_with_the_same_key(scope: Scope) -> None:
    keys: list[str] = []

    @once(idempotent=True)
    async def pay(fails: bool) -> str:
        keys.append(idempotency_key())
        if len(keys) == 1:
            await asyncio.Event().wait()
        return idempotency_key()

    with scope.attempt(1):
        task = asyncio.create_task(pay(False))
        while not keys:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
    with scope.attempt(2):
        assert await pay(False) == keys[0] == keys[1]
        assert await pay(True) != keys[0]
    assert len(keys[0]) == 64
    assert idempotency_key() != idempotency_key()


async def begun_and_cancelled(tool: Anything, *args: Any) -> None:
    """As if the attempt had died inside."""
    task = asyncio.create_task(tool(*args))
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize("decision", ["skip", "result", "retry"])
async def test_what_a_person_decided_is_what_the_next_attempt_gets(
    scope: Scope, decision: str
) -> None:
    waits = [True]

    async def charge(n: int) -> Any:
        if waits:
            await asyncio.sleep(60)
        return "charged"

    raising, quiet = once(name="t")(charge), once(name="t", on_skip="none")(charge)
    with scope.attempt(1):
        await begun_and_cancelled(raising, 1)
    with scope.attempt(2), pytest.raises(EffectUnknown, match="resolve") as unknown:
        await raising(1)
    waits.clear()
    given = {"result": {"id": 9}} if decision == "result" else {}
    assert unknown.value.attempt == 1
    assert await scope.resolve(unknown.value.effect, decision, attempt=1, **given) == 200
    with scope.attempt(3):
        if decision == "skip":
            with pytest.raises(EffectSkipped, match="A person decided"):
                await raising(1)
        else:
            assert await raising(1) == given.get("result", "charged")
    with scope.attempt(4):
        expected = {"skip": None, "retry": "charged", "result": {"id": 9}}
        assert await quiet(1) == expected[decision]


async def test_a_tool_can_say_that_it_does_not_know(scope: Scope) -> None:
    @once(name="t")
    def charge() -> None:
        raise EffectUnknown("the bank did not answer")

    @once(name="u")
    async def other() -> None:
        raise EffectUnknown("nor did the other one")

    for tool, attempt in ((charge, 1), (other, 2)):
        with scope.attempt(attempt), pytest.raises(EffectUnknown, match="did"):
            await call(tool)
        report = json.loads(scope.report(attempt).read_text())["effect_unknown"]
        assert report["attempt"] == attempt
        assert await scope.resolve(report["effect"], "skip") == 200


async def test_a_call_that_was_cancelled_inside_is_not_made_again(scope: Scope) -> None:
    @once(name="t")
    async def tool(n: int) -> int:
        await asyncio.sleep(60)
        return n

    with scope.attempt(1):
        await begun_and_cancelled(tool, 1)
        with pytest.raises(EffectUnknown, match="cancelled inside") as unknown:
            await tool(1)
        with pytest.raises(EffectUnknown):  # the model must not look for another way
            await tool(2)
    report = json.loads(scope.report(1).read_text())["effect_unknown"]
    assert report == {"effect": unknown.value.effect, "tool": "t", "attempt": 1}
    assert [each["effect"] for each in await scope.effects()] == [unknown.value.effect]


async def test_a_begin_that_was_not_answered_gives_its_number_back(
    scope: Scope, monkeypatch: pytest.MonkeyPatch, world_of: Ledger
) -> None:
    monkeypatch.setattr(effect_client, "BEGIN_SECONDS", 0.0)
    exchange = effect_client._exchange
    problems = ["before", "after"]

    def fail(*args: Any) -> Any:
        problem = problems.pop() if problems else None
        if problem == "after":
            exchange(*args)
        if problem is not None:
            raise ConnectionResetError(problem)
        return exchange(*args)

    monkeypatch.setattr(effect_client, "_exchange", fail)

    @once
    def tool() -> int:
        world_of.add()
        return len(world_of.lines)

    with scope.attempt(1):
        for _ in range(2):
            with pytest.raises(RuntimeError, match="did not run"):
                await call(tool)
        assert await call(tool) == 1
    with scope.attempt(2):
        assert await call(tool) == 1
    assert len(await scope.effects()) == 1


@pytest.mark.parametrize("decision", ["retry", "skip", ""])
async def test_an_attempt_that_stood_still_before_its_tool_asks_again(
    scope: Scope, monkeypatch: pytest.MonkeyPatch, world_of: Ledger, decision: str
) -> None:
    """With its machine, after the gateway had let it begin. Meanwhile the next attempt has come to
    the same tool, and a person has decided; or nobody has asked."""
    monkeypatch.setattr(effect_client, "FRESH_SECONDS", 0.2)
    exchange, asked = effect_client._exchange, list[str]()
    stands_still, goes_on = threading.Event(), threading.Event()

    def stops(team: Team, path: str, *rest: Any) -> Any:
        asked.append(path)
        answer = exchange(team, path, *rest)
        if len(asked) == 1:
            stands_still.set()
            assert goes_on.wait(30)
        return answer

    monkeypatch.setattr(effect_client, "_exchange", stops)

    @once
    def tool() -> int:
        world_of.add()
        return len(world_of.lines)

    def ended() -> Any:
        """The result; or the exception, which would end the test's loop."""
        try:
            return tool()
        except AttemptSuperseded as error:
            return type(error)

    with scope.attempt(1):
        first = asyncio.create_task(asyncio.to_thread(ended))
        assert await asyncio.to_thread(stands_still.wait, 30)
    if decision:
        with scope.attempt(2), pytest.raises(EffectUnknown) as unknown:
            await call(tool)
        assert await scope.resolve(unknown.value.effect, decision) == 200
        with scope.attempt(3):
            if decision == "retry":
                assert await call(tool) == 1
            else:
                with pytest.raises(EffectSkipped):
                    await call(tool)
    await asyncio.sleep(0.2)
    goes_on.set()
    assert await first == (AttemptSuperseded if decision else 1)
    assert len(world_of.lines) == (decision != "skip")


async def test_a_result_that_cannot_be_kept_for_want_of_a_gateway_is_returned(
    scope: Scope, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(effect_client, "FINISH_SECONDS", 0.0)
    exchange = effect_client._exchange

    def fail(team: Any, path: str, *rest: Any) -> Any:
        if path.endswith("finish"):
            raise ConnectionRefusedError("gone")
        return exchange(team, path, *rest)

    monkeypatch.setattr(effect_client, "_exchange", fail)

    @once
    def tool() -> int:
        return 7

    with scope.attempt(1):
        assert await call(tool) == 7
    assert "is not kept" in caplog.text
    [effect] = await scope.effects()
    assert effect["state"] == "begun"


async def test_a_disabled_account_runs_no_tool(scope: Scope, world_of: Ledger) -> None:
    @once
    def tool() -> None:
        world_of.add()

    await scope.agent.patch(status="disabled")
    with scope.attempt(1), pytest.raises(EffectRefused, match="did not run") as error:
        await call(tool)
    assert (error.value.code, world_of.lines) == ("account_disabled", [])


async def test_outside_of_a_team_it_runs_each_time_and_says_so_once(
    caplog: pytest.LogCaptureFixture, world_of: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["durable_agent_team.agents.once"], "_said", [])

    @once
    def tool(n: int) -> tuple[int, str]:
        world_of.add(n)
        return n, idempotency_key()

    @once
    async def later(n: int) -> int:
        return n

    assert tool(1)[0] == 1
    assert tool(1) != tool(1)
    assert await later(2) == 2
    assert len(world_of.lines) == 3
    assert caplog.text.count("outside of a team") == 1
    with pytest.raises(TypeError, match="`n`"):
        tool(object())  # type: ignore[arg-type]  # as inside of one

    @once(strict=True)
    def strict() -> None:
        world_of.add("strict")

    with pytest.raises(OutsideOfTeam, match="AGENT_GATEWAY_URL"):
        strict()
    monkeypatch.setenv("AGENT_SCOPE", "s")
    with pytest.raises(OutsideOfTeam, match="AGENT_API_KEY"):
        tool(1)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: once(staticmethod(print)), "below @staticmethod"),
        (lambda: once(int), "not a function"),
        (lambda: once(name="")(print), "`name`"),
        (lambda: once(name="a\nb")(print), "`name`"),
        (lambda: once(on_skip="x")(lambda: 1), "`on_skip`"),  # type: ignore[call-overload]
    ],
)
def test_what_cannot_be_wrapped_is_refused_when_it_is_defined(
    wrong: Callable[[], Any], says: str
) -> None:
    with pytest.raises(TypeError, match=says):
        wrong()


def test_a_generator_is_refused() -> None:
    def tool() -> Any:
        yield 1

    with pytest.raises(TypeError, match="generator"):
        once(tool)


def test_what_frameworks_look_at_is_the_functions_own() -> None:
    @once
    async def tool(order: str, cents: int = 5) -> str:
        """Refunds an order."""
        return order

    assert inspect.iscoroutinefunction(tool)
    assert (tool.__name__, tool.__doc__) == ("tool", "Refunds an order.")
    assert str(inspect.signature(tool)) == "(order: str, cents: int = 5) -> str"
