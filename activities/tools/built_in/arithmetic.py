"""`calculate`: exact arithmetic in a bounded time. Pure; nothing is evaluated as code."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from math import ceil, floor, isqrt
from types import MappingProxyType
from typing import Final, NoReturn, TypeVar

from activities.tools.built_in.exceptions import ToolMistake

T = TypeVar("T")

MAX_EXPRESSION: Final = 500
"""Characters."""
MAX_BITS: Final = 7_000
"""For numerator and denominator of every intermediate number: about 2,100 digits."""
MAX_DEPTH: Final = 40
"""For parentheses, powers of powers and functions."""
MAX_LITERAL_EXPONENT: Final = 1_000
EXACT_DECIMALS: Final = 60
"""Digits after the point up to which a result is shown exactly."""
ROUNDED_DIGITS: Final = 30

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_]+)|(?P<sign>\*\*|//|[-+*/%^(),]))"
)
_SPELLINGS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "\u00a0": " "})
_ADDITION, _MULTIPLICATION = ("+", "-"), ("*", "/", "//", "%")


def calculate(expression: str) -> str:
    """The value of an expression of numbers, + - * / // % ** ( ) and the functions below.

    Raises `ToolMistake`.

    >>> calculate("0.1 + 0.2"), calculate("2 ** 64 - 1"), calculate("10 / 4")
    ('0.3', '18446744073709551615', '2.5')
    """
    if len(expression) > MAX_EXPRESSION:
        raise ToolMistake(
            f"the expression has {len(expression)} characters, the maximum is {MAX_EXPRESSION}:"
            " calculate it in parts"
        )
    parser = _Parser(list(_tokens(expression.translate(_SPELLINGS))))
    return shown(parser.whole())


def shown(value: Fraction) -> str:
    """As a decimal number: exactly if it ends soon, otherwise rounded, and it says so.

    >>> shown(Fraction(1, 8)), shown(Fraction(1, 3))
    ('0.125', '0.333333333333333333333333333333 (rounded)')
    """
    if value.denominator == 1:
        return str(value.numerator)
    decimals = _decimals(value.denominator)
    if decimals is not None:
        digits = str(abs(value.numerator) * 10**decimals // value.denominator)
        digits = digits.rjust(decimals + 1, "0")
        sign = "-" if value < 0 else ""
        return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"
    context = Context(prec=ROUNDED_DIGITS)
    rounded = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    plain = -10 <= rounded.adjusted() < ROUNDED_DIGITS
    return f"{rounded:f} (rounded)" if plain else f"{rounded} (rounded)"


def _decimals(denominator: int) -> int | None:
    """How many digits the fraction has after the point; None if they never end, or end late."""
    twos = (denominator & -denominator).bit_length() - 1
    rest, fives = denominator >> twos, 0
    while rest % 5 == 0 and fives <= EXACT_DECIMALS:
        rest //= 5
        fives += 1
    decimals = max(twos, fives)
    return decimals if rest == 1 and decimals <= EXACT_DECIMALS else None


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    place: int
    """The position of its first character, from 1."""


def _tokens(expression: str) -> Iterator[_Token]:
    position, end = 0, len(expression.rstrip())
    while position < end:
        found = _TOKEN.match(expression, position)
        if found is None:
            rest = expression[position:].lstrip()
            place = len(expression) - len(rest)
            raise ToolMistake(
                f"{rest[0]!r} at character {place + 1} is not arithmetic: use numbers such as"
                " 1234.5, and + - * / // % ** ( )"
            )
        kind = found.lastgroup or ""
        yield _Token(kind, found[kind], found.start(kind) + 1)
        position = found.end()


class _Parser:
    """Recursive descent. Its depth is bounded, and each step makes a bounded number."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def whole(self) -> Fraction:
        value = self._sum()
        if self._at < len(self._tokens):
            self._unexpected()
        return value

    def _sum(self) -> Fraction:
        value = self._product()
        while sign := self._taken(*_ADDITION):
            other = self._product()
            value = _bounded(value + other if sign == "+" else value - other)
        return value

    def _product(self) -> Fraction:
        value = self._signed()
        while sign := self._taken(*_MULTIPLICATION):
            value = _bounded(_multiplied(sign, value, self._signed()))
        return value

    def _signed(self) -> Fraction:
        negative = False
        while sign := self._taken(*_ADDITION):
            negative ^= sign == "-"
        value = self._power()
        return -value if negative else value

    def _power(self) -> Fraction:
        base = self._atom()
        if not self._taken("**", "^"):
            return base
        with_depth = self._deeper(self._signed)
        return _power(base, with_depth)

    def _atom(self) -> Fraction:
        if self._at == len(self._tokens):
            raise ToolMistake("the expression ends where a number is expected")
        token = self._tokens[self._at]
        self._at += 1
        if token.kind == "number":
            return _number(token)
        if token.text == "(":
            value = self._deeper(self._sum)
            self._expect(")")
            return value
        if token.kind == "name" and token.text in FUNCTIONS:
            self._expect("(")
            return _applied(token.text, self._deeper(self._arguments))
        self._at -= 1
        self._unexpected()

    def _arguments(self) -> list[Fraction]:
        found = [self._sum()]
        while self._taken(","):
            found.append(self._sum())
        self._expect(")")
        return found

    def _deeper(self, read: Callable[[], T]) -> T:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ToolMistake(f"nested more than {MAX_DEPTH} levels: calculate it in parts")
        value = read()
        self._depth -= 1
        return value

    def _taken(self, *signs: str) -> str:
        if self._at < len(self._tokens) and self._tokens[self._at].text in signs:
            self._at += 1
            return self._tokens[self._at - 1].text
        return ""

    def _expect(self, sign: str) -> None:
        if not self._taken(sign):
            if self._at == len(self._tokens):
                raise ToolMistake(f"a {sign!r} is missing at the end")
            self._unexpected(f", where {sign!r} is expected")

    def _unexpected(self, why: str = "") -> NoReturn:
        token = self._tokens[self._at]
        known = ", ".join(FUNCTIONS)
        if token.kind == "name":
            raise ToolMistake(
                f"{token.text[:40]!r} at character {token.place} is not known: there are numbers,"
                f" + - * / // % ** ( ) and the functions {known}"
            )
        raise ToolMistake(f"{token.text[:40]!r} at character {token.place} is out of place{why}")


