"""Makes a text that came from elsewhere safe for the place where it is shown.

A goal, an answer, an error, a name or a run id may contain anything: control characters that a
terminal acts on (clipboard, title, erase), characters that change the direction of what follows,
markup, and shell syntax. Every text passes through one of these functions on its way to a terminal,
a log, Markdown, HTML, a Mermaid chart or a command to be pasted. Escaped characters stay visible:
`\\x1b`, `\\u202e`.
"""

import json
import re
import shlex
import unicodedata
from collections.abc import Callable, Collection
from html import escape
from typing import TextIO

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories: controls, formats (direction, zero width), lone surrogates, separators."""
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2065\u3164\uffa0"
    + "".join(
        map(chr, (*range(0xFFF0, 0xFFF9), *range(0xE0000, 0xE0100), *range(0xE01F0, 0xE1000)))
    )
)
"""Letters and signs of other categories that are not drawn (Default_Ignorable_Code_Point)."""
_NO_DOTS = "\u2800"
"""Braille without a dot."""
_SELECTORS = frozenset(
    map(chr, (*range(0x180B, 0x180E), 0x180F, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
)
_SELECTOR = f"[{''.join(sorted(_SELECTORS))}]"
_SELECTOR_ALONE = re.compile(
    f"(?<![©®\u1000-\U0010ffff]){_SELECTOR}(?!\u20e3)"
    f"|(?:(?<=[\u2000-\u200f\u3000])|(?<={_SELECTOR})){_SELECTOR}"
)
"""A variation selector is seen as another form of an emoji, or of a letter of Asia, before it; it
is not after a letter of Europe, a space, or another selector."""
_MARKDOWN = re.compile(r"[\\`*_\[\]~|$]")
_MARKDOWN_OR_HTML = re.compile(r"[\\`*_\[\]~|$<>&]")
_BLOCK = re.compile(r"^(?:[#=]|[+\-](?=[\s\-]|$)|[0-9]+[.)](?=\s|$))")
"""What starts a heading, a list, a rule or an underline at the start of a line."""
_JOINER = re.compile("([\u200c\u200d])")
_VIRAMA = 9
"""The combining class of signs that join consonants in the scripts of India."""
_EMOJI_ENDS = frozenset("\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")
"""The sign that a character is an emoji, and the colours of skin."""
_JSON_ESCAPES = re.compile(r"((?:\\u[0-9a-fA-F]{4})+)|\\.")
_MERMAID = re.compile(r"[^\w \-.,:·/()]")


def is_hidden(char: str) -> bool:
    """Whether a character acts on its surroundings, or is not seen. What is seen in some places
    only, a variation selector, is none."""
    return unicodedata.category(char) in _HIDDEN or char in _BLANK


def is_blank(text: str) -> bool:
    """Whether nothing of a text would be seen: it has white space, hidden characters, marks without
    a letter, and letters that are blank."""
    return all(
        char.isspace() or is_hidden(char) or unicodedata.category(char) == "Mn" or char == _NO_DOTS
        for char in text
    )


def visible(text: str, keep: Collection[str] = "") -> str:
    """The text with every hidden character escaped, except those in `keep`."""
    return _escaped(text, keep, lambda char: char.encode("unicode_escape").decode())


def terminal_text(text: str) -> str:
    """For a terminal: line breaks and tabs stay. Idempotent."""
    return _joining(text.replace("\r\n", "\n"), lambda part: visible(part, "\n\t"))


def _joining(text: str, safe: Callable[[str], str]) -> str:
    """The safe text, with the joiners that are part of how its letters are written: in Persian,
    Hindi and others, and in emoji of several parts. They are seen there, as another form of the
    letters beside them; anywhere else they are hidden, and escaped."""
    if not _JOINER.search(text):
        return safe(text)
    pieces = _JOINER.split(text)
    made = [safe(piece) for piece in pieces[::2]]
    for place, joiner in enumerate(pieces[1::2]):
        before, after = pieces[2 * place], pieces[2 * place + 2]
        is_seen = _is_joined(before[-1:], after[:1], joiner)
        made[place] += joiner if is_seen else safe(joiner)
    return "".join(made)


def _is_joined(before: str, after: str, joiner: str) -> bool:
    """As the rules for joiners in names of the Internet (RFC 5892, A.1 and A.2), and of emoji."""
    if not before or not after:
        return False
    if unicodedata.combining(before) == _VIRAMA:
        return True
    if unicodedata.bidirectional(before) == unicodedata.bidirectional(after) == "AL":
        return True
    is_emoji = unicodedata.category(before) == "So" or before in _EMOJI_ENDS
    return joiner == "\u200d" and is_emoji and unicodedata.category(after) == "So"


def one_line(text: str) -> str:
    """For a cell, a log line or a name: line breaks and tabs are escaped, too. Idempotent."""
    return visible(text)


def for_stream(text: str, stream: TextIO) -> str:
    """As it is for a pipe or file; escaped for a terminal."""
    return terminal_text(text) if stream.isatty() else text


def json_text(text: str) -> str:
    """JSON that stays the same JSON, with its hidden characters as `\\uXXXX`."""
    return _escaped(text, "\n\t\r", _json_escape)


def readable_json(text: str) -> str:
    """JSON that stays the same JSON, with what can be seen as it is, and not as `\\uXXXX`: some
    servers write every letter that is not English so, and a person has to read it."""
    return _JSON_ESCAPES.sub(_readable, text) if "\\u" in text else text


def _readable(found: re.Match[str]) -> str:
    if found[1] is None:  # another escape, such as a backslash before a `u`
        return found[0]
    chars: str = json.loads(f'"{found[1]}"')
    return "".join(char if _is_seen(char) else json.dumps(char)[1:-1] for char in chars)


def _is_seen(char: str) -> bool:
    """Whether it can be in a string of JSON as it is, and looks like itself."""
    if not char.isprintable() or is_hidden(char) or char in _SELECTORS:
        return False
    return char not in '"\\'


def html_text(text: str) -> str:
    """For the content or a quoted attribute of HTML and SVG."""
    return escape(terminal_text(text))


def markdown_line(text: str) -> str:
    """For one line, or one cell of a table: no markup, no HTML, no line break."""
    return _without_markup(escape(_joined(text), quote=False), _MARKDOWN)


def markdown_line_for_temporal(text: str) -> str:
    """The same for Temporal's UI (2.54), which shows entities such as `&lt;` as they are written,
    and takes `<b>` for HTML: what is HTML gets backslashes, like the rest (CommonMark 2.4)."""
    return _without_markup(_joined(text), _MARKDOWN_OR_HTML)


def _joined(text: str) -> str:
    return _joining(" ".join(text.splitlines()), one_line)


def _without_markup(line: str, markup: re.Pattern[str]) -> str:
    line = markup.sub(lambda found: f"\\{found[0]}", line).strip()
    return _BLOCK.sub(_escape_last, line)


def markdown_block(text: str) -> str:
    """For paragraphs: the lines stay, and none of them is a heading, a list or a fence."""
    lines = (terminal_text(text).expandtabs(4)).split("\n")
    return "\n".join(_indent(line) + markdown_line(line) + "  " for line in lines).rstrip()


def markdown_code(text: str) -> str:
    """A code span that its content cannot end."""
    line = one_line(text)
    longest = max(map(len, re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {line} {fence}" if longest else f"{fence}{line}{fence}"


def markdown_fence(text: str, language: str = "") -> str:
    """A block of code that its content cannot end."""
    shown = terminal_text(text)
    longest = max(map(len, re.findall("`+", shown)), default=0)
    fence = "`" * max(longest + 1, 3)
    return f"{fence}{language}\n{shown}\n{fence}"


def mermaid_text(text: str) -> str:
    """For a quoted label: everything that could be markup becomes a Mermaid entity."""
    return _MERMAID.sub(_mermaid_entity, one_line(text))


def shell_command(program: str, command: str, *arguments: str, last: Collection[str] = ()) -> str:
    """A command to be pasted into a shell: every argument arrives as it is. The options in `last`
    stand at the end, where they are easy to edit, unless an argument looks like an option."""
    options, words = list(map(shell_word, last)), list(map(shell_word, arguments))
    if any(each.startswith("-") for each in arguments):
        return " ".join([program, command, *options, "--", *words])
    return " ".join([program, command, *words, *options])


def shell_word(text: str) -> str:
    """One word for a shell. Hidden characters are escaped as `$'…'`, which bash and zsh read."""
    if visible(text) == text:
        return shlex.quote(text)
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{_escaped(quoted, '', _shell_escape)}'"


def _escaped(text: str, keep: Collection[str], form: Callable[[str], str]) -> str:
    if text.isascii() and text.isprintable():
        return text
    chars = set(text)
    found = {char for char in chars if is_hidden(char) and char not in keep}
    if found:
        text = text.translate({ord(char): form(char) for char in found})
    if chars.isdisjoint(_SELECTORS):
        return text
    return _SELECTOR_ALONE.sub(lambda alone: form(alone[0]), text)


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


def _shell_escape(char: str) -> str:
    """Byte by byte, in the terminal's UTF-8. A shell's `\\u` depends on its locale."""
    return "".join(f"\\{byte:03o}" for byte in char.encode("utf-8", "surrogateescape"))


def _mermaid_entity(found: re.Match[str]) -> str:
    names = {'"': "quot", "<": "lt", ">": "gt", "&": "amp"}
    return f"#{names.get(found[0], ord(found[0]))};"


def _escape_last(found: re.Match[str]) -> str:
    return f"{found[0][:-1]}\\{found[0][-1]}"


def _indent(line: str) -> str:
    """Spaces that no renderer takes for a code block."""
    return "&nbsp;" * (len(line) - len(line.lstrip(" ")))
