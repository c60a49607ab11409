"""Fake activities for many runs of one worker: each run has a world of its own."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from temporalio import activity

from durable_agent_team.contracts.activity_interfaces import (
    AccountActivities,
    AgentActivities,
    NotificationActivities,
)
from durable_agent_team.contracts.call import CallRequest, CallResult
from tests.support.fakes import FakeWorld, Rule


class OnceEach(FakeWorld):
    """Answers a key again that it has answered before, as a gateway does; `made` has the tasks of
    the calls that it answered anew. `answers` decides as the `rule` of a `FakeWorld`."""

    def __init__(self, answers: Rule | None = None, seconds: float = 0) -> None:
        super().__init__(self._once)
        self.made: list[str] = []
        self._decide = answers
        self._seconds = seconds
        self._answers: dict[str, asyncio.Task[CallResult]] = {}

    async def _once(self, call: CallRequest) -> CallResult:
        key = call.idempotency_key
        if key not in self._answers:
            self._answers[key] = asyncio.create_task(self._answer(call))
        try:
            return await asyncio.shield(self._answers[key])
        finally:
            if self._answers[key].done() and self._answers[key].exception() is not None:
                del self._answers[key]  # a refusal leaves the key open

    async def _answer(self, call: CallRequest) -> CallResult:
        await asyncio.sleep(self._seconds)
        answered = self._decide(call) if self._decide else None
        if asyncio.iscoroutine(answered):
            answered = await answered
        result = answered if isinstance(answered, CallResult) else self.answer(call)
        self.book(call, result.cost_usd)
        self.made.append(call.task)
        return result


class Worlds(AccountActivities, AgentActivities, NotificationActivities):
    """Passes every activity on to the world of its run, by the workflow's id."""

    def __init__(self, new: Callable[[], FakeWorld]) -> None:
        self.of: defaultdict[str, FakeWorld] = defaultdict(new)

    @property
    def activities(self) -> list[Any]:
        return [self._passing_on(each.__name__) for each in FakeWorld().activities]

    def _passing_on(self, name: str) -> Any:
        interfaces = (AccountActivities, AgentActivities, NotificationActivities)
        interface = next(each for each in interfaces if hasattr(each, name))
        hints = dict(getattr(interface, name).__annotations__)

        async def pass_on(*arguments: Any) -> Any:
            world = self.of[str(activity.info().workflow_id)]
            return await getattr(world, name)(*arguments)

        async def one(argument: Any) -> Any:
            return await pass_on(argument)

        async def none() -> Any:
            return await pass_on()

        made = one if len(hints) > 1 else none
        made.__annotations__ = (
            {"argument": next(iter(hints.values())), "return": hints["return"]}
            if len(hints) > 1
            else hints
        )
        return activity.defn(name=name)(made)
