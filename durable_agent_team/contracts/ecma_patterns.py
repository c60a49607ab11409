"""Translates regular expressions from ECMA 262, which JSON Schema uses, to Python's `re`.

`\\d`, `\\w`, `\\s` and `\\b` mean what they mean there, `$` is the end of the text, and `.` is no
line break. `\\/`, `\\u{1F600}`, `\\p{L}`, `(?<name>…)`, `\\k<name>`, `\\cA`, `[^]` are understood.
What Python alone knows keeps its meaning (`(?P<name>…)`, `(?i)`, `\\A`, `\\Z`). Linear.

Source: ECMA-262, "Text Processing", RegExp, with Annex B's leniency for patterns without the flag
`u`; JSON Schema 2020-12, section 6.4 "Regular Expressions".
"""

import re

from durable_agent_team.contracts.character_sets import (
    CLASSES,
    WORD,
    Ranges,
    char_text,
    class_text,
    complement,
    property_set,
)

MAX_PATTERN = 10_000
"""Characters."""
MAX_COST = 250_000
"""Microseconds, about, that a pattern takes to compile: for each place that is a set of characters,
what that costs. It is enough for a dozen of `\\p{L}`, and for any pattern that was meant."""
WIDE_SET, ANY_CHARACTER, BOUNDARY, CHARACTER = 3_500, 250, 350, 20

_WORD = f"[{class_text(WORD)}]"
_BOUNDARY = f"(?:(?<={_WORD})(?!{_WORD})|(?<!{_WORD})(?={_WORD}))"
_NO_BOUNDARY = f"(?:(?<={_WORD})(?={_WORD})|(?<!{_WORD})(?!{_WORD}))"
_LINE_BREAKS = "\\n\\r\\u2028\\u2029"
_NAMED = re.compile(r"\(\?<([^=!>][^>]{0,60})>")
_LITERAL = re.compile(r"/(?:\^.*|.*[^\\]\$)/[dgimsuvy]*", re.DOTALL)
_HEX = re.compile(r"u\{([0-9A-Fa-f]{1,8})\}|u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})")
_LOW_HALF = re.compile(r"\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})")
_PROPERTY = re.compile(r"[pP]\{([^}]{1,60})\}")
_FROM_PYTHON = re.compile(r"[AZ]|N\{[^}]*\}|U[0-9A-Fa-f]{8}")


class PatternError(ValueError):
    """A pattern that is not understood. `remedy` says what to write."""

    def __init__(self, what: str, remedy: str = "correct it there") -> None:
        super().__init__(what)
        self.remedy = remedy


def python_pattern(pattern: str) -> str:
    """The same pattern for Python's `re`. Raises `PatternError`."""
    return with_cost(pattern)[0]


def with_cost(pattern: str) -> tuple[str, int]:
    """The same pattern for Python's `re`, and about how many microseconds it takes to compile.
    Raises `PatternError`."""
    if len(pattern) > MAX_PATTERN:
        raise PatternError(f"it has more than {MAX_PATTERN} characters", "write a shorter one")
    if _LITERAL.fullmatch(pattern):
        raise PatternError(
            "it is written with the slashes of JavaScript, which never match here",
            "write what is between them, and for the flag `i` both cases: [Aa]",
        )
    translation = _Translation(pattern)
    translated = translation.text()
    try:
        re.compile(translated)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"it is not a regular expression: {error}", *_remedy(error)) from None
    return translated, translation.cost + CHARACTER * len(pattern)


def _remedy(error: Exception) -> tuple[str, ...]:
    if "look-behind" in str(error):
        return ("write a look-behind of one length, such as (?<=abc), or several of them",)
    return ()