def _number(token: _Token) -> Fraction:
    text = token.text.replace("_", "").lower()
    exponent = text.partition("e")[2].lstrip("+-").lstrip("0")
    if len(exponent) > 4 or int(exponent or 0) > MAX_LITERAL_EXPONENT:
        raise ToolMistake(
            f"the exponent of {token.text[:40]!r} is above {MAX_LITERAL_EXPONENT}: take a smaller"
        )
    return _bounded(Fraction(Decimal(text)))


def _multiplied(sign: str, left: Fraction, right: Fraction) -> Fraction:
    if sign == "*":
        return left * right
    if not right:
        raise ToolMistake("division by zero")
    if sign == "/":
        return left / right
    return Fraction(left // right) if sign == "//" else left % right


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        raise ToolMistake(
            f"the exponent {shown(exponent)} is not a whole number: for a root, use sqrt(x)"
        )
    if not base and exponent < 0:
        raise ToolMistake("division by zero")
    if abs(base) in (0, 1):
        return base ** (exponent.numerator % 2 if base and exponent else min(exponent.numerator, 1))
    size = max(base.numerator.bit_length(), base.denominator.bit_length()) - 1
    if max(size, 1) * abs(exponent.numerator) > MAX_BITS:
        raise _too_large()
    return _bounded(Fraction(base**exponent.numerator))


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise _too_large()
    return value


def _too_large() -> ToolMistake:
    return ToolMistake("a number on the way has more than 2,000 digits: use smaller ones")


def _applied(name: str, values: list[Fraction]) -> Fraction:
    least, most, function = FUNCTIONS[name]
    if not least <= len(values) <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        raise ToolMistake(f"{name} takes {wanted} numbers, not {len(values)}")
    return _bounded(function(*values))


def _rounded(value: Fraction, digits: Fraction = Fraction(0)) -> Fraction:
    """Halves away from zero, as on a bill."""
    if digits.denominator != 1 or abs(digits) > EXACT_DECIMALS:
        raise ToolMistake(f"round takes a whole number of digits, at most {EXACT_DECIMALS}")
    scale = Fraction(10) ** digits.numerator
    nearest = floor(abs(value) * scale + Fraction(1, 2))
    return (nearest if value >= 0 else -nearest) / scale


def _root(value: Fraction) -> Fraction:
    """Exact if there is an exact root, otherwise to more digits than are shown."""
    if value < 0:
        raise ToolMistake("sqrt of a negative number")
    exact = Fraction(isqrt(value.numerator), isqrt(value.denominator))
    if exact * exact == value:
        return exact
    context = Context(prec=3 * ROUNDED_DIGITS)
    return Fraction(
        context.sqrt(context.divide(Decimal(value.numerator), Decimal(value.denominator)))
    )


FUNCTIONS: Final = MappingProxyType[str, tuple[int, int, Callable[..., Fraction]]](
    {
        "abs": (1, 1, abs),
        "ceil": (1, 1, lambda value: Fraction(ceil(value))),
        "floor": (1, 1, lambda value: Fraction(floor(value))),
        "max": (1, MAX_EXPRESSION, max),
        "min": (1, MAX_EXPRESSION, min),
        "round": (1, 2, _rounded),
        "sqrt": (1, 1, _root),
    }
)
"""Each function with the least and the most numbers that it takes."""
