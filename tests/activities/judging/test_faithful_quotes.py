"""A faithful copy passes in any encoding and typography; an altered word or number never does."""

import unicodedata
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.judging.quotes import missing_quotes
from tests.support.cpu_time import cpu_within


def is_faithful(quote: str, source: str) -> bool:
    return not list(missing_quotes([quote], [source]))


@pytest.mark.parametrize(
    ("quote", "source"),
    [
        ("café au lait", "The cafe\u0301 au lait."),
        ("The cafe\u0301", "The café au lait."),
        ("the first profit", "the ﬁrst proﬁt"),
        ("the ﬁrst proﬁt", "the first profit"),
        ("efficient staff", "eﬃcient staﬀ"),
        ("co\u00adoperation", "cooperation with all"),
        ("cooperation", "co\u00adopera\u00adtion with all"),
        ("1990-2000", "in 1990–2000 or"),
        ("1990–2000", "in 1990-2000 or"),
        ("cost-benefit", "a cost–benefit analysis"),
        ("growth - and loss", "growth — and loss"),
        ("minus −5 degrees", "minus -5 degrees"),
        ("well\u2011known", "a well-known maker"),
        ("10 000 bikes", "of 10\u202f000\u00a0bikes"),
        ("it's “over”", "it’s „over‟ now"),
        ("‹so› «it» is", "'so' \"it\" is"),
        ("zero width", "zero\u200b \ufeffwidth\u2060"),
        ("zero\u200bwidth", "zerowidth"),
        ("a hyphenated word", "a hyphen-\nated word"),
        ("a well-known word", "a well-\nknown word"),
        ("a hyphen-\nated word", "a hyphenated word"),
        ("a hyphen- ated word", "a hyphen-\nated word"),
        ("the COVID-19 year", "the COVID-\n19 year"),
        ("pages 5-10", "pages 5-\n10"),
        ("a well-known hyphenated word", "a well-\nknown hyphen-\r\n  ated word"),
        ("a soft break here", "a soft\u00ad\nly? no: a so\u00adft break here"),
        ("and so on...", "and so on…"),
        ("5 μg a day", "of 5 µg a day"),
        ("rose by a tenth", "rose by a tenth¹ and"),
        ("売上は増えた", "昨年の売上は増えたと言う"),
        ("5 million", "of $5 million."),
        ("It was 5", "It was 5. Then"),
        ("up 12, down 3", "up 12, down 3"),
        ("19 cases", "the COVID-19 cases"),
    ],
)
def test_a_faithful_copy_is_accepted(quote: str, source: str) -> None:
    assert is_faithful(quote, source)


@pytest.mark.parametrize(
    ("quote", "source"),
    [
        ("102 times", "10² times"),
        ("x2 grows", "x² grows"),
        ("1/2 of it", "½ of it"),
        ("510 pages", "pages 5-\n10 pages"),
        ("able to pay", "unable to pay"),
        ("profit organisations", "the non-profit organisations"),
        ("profit organisations", "the non\u2011profit organisations"),
        ("it contains fat", "it contains fat-free milk"),
        ("they can", "they can't pay"),
        ("they can", "they cannot pay"),
        ("they did", "they didn’t pay"),
        ("5 million", "-5 million"),
        ("5 million", "of −5 million"),
        ("5 million", "1.5 million"),
        ("5 million", "15 million"),
        ("5 million", "1,5 million"),
        ("sold 1", "sold 1,000 bikes"),
        ("sold 1", "sold 1.5 bikes"),
        ("sold 10", "sold 100 bikes"),
        ("rose by 5", "rose by 5% in"),
        ("rose by 10", "rose by 10² in"),
        ("10 percent", "5–10 percent"),
        ("-5 apples", "2-5 apples"),
        ("5 apples", "±5 apples"),
        ("resign now", "re-sign now"),
        ("wellknown", "a well-known maker"),
        ("well-known", "a wellknown maker"),
        ("not profitable", "profitable"),
        ("Demand rose", "demand rose"),
        ("cafe", "the café"),
        ("resume", "résumé"),
        ("e", "e\u0301"),
        ("wordword", "word—word"),
        ("the hand", "the handle"),
        ("the COVID19 year", "the COVID-\n19 year"),
    ],
)
def test_an_altered_copy_is_refused(quote: str, source: str) -> None:
    assert not is_faithful(quote, source)


