"""A wait with a timeout takes the turns of the event loop that `asyncio.wait_for` takes in 3.11."""

import ast
import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from workflows.timed_wait import in_steps_of_3_11

Wait = Callable[["asyncio.Future[None]"], Awaitable[None]]
Moment = tuple[int, str]
"""After how many turns of the loop, and what happens then."""


async def as_3_11(future: "asyncio.Future[None]") -> None:
    """Its `asyncio.wait_for`, in the order of its steps."""
    loop = asyncio.get_running_loop()

    def release(waiter: "asyncio.Future[None]", *_: object) -> None:
        if not waiter.done():
            waiter.set_result(None)

    async def cancel_and_wait() -> None:
        cancelled = loop.create_future()
        future.add_done_callback(lambda _: release(cancelled))
        future.cancel()
        await cancelled

    waiter = loop.create_future()
    timer = loop.call_later(1, release, waiter)

    def came_true(_: object) -> None:
        release(waiter)

    future.add_done_callback(came_true)
    try:
        try:
            await waiter
        except asyncio.CancelledError:
            if not future.done():
                future.remove_done_callback(came_true)
                await cancel_and_wait()
                raise
        if not future.done():
            future.remove_done_callback(came_true)
            await cancel_and_wait()
            raise TimeoutError
    finally:
        timer.cancel()


async def as_since_3_12(future: "asyncio.Future[None]") -> None:
    async with asyncio.timeout(1):
        await future


async def of_the_workflow(future: "asyncio.Future[None]") -> None:
    await in_steps_of_3_11(as_since_3_12(future))


def steps(wait: Wait, *moments: Moment) -> list[str]:
    """What is seen in each turn: whether the timer is over, and how the wait has ended."""

    async def seen() -> list[str]:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        timers: list[asyncio.TimerHandle] = []

        def call_at(
            when: float, callback: Callable[..., object], *arguments: object, context: object = None
        ) -> asyncio.TimerHandle:
            timers.append(asyncio.TimerHandle(when, callback, arguments, loop))
            return timers[0]

        loop.call_at = call_at  # type: ignore[method-assign]
        ended: list[str] = []

        async def waits() -> None:
            try:
                await wait(future)
                ended.append("true")
            except (TimeoutError, asyncio.CancelledError) as error:
                ended.append(type(error).__name__)

        task = asyncio.ensure_future(waits())
        await asyncio.sleep(0)
        deeds: dict[str, Callable[[], object]] = {
            "true": lambda: future.set_result(None),
            "time": lambda: fired.append(timers[0]._run()),  # type: ignore[func-returns-value]
            "cancel": task.cancel,
            "cancel next": lambda: loop.call_soon(task.cancel),
        }
        fired: list[None] = []
        found = []
        for turn in range(8):
            for at, what in moments:
                if at == turn:
                    deeds[what]()
            found.append(f"{turn} {timers[0].cancelled() or bool(fired)} {ended}")
            await asyncio.sleep(0)
        with suppress(asyncio.CancelledError):
            await task
        return found

    return asyncio.run(seen())


@pytest.mark.parametrize(
    "moments",
    [
        [(1, "true")],
        [(1, "time")],
        [(1, "cancel")],
        [(1, "cancel next"), (1, "true")],
        [(1, "true"), (1, "cancel next")],
        [(1, "cancel next"), (1, "time")],
        [(1, "time"), (1, "cancel next")],
        [(1, "cancel"), (1, "cancel next")],
        [(1, "cancel"), (2, "cancel")],
        [(1, "cancel"), (3, "cancel")],
    ],
)
def test_it_takes_the_turns_of_3_11(moments: list[Moment]) -> None:
    assert steps(of_the_workflow, *moments) == steps(as_3_11, *moments)


def test_asyncio_itself_takes_fewer_since_3_12() -> None:
    """Else the rest here says nothing."""
    assert steps(as_since_3_12, (1, "true")) != steps(as_3_11, (1, "true"))


def test_every_wait_of_the_workflow_with_a_timeout_is_one_of_these() -> None:
    others = [
        f"{path.name}:{node.lineno}: {ast.unparse(node)}"
        for path in (Path(__file__).parents[2] / "workflows").rglob("*.py")
        if path.name != "timed_wait.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and (
            ast.unparse(node.func) in ("asyncio.wait_for", "asyncio.timeout", "asyncio.wait")
            or (
                ast.unparse(node.func) == "workflow.wait_condition"
                and "timeout" in [each.arg for each in node.keywords]
            )
        )
    ]
    assert not others, "use workflows.timed_wait.wait_condition:\n" + "\n".join(others)
