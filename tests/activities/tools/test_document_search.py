"""Documents are found by words and read by ranges, in a bounded size and a linear time."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.tools.built_in.document_search import MAX_HITS, folded_text, read, search
from activities.tools.built_in.exceptions import ToolMistake
from tests.support.cpu_time import cpu_within
from tests.support.fuzzing import examples

POLICY = "Refund policy.\n" + "Nothing here. " * 40 + "\nA refund takes 14 days, in cash never."
DOCUMENTS = {"policy.md": POLICY, "notes/İstanbul.md": "İİİ: REFUNDS of the branch: ask Ada."}


def test_places_are_shown_with_positions_that_reading_takes() -> None:
    text = search("refund", DOCUMENTS, 5)
    assert text.startswith("3 places with 'refund':")
    found = re.match(r"characters (\d+) to (\d+)\]\n", text.split("[policy.md, ")[2])
    assert found is not None
    start, end = int(found[1]), int(found[2])
    assert "A refund takes 14 days" in read("policy.md", POLICY, start, end - start + 1, 10_000)
    assert "[notes/İstanbul.md, characters 0" in text, "case is ignored, positions stay"


def test_words_that_do_not_stand_together_find_the_passages_with_most_of_them() -> None:
    text = search("cash days refund", DOCUMENTS, 2)
    assert "nowhere as it is" in text
    assert "14 days, in cash" in text.split("\n\n")[1]


def test_more_hits_than_are_shown_are_counted() -> None:
    documents = {"long.txt": ("needle" + " hay" * 200) * 50}
    text = search("needle", documents, 3)
    assert text.startswith("50 places with 'needle', of which the first are shown:")
    assert text.count("[long.txt, ") == 3
    assert search("needle", documents, 10_000).count("[long.txt, ") == MAX_HITS


@pytest.mark.parametrize("query", ["", "   ", "x" * 201])
def test_a_query_that_finds_nothing_sensible_is_refused(query: str) -> None:
    with pytest.raises(ToolMistake, match="query"):
        search(query, DOCUMENTS, 5)


def test_nothing_found_names_what_was_searched() -> None:
    assert search("zebra", DOCUMENTS, 5) == (
        "Nothing of 'zebra' is in policy.md, notes/İstanbul.md."
    )
    assert "there are none" in search("zebra", {}, 5)


def test_a_part_of_a_document_says_where_to_read_on() -> None:
    assert read("d", "abcdefghij", 3, 4, 100) == (
        "[characters 3 to 6 of 10; read on with start: 7]\ndefg"
    )
    assert read("d", "abcdefghij", 0, None, 100) == "abcdefghij"
    assert read("d", "", 0, None, 100) == ""
    for start in (10, -1):
        with pytest.raises(ToolMistake, match="d has the characters 0 to 9"):
            read("d", "abcdefghij", start, None, 100)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("a" * 3_000_000, "a" * 199 + "b"),
        ("ab " * 1_000_000, "q w e r t z u i"),
        ("İ" * 10**6, "i"),
    ],
)
def test_a_search_takes_a_time_that_is_linear_in_the_documents(text: str, query: str) -> None:
    with cpu_within(seconds=6):
        assert len(search(query, {"d": text}, 20)) < 20_000


@settings(max_examples=examples(100))
@given(st.text(max_size=300), st.integers(200, 400))
def test_a_document_read_in_parts_is_the_document(text: str, max_bytes: int) -> None:
    parts, start = [], 0
    while start < len(text):
        part = read("d", text, start, None, max_bytes)
        body = part.partition("]\n")[2] if start or len(part) < len(text) else part
        assert len(body.encode("utf-8", "replace")) <= max_bytes
        parts.append(body)
        start += len(body)
    assert "".join(parts) == text


@settings(max_examples=examples(100))
@given(st.text(max_size=60))
def test_folding_keeps_every_position(text: str) -> None:
    assert len(folded_text(text)) == len(text)