def test_a_quote_that_its_schema_cut_may_end_inside_a_word() -> None:
    source = "ab " * 120
    assert is_faithful("ab " * 99 + "ab ", source)
    assert is_faithful(source[1:], "x" + source) is False
    assert is_faithful(("ab " * 100)[:299] + "a", ("ab " * 100)[:299] + "abc")


words = st.lists(st.text("aeiäöüéñçfil", min_size=2, max_size=7), min_size=3, max_size=9)
"""With what has ligatures, and composed and decomposed forms."""

TYPOGRAPHY = {
    " ": [" ", "  ", "\u00a0", "\u202f", "\n", "\r\n\t", " \u200b"],
    "-": ["-", "\u2010", "\u2011", "–", "—", "−"],
    '"': ['"', "“", "”", "„", "«", "»"],
    "'": ["'", "‘", "’"],
}


@st.composite
def retyped(draw: st.DrawFn, text: str) -> str:
    """The same text as another editor, printer or model would write it."""
    form: Literal["NFC", "NFD"] = draw(st.sampled_from(["NFC", "NFD"]))
    parts: list[str] = []
    for char, following in zip(text, [*text[1:], " "], strict=True):
        parts.append(draw(st.sampled_from(TYPOGRAPHY[char])) if char in TYPOGRAPHY else char)
        # Within words: a soft hyphen at the end of a line divides a word.
        if char.isalpha() and following.isalpha() and draw(st.integers(0, 7)) == 0:
            parts.append(draw(st.sampled_from(["\u00ad", "\u200b", "\u2060"])))
    written = unicodedata.normalize(form, "".join(parts))
    if draw(st.booleans()):
        for letters, ligature in (("ffi", "ﬃ"), ("fi", "ﬁ"), ("fl", "ﬂ"), ("ff", "ﬀ")):
            written = written.replace(letters, ligature)
    return written


@settings(max_examples=80, deadline=None)
@given(data=st.data(), before=words, passage=words, after=words)
def test_any_retyped_copy_is_faithful(
    data: st.DataObject, before: list[str], passage: list[str], after: list[str]
) -> None:
    joiner = data.draw(st.sampled_from([" ", ' "', "' ", " - ", "-"]))
    text = joiner.join(passage)
    source = data.draw(retyped(" ".join([*before, text, *after])))
    assert is_faithful(data.draw(retyped(text)), source)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), passage=words, number=st.integers(1, 99_999))
def test_no_altered_copy_is_faithful(data: st.DataObject, passage: list[str], number: int) -> None:
    """One letter, digit or sign is another one, is missing, or is added."""
    at = data.draw(st.integers(1, len(passage) - 1))
    text = " ".join([*passage[:at], str(number), *passage[at:]])
    place = data.draw(st.sampled_from([i for i, char in enumerate(text) if char != " "]))
    added = data.draw(st.sampled_from("xz07-²"))
    kept = data.draw(st.booleans())
    altered = text[:place] + added + text[place + (not kept) :]
    source = data.draw(retyped(f"zz {text} zz"))
    if altered != text:
        assert not is_faithful(altered, source)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), passage=words)
def test_any_word_may_be_hyphenated_at_a_line_end(data: st.DataObject, passage: list[str]) -> None:
    source: list[str] = []
    for word in passage:
        at = data.draw(st.integers(1, len(word)))
        source.append(f"{word[:at]}-\n{word[at:]}" if at < len(word) else word)
    assert is_faithful(" ".join(passage), " ".join(["zz", *source, "zz"]))


@pytest.mark.parametrize(
    ("quote", "source"),
    [
        ("a" * 500, "a" * 100_000),
        ("b-" * 200 + "c", "b-\n" * 30_000),
        ("é ﬁ - x", "é ﬁ — " * 20_000),
    ],
)
def test_long_texts_are_compared_within_a_second(quote: str, source: str) -> None:
    with cpu_within(seconds=1):
        is_faithful(quote, source)
