"""Payloads in external storage: large ones go there, and what people read stays in the history."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from temporalio.api.common.v1 import Payload

from durable_agent_team.blobs.store import BlobMissing, BlobsUnreachable, NoBlobs
from durable_agent_team.contracts.call import CallResult
from durable_agent_team.contracts.control import AdjustBudget
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Agent, Team
from durable_agent_team.payloads.blob_driver import NAME
from durable_agent_team.payloads.converter import DATA_CONVERTER, data_converter, store_of
from tests.support.memory_blobs import MemoryBlobs

AGENT = Agent(role="r", instructions="Be exact. " * 700)
LARGE = RunRequest(team=Team(name="t", goal="g", budget_usd=Decimal(1), agents={"a": AGENT}))
PAID = CallResult(
    answer="x" * 100_000,
    cost_usd=Decimal(1),
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
    seconds=1,
)


async def test_a_large_payload_is_in_the_store_and_is_read_back() -> None:
    store = MemoryBlobs()
    converter = data_converter(store)
    [payload] = await converter.encode([LARGE])
    assert len(payload.SerializeToString()) < 600
    assert NAME.encode() in payload.data
    assert await converter.decode([payload], [RunRequest]) == [LARGE]
    [again] = await converter.encode([LARGE])
    assert again == payload
    assert len(store.kept) == 1, "equal payloads are stored once"


async def test_a_small_one_and_a_paid_answer_stay_in_the_history() -> None:
    store = MemoryBlobs()
    store.away = True
    converter = data_converter(store)
    small = AdjustBudget(agent="a", budget_usd=Decimal(1))
    payloads = await converter.encode([small, PAID])
    assert PAID.answer.encode() in payloads[1].data
    assert await converter.decode(payloads, [AdjustBudget, CallResult]) == [small, PAID]


async def test_the_threshold_is_a_setting() -> None:
    [payload] = await data_converter(MemoryBlobs(), threshold_bytes=100_000).encode([LARGE])
    assert AGENT.instructions.encode() in payload.data


async def test_without_a_store_everything_stays_and_a_reference_says_what_to_set() -> None:
    [stored] = await data_converter(MemoryBlobs()).encode([LARGE])
    [inline] = await DATA_CONVERTER.encode([LARGE])
    assert AGENT.instructions.encode() in inline.data
    with pytest.raises(BlobsUnreachable, match=r"set EXTERNAL_STORAGE \(and ATXP_API_KEY"):
        await DATA_CONVERTER.decode([stored], [RunRequest])


async def test_a_payload_that_is_gone_is_named_with_its_place() -> None:
    store = MemoryBlobs()
    [payload] = await data_converter(store).encode([LARGE])
    [name] = store.kept
    store.kept.clear()
    with pytest.raises(BlobMissing, match=f"{name} in memory"):
        await data_converter(store).decode([payload], [RunRequest])


async def test_an_inline_message_that_temporal_would_refuse_is_stored() -> None:
    store = MemoryBlobs()
    huge = PAID.model_copy(update={"answer": "x" * 1_600_000})
    [payload] = await data_converter(store).encode([huge])
    assert len(payload.data) < 1_000
    assert isinstance(payload, Payload)


def test_the_store_of_a_converter_is_found() -> None:
    store = MemoryBlobs()
    assert store_of(data_converter(store)) is store
    assert isinstance(store_of(DATA_CONVERTER), NoBlobs)
