"""The encoded size is what the data converter writes, and a cut text fits what it is cut to."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from durable_agent_team.contracts.call import (
    AccountRef,
    CallRequest,
    CallResult,
    Rejected,
    Source,
)
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Agent, Task, Team
from durable_agent_team.payloads.converter import DATA_CONVERTER
from durable_agent_team.rules.encoded_size import cut_to_bytes, encoded_bytes, text_content_bytes

AWKWARD = '"\\/\x00\x1b\x7f\n\r\t\u2028é漢🚲'
TEXT = st.text(
    st.one_of(st.sampled_from(AWKWARD), st.characters(exclude_categories=["Cs"])), max_size=40
)
ACCOUNT = st.builds(AccountRef, agent=st.just("one"), account_id=TEXT, sealed_key=TEXT)
SOURCES = st.lists(st.builds(Source, name=TEXT, text=TEXT), max_size=3).map(tuple)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=8,
)
CALLS = st.builds(
    CallRequest,
    idempotency_key=TEXT,
    account=ACCOUNT,
    task=TEXT,
    model=TEXT,
    max_tokens=st.integers(1, 10**6),
    temperature=st.floats(0, 2),
    system=TEXT,
    goal=st.none() | TEXT,
    sources=SOURCES,
    ask=TEXT,
    rejected=st.none() | st.builds(Rejected, answer=TEXT, reasons=st.tuples(TEXT, TEXT)),
    output=st.just("text") | st.dictionaries(TEXT, VALUES, max_size=3),
)
RESULTS = st.builds(
    CallResult,
    answer=TEXT,
    reasons=st.tuples(TEXT),
    cost_usd=st.decimals(0, 1000, places=6),
    started_at=st.just(datetime(2026, 1, 1, tzinfo=UTC)),
    seconds=st.floats(0, 1000),
)
REQUESTS = st.builds(
    RunRequest,
    team=st.builds(
        Team,
        name=st.just("team"),
        budget_usd=st.just(Decimal("1.5")),
        agents=st.just({"one": Agent(role="Reader")}),
        tasks=st.tuples(
            st.builds(Task, id=st.just("a"), agent=st.just("one"), ask=TEXT.filter(bool))
        ),
    ),
    sources=st.dictionaries(TEXT.filter(bool), TEXT, max_size=3),
)


@given(st.one_of(CALLS, RESULTS, REQUESTS, VALUES))
def test_the_encoded_size_is_that_of_the_payload(value: Any) -> None:
    (payload,) = DATA_CONVERTER.payload_converter.to_payloads([value])
    if value is not None:  # the converter writes no JSON for it
        assert encoded_bytes(value) == len(payload.data)


@given(TEXT, st.integers(0, 250))
def test_a_text_is_cut_as_late_as_possible(text: str, most: int) -> None:
    kept = cut_to_bytes(text, most)
    assert text.startswith(kept)
    assert text_content_bytes(kept) <= most
    assert kept == text or text_content_bytes(text[: len(kept) + 1]) > most
