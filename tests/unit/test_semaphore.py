"""A semaphore that is resized while it is held."""

import asyncio
import random

import pytest

from workflows.tasks.semaphore import CallSemaphore


class Crowd:
    """Tasks that each hold a place until the test releases it."""

    def __init__(self, places: CallSemaphore) -> None:
        self.places = places
        self.inside: list[int] = []
        self._doors: dict[int, asyncio.Event] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def arrive(self, number: int) -> None:
        self._doors[number] = asyncio.Event()
        self._tasks[number] = asyncio.create_task(self._stay(number))
        await settle()

    async def leave(self, number: int) -> None:
        self._doors[number].set()
        await settle()

    async def give_up(self, number: int) -> None:
        self._tasks[number].cancel()
        await settle()

    async def _stay(self, number: int) -> None:
        async with self.places.one():
            self.inside.append(number)
            try:
                await self._doors[number].wait()
            finally:
                self.inside.remove(number)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_growing_admits_waiters_in_order() -> None:
    crowd = Crowd(CallSemaphore(1))
    for number in range(4):
        await crowd.arrive(number)
    assert crowd.inside == [0]
    crowd.places.resize(3)
    await settle()
    assert crowd.inside == [0, 1, 2]


async def test_shrinking_revokes_no_place_and_admits_no_one_until_there_is_room() -> None:
    crowd = Crowd(CallSemaphore(3))
    for number in range(5):
        await crowd.arrive(number)
    crowd.places.resize(1)
    await settle()
    assert crowd.inside == [0, 1, 2]
    await crowd.leave(0)
    await crowd.leave(1)
    assert crowd.inside == [2]
    await crowd.leave(2)
    assert crowd.inside == [3]


async def test_shrinking_removes_free_places_first() -> None:
    crowd = Crowd(CallSemaphore(5))
    crowd.places.resize(2)
    for number in range(4):
        await crowd.arrive(number)
    assert crowd.inside == [0, 1]


@pytest.mark.parametrize("seed", range(40))
async def test_as_many_places_are_held_as_the_size_allows(
    seed: int,
) -> None:
    chance, size = random.Random(seed), 3
    crowd, allowed, waiting = Crowd(CallSemaphore(3)), 3, list[int]()
    for number in range(150):
        match chance.choice(["arrive", "arrive", "leave", "give up", "resize"]):
            case "arrive":
                await crowd.arrive(number)
                waiting.append(number)
            case "leave" if crowd.inside:
                await crowd.leave(chance.choice(crowd.inside))
            case "give up" if waiting:
                await crowd.give_up(chance.choice(waiting))
                waiting = [each for each in waiting if not crowd._tasks[each].done()]
            case "resize":
                size = chance.randint(1, 6)
                crowd.places.resize(size)
                await settle()
        waiting = [
            each for each in waiting
            if each not in crowd.inside and not crowd._tasks[each].done()
        ]  # fmt: skip
        allowed = max(size, min(allowed, len(crowd.inside)))
        assert len(crowd.inside) <= allowed
        assert len(crowd.inside) >= size or not waiting
