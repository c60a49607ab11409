"""`calculate` is exact, evaluates nothing but arithmetic, and takes a bounded time."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.tools.built_in.arithmetic import MAX_EXPRESSION, calculate
from activities.tools.built_in.exceptions import ToolMistake
from tests.support.cpu_time import cpu_within
from tests.support.fuzzing import examples

SECONDS = 2.0
"""Of one calculation, on a slow machine; all of them take milliseconds."""


def said_of(expression: str) -> str:
    """The value, or the mistake."""
    try:
        return calculate(expression)
    except ToolMistake as error:
        return str(error)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("0.1 + 0.2", "0.3"),
        ("1/3 * 3", "1"),
        ("10 / 4", "2.5"),
        ("-2 ** 2", "-4"),
        ("2 ^ 3 ^ 2", "512"),
        ("7 // 2 - -7 % 3", "1"),
        ("1_000 × 3 − 1 ÷ 4", "2999.75"),
        ("2 ** 64 - 1", "18446744073709551615"),
        ("2 ** -2", "0.25"),
        ("1 / 3", "0.333333333333333333333333333333 (rounded)"),
        ("19.99 * 3 * 1.19", "71.3643"),
        ("round(2.345, 2) + round(-0.5)", "1.35"),
        ("max(1, 2.5, -3) * abs(-2) + min(4, 3)", "8"),
        ("floor(-1.5) + ceil(1.2)", "0"),
        ("sqrt(16 / 25)", "0.8"),
        ("sqrt(2)", "1.41421356237309504880168872421 (rounded)"),
        (".5 + 1.", "1.5"),
        ("1e-3 * 2E3", "2"),
        ("0 ** 0 + 0 ** 5 + (-1) ** 999999999", "0"),
    ],
)
def test_a_value_is_exact_or_says_that_it_is_rounded(expression: str, value: str) -> None:
    assert calculate(expression) == value


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("__import__('os').system('true')", "is not arithmetic"),
        ("open", "'open' at character 1 is not known"),
        ("(1).real", "is not arithmetic"),
        ("1 if 2 else 3", "'if' at character 3 is not known"),
        ("1,234 + 1", "',' at character 2 is out of place"),
        ("1 2", "'2' at character 3 is out of place"),
        ("(1 + 2", "a ')' is missing at the end"),
        ("", "ends where a number is expected"),
        ("3 +", "ends where a number is expected"),
        ("1 / 0", "division by zero"),
        ("0 ** -1", "division by zero"),
        ("5 % 0", "division by zero"),
        ("2 ** 0.5", "use sqrt(x)"),
        ("sqrt(-1)", "negative"),
        ("9 ** 9 ** 9", "more than 2,000 digits"),
        ("1e1001", "exponent"),
        ("1e99999999999999999999", "exponent"),
        ("abs(1, 2)", "abs takes 1 numbers, not 2"),
        ("round(1, 0.5)", "whole number of digits"),
        ("(" * 60 + "1" + ")" * 60, "nested more than"),
        ("1+" * 300 + "1", "calculate it in parts"),
        ("٣ + 1", "is not arithmetic"),
        ("\0", "is not arithmetic"),
    ],
)
def test_what_is_no_arithmetic_is_refused_with_what_to_change(expression: str, said: str) -> None:
    with pytest.raises(ToolMistake, match=r".") as refused:
        calculate(expression)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "expression",
    [
        "7**2400" + "*7**2400" * 50,
        "/".join(["9"] * 250),
        "+".join(f"1/{1_000_003 + 2 * i}" for i in range(40)),
        "9**2000" + "/7**2400+1" * 40,
        "sqrt(" * 30 + "2**6000" + ")" * 30,
        "-" * 499 + "1",
        "2**" * 100 + "1",
        "99999999**" * 40 + "2",
        "1e1000*1e1000+" * 30 + "1",
    ],
)
def test_the_worst_expressions_take_a_bounded_time(expression: str) -> None:
    with cpu_within(SECONDS):
        assert len(said_of(expression[:MAX_EXPRESSION])) < 3_000


PIECES = [*"0123456789.+-*/%^() ,", "**", "//", "1e9", "999", "sqrt(", "round(", "x", "é", "\n"]


@pytest.mark.fuzz
@settings(max_examples=examples(300))
@given(st.lists(st.sampled_from(PIECES), max_size=120).map("".join))
def test_any_text_has_a_value_or_a_mistake_in_a_bounded_time(expression: str) -> None:
    with cpu_within(SECONDS):
        assert said_of(expression)


NUMBERS = st.integers(-(10**6), 10**6) | st.decimals(-1000, 1000, places=3)


def spelled(tree: Any) -> str:
    if not isinstance(tree, tuple):
        return f"({tree})"
    left, sign, right = tree
    return f"({spelled(left)} {sign} {spelled(right)})"


def value_of(tree: Any) -> Fraction:
    """What Python's own fractions make of it. Raises ZeroDivisionError."""
    if not isinstance(tree, tuple):
        return Fraction(tree)
    left, right = value_of(tree[0]), value_of(tree[2])
    match tree[1]:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
        case "//":
            return Fraction(left // right)
    return left % right


TREES = st.recursive(
    NUMBERS,
    lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner),
    max_leaves=8,
)


@pytest.mark.fuzz
@settings(max_examples=examples(300))
@given(TREES)
def test_it_agrees_with_exact_fractions(tree: Any) -> None:
    try:
        wanted = value_of(tree)
    except ZeroDivisionError:
        with pytest.raises(ToolMistake, match="division by zero"):
            calculate(spelled(tree))
        return
    text = calculate(spelled(tree))
    if text.endswith(" (rounded)"):
        found = Fraction(text.removesuffix(" (rounded)"))
        assert abs(found - wanted) <= abs(wanted) / 10**28
    else:
        assert Fraction(text) == wanted
