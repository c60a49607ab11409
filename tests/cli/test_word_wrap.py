"""Lines that fit a terminal, without a broken word."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_agent_team.cli.output import for_reader, print_text
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


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


PROSE = "The licence demands that every copy carries the notice of copyright and this text. " * 3
TABLE = "facts          research      done      12 s          3      0.000123      prices, demand"
COMMAND = (
    "    .venv/bin/python starter.py budget market-brief-20261128-2301-x7k2 price-analyst 0.1033"
)


def test_a_terminal_gets_whole_words_and_a_pipe_the_text_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    text = "\n".join([PROSE, TABLE, COMMAND])
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stdout", stream)
        print_text(text)
        lines = stream.getvalue().splitlines()
        if stream.isatty():
            assert lines[-2:] == [TABLE, COMMAND]
            assert all(cells(line) <= 60 for line in lines[:-2])
            assert " ".join(lines[:-2]).split() == PROSE.split()
            assert for_reader('{"a":1}') == '{\n  "a": 1\n}'
        else:
            assert stream.getvalue() == f"{text}\n"
            assert for_reader('{"a":1}') == '{"a":1}'
