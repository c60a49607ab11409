"""References: they have the sizes of their texts, and what refers to them is read in full."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.calls import request_body
from durable_agent_team.blobs.store import BlobsUnreachable, NoBlobs
from durable_agent_team.blobs.texts import Texts, call_in_full, stored_request
from durable_agent_team.contracts.call import AccountRef, CallRequest, Rejected, Source
from durable_agent_team.contracts.run import RunRequest, TaskOutcome, TaskState, TaskStatus
from durable_agent_team.contracts.team import Agent, Team
from durable_agent_team.contracts.text_ref import TextRef, json_bytes_of, preview_of, reference_to
from durable_agent_team.rules.bounds import text_bytes
from durable_agent_team.rules.encoded_size import encoded_bytes
from tests.support.memory_blobs import MemoryBlobs

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=400).map(lambda text: text * 5)
ACCOUNT = AccountRef(agent="reader", account_id="a", sealed_key="k")


def call_of(sources: list[str], rejected: str | None, output: str) -> CallRequest:
    return CallRequest.model_validate(
        {
            "idempotency_key": "key",
            "account": ACCOUNT,
            "task": "t",
            "model": "m",
            "max_tokens": 10,
            "system": "You are a reader.",
            "ask": "Read.",
            "sources": [Source(name=f"s{n}", text=text) for n, text in enumerate(sources)],
            "rejected": None
            if rejected is None
            else Rejected(answer=rejected, reasons=("no", "not at all")),
            "output": output,
        }
    )


@given(TEXTS)
def test_a_reference_has_the_sizes_of_its_text(text: str) -> None:
    ref = reference_to(text)
    assert ref.bytes == len(text.encode())
    assert ref.json_bytes == json_bytes_of(text) == encoded_bytes(text)
    assert ref.json_bytes == len(json.dumps(text, ensure_ascii=False).encode())
    assert "\n" not in preview_of(ref)
    assert encoded_bytes(ref) < 1_000


@settings(max_examples=50, deadline=None)
@given(st.lists(TEXTS, max_size=3), st.none() | TEXTS, st.sampled_from(["text", "findings"]))
async def test_a_call_by_reference_is_the_same_call(
    sources: list[str], rejected: str | None, output: str
) -> None:
    """The same body, so the same key may be used; and the same bound of its cost."""
    texts = Texts(MemoryBlobs(), least_bytes=0)
    whole = call_of(sources, rejected, output)
    kept = [Source.of(each.name, await texts.keep(each.text)) for each in whole.sources]
    changes: dict[str, object] = {"sources": tuple(kept)}
    if whole.rejected is not None and isinstance(
        ref := await texts.keep(whole.rejected.answer), TextRef
    ):
        changes["rejected"] = Rejected(answer_ref=ref, reasons=whole.rejected.reasons)
    by_reference = whole.model_copy(update=changes)
    read = await call_in_full(
        CallRequest.model_validate_json(by_reference.model_dump_json(exclude_unset=True)), texts, 0
    )
    assert request_body.body(read) == request_body.body(whole)
    assert text_bytes(by_reference) == text_bytes(whole)


async def test_a_part_of_a_text_is_bounded_by_its_characters() -> None:
    texts = Texts(MemoryBlobs())
    kept = await texts.keep("漢字" * 4_000)
    call = call_of([], None, "text").model_copy(
        update={"sources": (Source.of("a", kept).model_copy(update={"first": 100}),)}
    )
    read = await call_in_full(call, texts, 0)
    assert read.sources[0].text == "漢字" * 50
    assert text_bytes(read) <= text_bytes(call) < 1_000


async def test_documents_are_stored_before_the_run_starts_and_short_ones_stay() -> None:
    store = MemoryBlobs()
    team = Team(name="t", goal="g", budget_usd=Decimal(1), agents={"a": Agent(role="r")})
    request = RunRequest(team=team, sources={"long": "x" * 100_000, "short": "y"})
    stored = await stored_request(request, Texts(store))
    assert stored.sources == {"short": "y"}
    assert stored.documents == {"long": reference_to("x" * 100_000)}
    assert set(stored.texts) == {"long", "short"}
    assert list(store.kept) == [stored.documents["long"].sha256]
    assert encoded_bytes(stored) < 1_000
    assert await stored_request(request, Texts(NoBlobs())) == request


async def test_short_means_short_as_json() -> None:
    """Reports have short hand-offs themselves, a thousand of them in a payload."""
    texts = Texts(MemoryBlobs())
    assert isinstance(await texts.keep("x" * 500), str)
    assert isinstance(await texts.keep("\0" * 100), TextRef)


def test_a_hand_off_of_a_report_is_whole_or_none() -> None:
    state = TaskState(
        id="a",
        agent="a",
        status=TaskStatus.DONE,
        depends_on=(),
        calls=1,
        spent_usd=Decimal(0),
        started_at=None,
        ended_at=None,
        failure=None,
    )
    ref = reference_to("A long text. " * 1_000)
    bare = ref.model_copy(update={"preview": ""})
    by_reference = TaskOutcome(task=state, output=ref.preview, output_cut=True, output_ref=bare)
    assert by_reference.handoff == ref
    assert TaskOutcome(task=state, output="cut", output_cut=True).handoff is None
    assert TaskOutcome(task=state, output="whole").handoff == "whole"


async def test_without_a_store_a_reference_names_what_to_set() -> None:
    call = call_of([], None, "text").model_copy(
        update={"sources": (Source.of("a", reference_to("x" * 1_000)),)}
    )
    with pytest.raises(BlobsUnreachable, match="EXTERNAL_STORAGE"):
        await call_in_full(call, Texts(NoBlobs()), 0)
