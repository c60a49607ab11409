"""The real gateway with the scripted upstream behind it, and the activities in front."""

from collections.abc import AsyncIterator

import pytest

from tests.activities.support import Rooms, rooms_at
from tests.support.gateway import running_gateway
from tests.support.upstream import ScriptedUpstream


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as server:
        yield server


@pytest.fixture
async def rooms(upstream: ScriptedUpstream) -> AsyncIterator[Rooms]:
    async with (
        running_gateway(upstream.url) as gateway,
        rooms_at(gateway.base_url, gateway.parent_key) as rooms,
    ):
        yield rooms
