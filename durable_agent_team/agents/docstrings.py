"""What a function's docstring says: its summary, and a description of each argument.

Reads the forms of Google, numpy and Sphinx. Standard library only, Python 3.10 or newer.
"""

import inspect
import re
from collections.abc import Iterator

SECTION = re.compile(
    r"(args|arguments|parameters|params|keyword arguments|keyword args|other parameters|returns?|"
    r"yields?|raises|examples?|notes?|warnings?|attributes|see also|references|todo)\s*:?\s*$",
    re.I,
)
ARGUMENTS = re.compile(
    r"(args|arguments|parameters|params|keyword arguments|keyword args|other parameters)\s*:?\s*$",
    re.I,
)
_RULE = re.compile(r"-{3,}\s*$")
_GOOGLE = re.compile(r"\*{0,2}(\w+)\s*(?:\(.*\))?\s*:\s*(.*)$")
_NUMPY = re.compile(r"\*{0,2}(\w+)\s*(?::.*)?$")
_SPHINX = re.compile(
    r":(?:param|parameter|arg|argument|key|keyword)\s+(?:[^:]*\s)?\*{0,2}(\w+)\s*:\s*(.*)$"
)
_FIELD = re.compile(r":\w+[^:]*:")


def parsed(docstring: str | None) -> tuple[str, dict[str, str]]:
    """The text before the first section, and the descriptions of arguments by name."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    summary: list[str] = []
    for number, line in enumerate(lines):
        if _begins_section(lines, number):
            break
        summary.append(line)
    found: dict[str, list[str]] = {}
    for name, text in _descriptions(lines):
        found.setdefault(name, []).append(text)
    texts = {name: " ".join(" ".join(parts).split()) for name, parts in found.items()}
    return "\n".join(summary).strip(), {name: text for name, text in texts.items() if text}


def _begins_section(lines: list[str], number: int) -> bool:
    line = lines[number]
    if _FIELD.match(line):
        return True
    if SECTION.match(line) is None:
        return False
    return line.rstrip().endswith(":") or _is_underlined(lines, number)


def _is_underlined(lines: list[str], number: int) -> bool:
    return number + 1 < len(lines) and _RULE.match(lines[number + 1]) is not None


def _descriptions(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Each line of a description with its argument."""
    name, form, indent = "", "", 0
    for number, line in enumerate(lines):
        depth = len(line) - len(line.lstrip())
        if not depth and (field := _SPHINX.match(line)):
            name, form = field[1], "sphinx"
            yield name, field[2]
        elif not depth and _begins_section(lines, number):
            name, indent = "", 0
            is_list = ARGUMENTS.match(line) is not None
            form = ("numpy" if _is_underlined(lines, number) else "google") if is_list else ""
        elif form == "google" and line.strip():
            if not depth:
                name, form = "", ""
                continue
            indent = indent or depth
            entry = _GOOGLE.match(line.strip()) if depth <= indent else None
            name = entry[1] if entry else name
            if name:
                yield name, entry[2] if entry else line
        elif form == "numpy" and line.strip() and not _RULE.match(line):
            if depth:
                if name:
                    yield name, line
            else:
                entry = _NUMPY.match(line)
                name = entry[1] if entry else ""
        elif form == "sphinx" and depth and line.strip():
            yield name, line
