"""All cases are played once for the session, all at once: each takes a second or two."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.injection.attacker import Servers
from tests.injection.case import Case, all_cases
from tests.injection.house import House, Played, Plays
from tests.support.packages import all_rooms
from tests.support.serving import listening
from tests.support.temporal import server

AT_ONCE = 12


@pytest.fixture(scope="session")
async def played() -> AsyncIterator[Plays]:
    servers = Servers()
    async with (
        server() as environment,
        all_rooms(environment.client) as rooms,
        listening(servers.app()) as url,
    ):
        house, places = House(rooms, servers, url), asyncio.Semaphore(AT_ONCE)

        async def one(case: Case, approve: str | None) -> Played:
            async with places:
                return await house.play(case, approve)

        cases = all_cases()
        plays: list[tuple[Case, str | None]] = [(case, None) for case in cases]
        plays += [(case, "never") for case in cases if case.bites]
        ended = await asyncio.gather(*(one(*each) for each in plays), return_exceptions=True)
        yield Plays(
            {(case.name, approve): end for (case, approve), end in zip(plays, ended, strict=True)}
        )
