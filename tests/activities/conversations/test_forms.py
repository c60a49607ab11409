"""The base form with what a worker knows leads to the same body as the whole form."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.calls.request_body import body
from activities.conversations.known_conversations import KnownConversations, UnknownConversation
from durable_agent_team.contracts.call import CallRequest, Source
from durable_agent_team.contracts.conversation import Entry, Said, ToolCall, ToolMessage, Turn
from durable_agent_team.contracts.text_ref import json_bytes_of
from durable_agent_team.payloads.converter import DATA_CONVERTER
from durable_agent_team.rules.tools.compaction import KEPT_RESULTS, compacted, in_place_of
from durable_agent_team.rules.tools.conversation_forms import in_base_form
from durable_agent_team.rules.tools.conversation_hash import extended, head_hash
from durable_agent_team.rules.tools.conversation_size import entries_bytes
from tests.activities.conversations.support import turn

texts = st.text(max_size=60)
calls = st.builds(
    ToolCall,
    id=st.uuids().map(str),
    name=st.sampled_from(["look", "pick", "no such tool"]),
    arguments=st.dictionaries(texts, texts | st.integers(), max_size=2).map(json.dumps),
)


@st.composite
def steps(draw: st.DrawFn) -> list[Entry]:
    """What one turn adds: calls and results, or a rejected answer."""
    if draw(st.booleans()):
        said = draw(st.lists(calls, min_size=1, max_size=3))
        results = [
            ToolMessage(id=each.id, name=each.name, text=draw(st.text(max_size=400)))
            for each in said
        ]
        content = draw(texts)
        return [Entry(turn=Turn(content=content, calls=tuple(said))), Entry(results=tuple(results))]
    return [
        Entry(said=Said(role="assistant", text=draw(texts))),
        Entry(said=Said(role="user", text=draw(texts))),
    ]


async def travelled(request: CallRequest) -> CallRequest:
    """The request as it comes out of its payload."""
    payloads = await DATA_CONVERTER.encode([request])
    (decoded,) = await DATA_CONVERTER.decode(payloads, [CallRequest])
    assert isinstance(decoded, CallRequest)
    return decoded


@given(
    turns=st.lists(steps(), max_size=6),
    compactions=st.lists(st.booleans(), min_size=6, max_size=6),
    misses=st.lists(st.booleans(), min_size=7, max_size=7),
    native=st.booleans(),
)
async def test_both_forms_give_the_same_body(
    turns: list[list[Entry]], compactions: list[bool], misses: list[bool], native: bool
) -> None:
    known, entries = KnownConversations(), list[Entry]()
    base, base_entries = None, 0
    more: dict[str, Any] = {"sources": (Source(name="a.md", text="Ä text."),), "native": native}
    for number, forgets in enumerate(misses[: len(turns) + 1]):
        whole = turn(entries, **more)
        assert whole.conversation is not None
        asked = whole
        if base is not None:
            asked = await travelled(in_base_form(whole, base, base_entries))
            assert asked.ask == asked.system == ""
            assert not asked.sources
        if forgets:
            known = KnownConversations()
        try:
            found = known.whole(asked)
        except UnknownConversation:
            assert forgets
            asked = await travelled(whole)
            found = known.whole(asked)
        assert body(found) == body(whole)
        known.keep(found, asked)
        base, base_entries = whole.conversation.whole, len(entries)
        if number < len(turns):
            entries += turns[number]
            if compactions[number]:
                smaller = compacted(entries, entries_bytes(entries), 1_000)
                if smaller != entries:
                    entries, base = smaller, None


def test_a_base_that_is_another_conversation_is_not_known() -> None:
    known, first = KnownConversations(), turn()
    known.keep(first, first)
    assert first.conversation is not None
    added = Entry(said=Said(role="user", text="more"))
    part = in_base_form(turn([added]), first.conversation.whole, 0)
    assert known.whole(part).conversation is not None
    wrong = part.conversation
    assert wrong is not None
    other = wrong.model_copy(update={"entries": (Entry(said=Said(role="user", text="else")),)})
    with pytest.raises(UnknownConversation):
        known.whole(part.model_copy(update={"conversation": other}))
    with pytest.raises(UnknownConversation):
        KnownConversations().whole(part)


def test_a_turn_with_a_wrong_hash_is_not_kept() -> None:
    known, first = KnownConversations(), turn()
    assert first.conversation is not None
    lying = first.conversation.model_copy(update={"whole": "0" * 64})
    told = first.model_copy(update={"conversation": lying})
    known.keep(told, told)
    with pytest.raises(UnknownConversation):
        known.whole(in_base_form(turn(), "0" * 64, 0))


def test_the_cache_is_bounded_by_bytes() -> None:
    known = KnownConversations(max_bytes=2_500)
    turns = [turn(ask=f"Do {number}.") for number in range(4)]
    for each in turns:
        known.keep(each, each)
    for each, is_kept in zip(turns, (False, False, True, True), strict=True):
        assert each.conversation is not None
        part = in_base_form(each, each.conversation.whole, 0)
        if is_kept:
            assert body(known.whole(part)) == body(each)
        else:
            with pytest.raises(UnknownConversation):
                known.whole(part)


def test_everything_that_the_prompt_begins_with_is_in_the_hash() -> None:
    changes: list[dict[str, Any]] = [
        {"system": "Other."},
        {"ask": "Other."},
        {"output": {"type": "object"}},
        {"sources": (Source(name="a", text="b"),)},
        {"missing": ("x",)},
        {"native": False},
    ]
    whole = [each.conversation for each in (turn(), *(turn(**each) for each in changes))]
    assert len({each.whole for each in whole if each is not None}) == len(changes) + 1


def test_an_entry_changes_the_hash_whichever_part_of_it_changes() -> None:
    call = ToolCall(id="1", name="look", arguments="{}")
    some = [
        Entry(turn=Turn(calls=(call,))),
        Entry(turn=Turn(calls=(call,), content="x")),
        Entry(turn=Turn(calls=(call,), carried='{"a": 1}')),
        Entry(turn=Turn(calls=(call.model_copy(update={"arguments": '{"a": 1}'}),))),
        Entry(results=(ToolMessage(id="1", name="look", text="a"),)),
        Entry(said=Said(role="user", text="a")),
    ]
    head = head_hash(turn(), "0" * 64, native=True)
    assert len({extended(head, [each]) for each in some}) == len(some)


def results(*sizes: int) -> list[Entry]:
    return [
        Entry(results=(ToolMessage(id=str(number), name="look", text="x" * size),))
        for number, size in enumerate(sizes)
    ]


def test_the_oldest_results_make_room_and_the_last_three_stay() -> None:
    entries = results(1_000, 1_000, 1_000, 1_000, 1_000, 1_000)
    assert compacted(entries, 6_000, 6_000) == entries
    smaller = compacted(entries, 6_000, 5_999)
    shown = [each.results[0].text for each in smaller]
    assert shown[:3] == ["[removed: 1000 bytes of look]"] * 3
    assert shown[3:] == ["x" * 1_000] * 3
    assert compacted(smaller, 3_200, 3_000) == smaller, "nothing is left to remove"


def test_as_many_are_removed_as_half_of_the_room_needs() -> None:
    entries = results(*[1_000] * 10)
    smaller = compacted(entries, 10_000, 9_000)
    removed = [each for each in smaller if each.results[0].text.startswith("[removed")]
    assert len(removed) == 6, "from 10,000 to below 4,500"


@given(sizes=st.lists(st.integers(0, 300), max_size=12), room=st.integers(0, 3_000))
def test_compaction_is_stable_and_never_grows(sizes: list[int], room: int) -> None:
    entries = results(*sizes)
    size = entries_bytes(entries)
    once = compacted(entries, size, room)
    assert entries_bytes(once) <= size
    assert once[-3:] == entries[-3:]
    assert compacted(once, entries_bytes(once), max(room, entries_bytes(once))) == once
    assert [each.results[0].id for each in once] == [each.results[0].id for each in entries]


@given(turns=st.lists(steps(), max_size=8), room=st.integers(0, 6_000))
def test_compaction_takes_texts_of_old_results_and_nothing_else(
    turns: list[list[Entry]], room: int
) -> None:
    """Every call keeps its result, in its place; what the model said stays word for word."""
    entries = [entry for each in turns for entry in each]
    size = entries_bytes(entries)
    smaller = compacted(entries, size, room)
    assert len(smaller) == len(entries)
    for entry, kept in zip(entries, smaller, strict=True):
        assert (entry.turn, entry.said) == (kept.turn, kept.said)
        pairs = [(each.id, each.name) for each in entry.results]
        assert [(each.id, each.name) for each in kept.results] == pairs
    old = [each for entry in entries for each in entry.results]
    new = [each for entry in smaller for each in entry.results]
    removed = [number for number, each in enumerate(new) if each.removed]
    assert all(number < len(old) - KEPT_RESULTS for number in removed)
    for number, (before, after) in enumerate(zip(old, new, strict=True)):
        expected = in_place_of(before) if number in removed else before.whole
        assert after.whole == expected
        assert json_bytes_of(after.whole) <= json_bytes_of(before.whole)
    if size <= room:
        assert smaller == entries
    elif entries_bytes(smaller) > room:  # it says so by being larger: there is nothing left
        for number, each in enumerate(old[:-KEPT_RESULTS]):
            text = in_place_of(each)
            assert number in removed or json_bytes_of(text) >= json_bytes_of(each.whole)
    assert compacted(smaller, entries_bytes(smaller), room) == smaller


def test_what_stands_for_a_result_names_it() -> None:
    assert in_place_of(ToolMessage(id="1", name="look", text="äb")) == "[removed: 3 bytes of look]"
