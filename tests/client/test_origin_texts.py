"""What the store of large texts has lost is not taken over."""

from dataclasses import replace
from decimal import Decimal

import pytest

from durable_agent_team.blobs.store import BlobsUnreachable, NoBlobs
from durable_agent_team.blobs.texts import Texts
from durable_agent_team.client.origin_texts import without_lost_texts
from durable_agent_team.contracts.text_ref import reference_to
from durable_agent_team.rules.ended_run import EndedRun, Made
from durable_agent_team.rules.seed_selection import seed_for_rerun
from tests.support.memory_blobs import MemoryBlobs
from tests.unit.test_seeds import DIAMOND, ended_run, team_of

LARGE = "A large text. " * 100


def by_reference(ended: EndedRun) -> EndedRun:
    handoffs = {
        name: Made(reference_to(LARGE + name), Decimal(1), None, "m", "run-1")
        for name in ended.handoffs
    }
    return replace(ended, handoffs=handoffs)


async def test_a_lost_handoff_is_made_anew_and_so_is_what_is_behind_it() -> None:
    texts = Texts(MemoryBlobs())
    for name in DIAMOND:
        if name != "b":
            await texts.keep(LARGE + name)
    team = team_of(DIAMOND)
    ended = by_reference(ended_run(team))
    seed = seed_for_rerun(await without_lost_texts(ended, texts), (), team)
    assert set(seed.tasks) == {"a", "c", "e", "f"}
    assert seed.answer is None


async def test_texts_that_travel_themselves_need_no_store() -> None:
    ended = ended_run(team_of(DIAMOND))
    assert await without_lost_texts(ended, Texts(NoBlobs())) == ended
    with pytest.raises(BlobsUnreachable, match="EXTERNAL_STORAGE"):
        await without_lost_texts(by_reference(ended), Texts(NoBlobs()))
