"""Patterns of ECMA 262 mean in Python what they mean there, or are refused with a remedy."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_agent_team.contracts.character_sets import complement, property_set, ranges_of
from durable_agent_team.contracts.ecma_patterns import PatternError, python_pattern
from durable_agent_team.contracts.output_schema import schema_problem
from tests.support.cpu_time import cpu_within


def found(pattern: str, text: str) -> bool:
    return re.search(python_pattern(pattern), text) is not None


@pytest.mark.parametrize(
    ("pattern", "texts", "others"),
    [
        (r"^\d+$", ["123"], ["١٢٣", "12\n", "1a"]),
        (r"^\D$", ["a", "١"], ["1"]),
        (r"^\w+$", ["a_1"], ["ä", "a b"]),
        (r"^[\W]$", ["ä", "-"], ["a"]),
        (r"^[^\W_]+$", ["abc"], ["a_b", "ä"]),
        (r"^\s$", [" ", "\u00a0", "\ufeff"], ["\x1c", "a"]),
        (r"^[\s\S]$", ["a", "\n"], [""]),
        (r"\bcat\b", ["a cat.", "äcat"], ["cats", "_cat"]),
        (r"\Bat", ["cat"], ["at"]),
        (r"^a.c$", ["abc", "a\x85c"], ["a\nc", "a\u2028c"]),
        ("end$", ["the end"], ["the end\n"]),
        (r"^a\/b$", ["a/b"], ["a\\/b"]),
        (r"^\u{1F600}$", ["😀"], ["u"]),
        (r"^\u00e9$", ["é"], ["e"]),
        (r"^\uD83D\uDE00$", ["😀"], ["x"]),
        (r"^[\uD83D\uDE00-\u{1F64F}]$", ["😃"], ["x"]),
        (r"^\x41\cJ\0$", ["A\n\x00"], ["A"]),
        (r"^\p{L}+$", ["Größe", "日本"], ["a1"]),
        (r"^\p{Lu}\p{Ll}*$", ["Ärger"], ["ärger"]),
        (r"^\p{Letter}\P{L}$", ["ä1"], ["1ä"]),
        (r"^[\p{L}\p{Nd}_-]+$", ["a١_-"], ["a b"]),
        (r"^[^\p{L}]$", ["1"], ["ä"]),
        (r"^\p{General_Category=Decimal_Number}\p{gc=Lu}$", ["1A"], ["1a"]),
        (r"^\p{ASCII}\p{Any}$", ["a😀"], ["😀a"]),
        (r"(?<year>\d{4})-(?<month>\d\d)", ["2026-11"], ["26-11"]),
        (r"^(?<mark>['\"]).*\k<mark>$", ["'a'", '"a"'], ["'a\""]),
        (r"^(?<größe>a)\k<größe>$", ["aa"], ["a"]),
        (r"^(a)?\1b$", ["aab", "b"], ["ab"]),
        (r"^(?:(a)|b)\1$", ["aa", "b"], ["a"]),
        (r"^\1(a)$", ["a"], ["aa"]),
        ("^[^]$", ["\n", "a"], [""]),
        ("a[]", [], ["a", "a]"]),
        (r"^[\b]$", ["\b"], ["b"]),
        (r"^[\w-z]$", ["-", "z", "a"], ["{"]),
        (r"^[a-z-]$", ["-", "b"], ["_"]),
        (r"^[[&&~|-]+$", ["[&~|-"], ["a"]),
        (r"^\-\_\@\!\ä$", ["-_@!ä"], ["-"]),
        (r"^a{2,3}b{1}c{2,}$", ["aabcc"], ["abcc"]),
        (r"^{x}$", ["{x}"], ["x"]),
        (r"^(?=a)(?!ab)(?<=)(?<!x)a(?:b|c)$", ["ac"], ["ab"]),
        ("^/api/v1$", ["/api/v1"], ["api"]),
        ("/path/", ["a/path/b"], ["path"]),
        # as Python alone writes it
        (r"(?P<a>x)(?P=a)", ["xx"], ["x"]),
        ("(?i)^abc$", ["ABC"], ["abd"]),
        (r"\Aab\Z", ["ab"], ["ab\n"]),
        ("^[]a]+$", ["]a"], ["b"]),
        ("a(?#so)b", ["ab"], ["a"]),
    ],
)
def test_a_pattern_means_what_it_means_there(
    pattern: str, texts: list[str], others: list[str]
) -> None:
    assert all(found(pattern, text) for text in texts)
    assert not any(found(pattern, text) for text in others)


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("(", "missing )"),
        ("[a", r"write \[ for the bracket itself"),
        ("a\\", r"write \\ for the backslash itself"),
        ("*a", "nothing to repeat"),
        ("(?<=a+)b", "a look-behind of one length"),
        ("(?<a>x)|(?<a>y)", "give each its own name"),
        (r"(?<a>x)\k<b>", "no group is named 'b'"),
        (r"(a)\2", r"\2 refers to a group that is not there"),
        (r"\p{Script=Greek}", "use a general category"),
        (r"\p{Nonsense}", r"\p{Nonsense} is not known"),
        (r"\qa", "write q for the letter"),
        (r"[z-a]", "the range z-a is in the wrong order"),
        (r"\u{110000}", "is no character"),
        ("/^abc$/i", "for the flag `i` both cases: [Aa]"),
        ("/abc$/y", "the slashes of JavaScript"),
        ("x" * 20_000, "more than 10000 characters"),
        ("a{99999999999999999999}", "not a regular expression"),
    ],
)
def test_what_is_not_understood_is_refused_with_a_remedy(pattern: str, told: str) -> None:
    with pytest.raises(PatternError) as caught:
        python_pattern(pattern)
    assert told in f"{caught.value} ({caught.value.remedy})"


@settings(deadline=None)
@given(
    st.text(max_size=30)
    | st.lists(
        st.sampled_from(
            [*"()[]^-\\$.|*a/", "(?<n>", r"\d", r"\p{L}", r"\k<n>", r"\1", "{2}", r"\u{41}"]
        ),
        max_size=12,
    ).map("".join)
)
def test_any_text_is_a_pattern_or_is_refused(text: str) -> None:
    try:
        python = python_pattern(text)
    except PatternError:
        return
    re.compile(python)


@given(st.sets(st.integers(0, 0x10FFFF), max_size=20))
def test_ranges_and_their_complement(codes: set[int]) -> None:
    ranges = ranges_of(sorted(codes))
    assert complement(complement(ranges)) == ranges
    assert property_set("NoSuch") is None


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"\p{L}" * 400, r"[^\p{L}\p{N}]" * 300, r"[" + r"\p{L}" * 1000 + "]", r"\P{Lu}" * 900),
        *(r"\W" * 5000, r"[\S\d]" * 1600, "." * 10_000, r"\b" * 5000),
    ],
)
def test_a_pattern_that_takes_seconds_to_compile_is_refused_at_once(pattern: str) -> None:
    python_pattern(r"\p{L}")  # the categories are found out once in a process
    with cpu_within(2), pytest.raises(PatternError, match="too many sets of characters"):
        python_pattern(pattern)


def test_the_patterns_of_a_schema_are_bounded_together_each_counted_once() -> None:
    def schema(patterns: list[str]) -> dict[str, object]:
        named = {f"p{at}": {"pattern": each} for at, each in enumerate(patterns)}
        return {"type": "object", "properties": named}

    with cpu_within(20):
        assert schema_problem(schema([r"^[\p{L}\p{M}' -]+(?:\s\p{L}+)*$"] * 500)) is None
        assert schema_problem(schema([f"^a{at}[a-z]+$" for at in range(500)])) is None
        problem = schema_problem(schema([rf"^{at}\p{{L}}+$" for at in range(500)]))
    assert problem is not None
    assert "with the patterns before it" in problem.what