class _Translation:
    """One pattern, read from the left."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._names = self._python_names()
        self._referred = 0
        """The highest number of a group that is referred to."""
        self._opened: list[int | None] = []
        """The groups around this place, by their numbers; None for one that captures nothing."""
        self._numbered = 0
        self._closed: set[int] = set()
        self._numbers: dict[str, int] = {}
        self.cost = 0

    def text(self) -> str:
        parts: list[str] = []
        while self._at < len(self._pattern):
            parts.append(self._next())
        if self._referred > self._numbered:
            raise PatternError(f"\\{self._referred} refers to a group that is not there")
        return "".join(parts)

    def _python_names(self) -> dict[str, str]:
        names: dict[str, str] = {}
        for number, name in enumerate(_NAMED.findall(self._pattern)):
            if name in names:
                raise PatternError(f"two groups are named {name[:40]!r}", "give each its own name")
            plain = name.isascii() and name.isidentifier()
            names[name] = name if plain else f"group_{number}_"
        return names

    def _next(self) -> str:
        char = self._pattern[self._at]
        self._at += 1
        match char:
            case "\\":
                return self._escape()
            case "[":
                return self._class()
            case "(":
                return self._group()
            case ")":
                self._close()
                return ")"
            case ".":
                self._spend(ANY_CHARACTER)
                return f"[^{_LINE_BREAKS}]"
            case "$":
                return "\\Z"
        return char

    def _take(self, expression: re.Pattern[str]) -> re.Match[str] | None:
        found = expression.match(self._pattern, self._at)
        if found:
            self._at = found.end()
        return found

    def _group(self) -> str:
        if self._pattern.startswith("?#", self._at):
            end = self._pattern.find(")", self._at)
            self._at = len(self._pattern) if end < 0 else end + 1
            return ""
        named = _NAMED.match(self._pattern, self._at - 1)
        if named:
            self._at = named.end()
            self._open(capturing=True)
            self._numbers[named[1]] = self._numbered
            return f"(?P<{self._names[named[1]]}>"
        is_plain = not self._pattern.startswith("?", self._at)
        self._open(capturing=is_plain or self._pattern.startswith("?P<", self._at))
        for opening in ("?<=", "?<!", "?"):
            if self._pattern.startswith(opening, self._at):
                self._at += len(opening)
                return f"({opening}"
        return "("

    def _open(self, *, capturing: bool) -> None:
        self._numbered += capturing
        self._opened.append(self._numbered if capturing else None)

    def _close(self) -> None:
        number = self._opened.pop() if self._opened else None
        if number is not None:
            self._closed.add(number)

    def _escape(self) -> str:
        """An escape outside of a class; the backslash is read already."""
        char = self._pattern[self._at : self._at + 1]
        if char in "bB" and char:
            self._at += 1
            self._spend(BOUNDARY)
            return _BOUNDARY if char == "b" else _NO_BOUNDARY
        if number := self._take(re.compile(r"[1-9][0-9]{0,2}")):
            self._referred = max(self._referred, int(number[0]))
            return self._reference(int(number[0]))
        if self._names and (name := self._take(re.compile(r"k<([^>]*)>"))):
            if name[1] not in self._names:
                raise PatternError(f"no group is named {name[1][:40]!r}")
            return self._reference(self._numbers.get(name[1]))
        if python := self._take(_FROM_PYTHON):
            return f"\\{python[0]}"
        found = self._escaped()
        return f"[{self._set(found)}]" if isinstance(found, tuple) else char_text(found)

    def _reference(self, number: int | None) -> str:
        """A group that has taken no part in the match is empty there, and no failure. None for one
        that comes later."""
        return f"(?({number})\\{number})" if number in self._closed else "(?:)"

    def _escaped(self) -> int | Ranges:
        """An escape that stands for a character or for a set of them."""
        if self._at >= len(self._pattern):
            raise PatternError("it ends with a backslash", "write \\\\ for the backslash itself")
        if found := self._take(_HEX):
            return self._code(int(found[1] or found[2] or found[3], 16))
        if found := self._take(_PROPERTY):
            return self._property(found[0][0] == "P", found[1])
        if found := self._take(re.compile(r"c[A-Za-z]")):
            return ord(found[0][1]) % 32
        if found := self._take(re.compile(r"0[0-7]{0,2}")):
            return int(found[0], 8)
        char = self._pattern[self._at]
        self._at += 1
        if char.lower() in CLASSES:
            ranges = CLASSES[char.lower()]
            return ranges if char.islower() else complement(ranges)
        controls = {"n": 10, "r": 13, "t": 9, "v": 11, "f": 12, "a": 7}
        if char in controls:
            return controls[char]
        if char.isascii() and char.isalpha() and char not in "cuxpPk":
            raise PatternError(
                f"\\{char} means nothing in ECMA 262", f"write {char} for the letter"
            )
        return ord(char)

    def _set(self, ranges: Ranges) -> str:
        text = class_text(ranges)
        self._spend(max(len(text), WIDE_SET if ranges and ranges[-1][1] > 255 else 0))
        return text

    def _spend(self, cost: int) -> None:
        self.cost += cost
        if self.cost > MAX_COST:
            raise PatternError(
                "it has too many sets of characters, such as \\p{L} or \\W",
                "write ranges, such as [A-Za-z\\u00C0-\\u024F], or a simpler pattern",
            )

    def _code(self, code: int) -> int:
        if 0xD800 <= code < 0xDC00 and (low := self._take(_LOW_HALF)):
            return 0x10000 + ((code - 0xD800) << 10) + int(low[1], 16) - 0xDC00
        if code > 0x10FFFF:
            raise PatternError(f"\\u{{{code:x}}} is no character")
        return code

    def _property(self, negated: bool, name: str) -> Ranges:
        ranges = property_set(name)
        if ranges is None:
            raise PatternError(
                f"\\p{{{name}}} is not known",
                "use a general category, such as \\p{L}, or a range, such as [\\u0400-\\u04FF]",
            )
        return complement(ranges) if negated else ranges

    def _class(self) -> str:
        """A character class; its bracket is read already."""
        negated = self._pattern.startswith("^", self._at)
        self._at += negated
        items: list[str] = []
        if self._pattern.startswith("]", self._at):
            end = re.compile(r"[^\[\]]+\]").match(self._pattern, self._at + 1)
            self._at += 1
            if end is None:  # as in ECMA 262; with more behind it, it is written for Python
                return "[\\x00-\\U0010ffff]" if negated else "(?!)"
            items.append("\\]")
        while not self._pattern.startswith("]", self._at):
            items.append(self._item())
        self._at += 1
        return f"[{'^' if negated else ''}{''.join(items)}]"

    def _item(self) -> str:
        first = self._atom()
        is_range = self._pattern[self._at : self._at + 1] == "-"
        if not is_range or self._pattern[self._at + 1 : self._at + 2] in ("]", ""):
            return self._set(first) if isinstance(first, tuple) else char_text(first)
        self._at += 1
        last = self._atom()
        if isinstance(first, int) and isinstance(last, int):
            if first > last:
                raise PatternError(f"the range {chr(first)}-{chr(last)} is in the wrong order")
            return f"{char_text(first)}-{char_text(last)}"
        texts = (
            self._set(each) if isinstance(each, tuple) else char_text(each)
            for each in (first, last)
        )
        return "\\-".join(texts)

    def _atom(self) -> int | Ranges:
        char = self._pattern[self._at : self._at + 1]
        if not char:
            raise PatternError("a [ has no ]", "write \\[ for the bracket itself")
        self._at += 1
        if char != "\\":
            return ord(char)
        if self._pattern.startswith("b", self._at):
            self._at += 1
            return 8
        return self._escaped()
