"""All cases are played once for the session, all at once: each takes a second or two."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.injection.attacker import Servers
from tests.injection.case import all_cases
from tests.injection.house import House, Played
from tests.support.packages import all_rooms
from tests.support.serving import listening
from tests.support.temporal import server

AT_ONCE = 12


@pytest.fixture(scope="session")
async def played() -> AsyncIterator[dict[tuple[str, str | None], Played]]:
    """By the case's name and what `approve` says: None as it comes, `never` without a defence."""
    servers = Servers()
    async with (
        server() as environment,
        all_rooms(environment.client) as rooms,
        listening(servers.app()) as url,
    ):
        house, places = House(rooms, servers, url), asyncio.Semaphore(AT_ONCE)
        found: dict[tuple[str, str | None], Played] = {}

        async def one(number: int) -> None:
            case, approve = plays[number]
            async with places:
                found[case.name, approve] = await house.play(case, approve)

        plays = [(case, approve) for case in all_cases() for approve in (None, "never")]
        async with asyncio.TaskGroup() as group:
            for number in range(len(plays)):
                group.create_task(one(number))
        yield found
