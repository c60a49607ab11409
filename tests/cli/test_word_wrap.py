"""Lines that fit a terminal, without a broken word."""

from hypothesis import given
from hypothesis import strategies as st

from durable_agent_team.cli.word_wrap import LEAST, cells, clip_words, wrap_line

LINES = st.lists(st.text("abc市é…", min_size=1, max_size=30), min_size=1, max_size=20).map(" ".join)
WIDTHS = st.integers(LEAST, 100)


@given(LINES, WIDTHS)
def test_words_are_whole_and_in_order(line: str, width: int) -> None:
    lines = wrap_line(line, width, "  ")
    assert " ".join(lines).split() == line.split()
    assert all(cells(each) <= width or len(each.split()) == 1 for each in lines)


@given(LINES, WIDTHS)
def test_a_line_is_cut_after_a_word(line: str, width: int) -> None:
    cut = clip_words(line, width)
    assert cells(cut) <= width
    kept = cut.removesuffix("…").rstrip()
    assert line.startswith(kept)
    if cut != line and " " in kept:
        assert line[len(kept) :].startswith(" ")
