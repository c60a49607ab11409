"""Sets of characters in patterns, as ranges: ECMA 262's classes, Unicode's general categories."""

import sys
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

Ranges = tuple[tuple[int, int], ...]
"""Code points, both ends included, in order."""

DIGITS: Ranges = ((48, 57),)
WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
SPACE: Ranges = (
    (9, 13), (32, 32), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029),
    (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF),
)  # fmt: skip
CLASSES = {"d": DIGITS, "w": WORD, "s": SPACE}

_LONG_NAMES = {
    "letter": "L", "cased_letter": "LC", "uppercase_letter": "Lu", "lowercase_letter": "Ll",
    "titlecase_letter": "Lt", "modifier_letter": "Lm", "other_letter": "Lo", "mark": "M",
    "combining_mark": "M", "nonspacing_mark": "Mn", "spacing_mark": "Mc", "enclosing_mark": "Me",
    "number": "N", "decimal_number": "Nd", "digit": "Nd", "letter_number": "Nl",
    "other_number": "No", "punctuation": "P", "punct": "P", "connector_punctuation": "Pc",
    "dash_punctuation": "Pd", "open_punctuation": "Ps", "close_punctuation": "Pe",
    "initial_punctuation": "Pi", "final_punctuation": "Pf", "other_punctuation": "Po",
    "symbol": "S", "math_symbol": "Sm", "currency_symbol": "Sc", "modifier_symbol": "Sk",
    "other_symbol": "So", "separator": "Z", "space_separator": "Zs", "line_separator": "Zl",
    "paragraph_separator": "Zp", "other": "C", "control": "Cc", "cntrl": "Cc", "format": "Cf",
    "surrogate": "Cs", "private_use": "Co", "unassigned": "Cn",
}  # fmt: skip
_CATEGORIES = frozenset({"LC", *_LONG_NAMES.values()})


def property_set(name: str) -> Ranges | None:
    """The characters of `\\p{name}`: a general category, by its short or its long name, `Any`,
    `ASCII`, `Uppercase`, `Lowercase` or `White_Space`. None for what is not known here."""
    kind, equals, value = name.partition("=")
    if equals and kind not in ("General_Category", "gc"):
        return None
    name = value or kind
    if not equals:
        known = {"Any": ((0, sys.maxunicode),), "ASCII": ((0, 127),), "White_Space": _WHITE_SPACE}
        if name in known:
            return known[name]
        if name in ("Uppercase", "Lowercase"):
            return _cased(name)
    category = _LONG_NAMES.get(name.lower(), name)
    return _category(category) if category in _CATEGORIES else None


_WHITE_SPACE: Ranges = ((0x85, 0x85), *SPACE[:-1])


def _category(name: str) -> Ranges:
    wanted = ("Lu", "Ll", "Lt") if name == "LC" else (name,)
    known = _categories()
    parts = [
        each for category, ranges in known.items() if category.startswith(wanted) for each in ranges
    ]
    return tuple(sorted(parts))


@lru_cache(maxsize=1)
def _categories() -> dict[str, list[tuple[int, int]]]:
    """All characters by their category. Takes a third of a second, once in a process."""
    found: dict[str, list[tuple[int, int]]] = {}
    first, current = 0, unicodedata.category("\x00")
    for code in range(1, sys.maxunicode + 1):
        category = unicodedata.category(chr(code))
        if category != current:
            found.setdefault(current, []).append((first, code - 1))
            first, current = code, category
    found.setdefault(current, []).append((first, sys.maxunicode))
    return found


@lru_cache(maxsize=2)
def _cased(name: str) -> Ranges:
    is_it = str.isupper if name == "Uppercase" else str.islower
    return ranges_of(code for code in range(sys.maxunicode + 1) if is_it(chr(code)))


def ranges_of(codes: Iterable[int]) -> Ranges:
    """Code points in order, as ranges."""
    found: list[list[int]] = []
    for code in codes:
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return tuple((first, last) for first, last in found)


def complement(ranges: Sequence[tuple[int, int]]) -> Ranges:
    """All other characters."""
    found: list[tuple[int, int]] = []
    at = 0
    for first, last in sorted(ranges):
        if first > at:
            found.append((at, first - 1))
        at = max(at, last + 1)
    if at <= sys.maxunicode:
        found.append((at, sys.maxunicode))
    return tuple(found)


def class_text(ranges: Iterable[tuple[int, int]]) -> str:
    """For the inside of a character class of Python's `re`."""
    return "".join(
        char_text(first) if first == last else f"{char_text(first)}-{char_text(last)}"
        for first, last in ranges
    )


def char_text(code: int) -> str:
    """One character in a pattern of Python's `re`, inside a class or outside of one."""
    char = chr(code)
    if char.isascii() and char.isalnum():
        return char
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )
