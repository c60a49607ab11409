"""Whether a task's `ask` contains the goal, which only the orchestrator may know.

The comparison ignores what a reader does not see or does not take for a difference: case, spacing,
punctuation, accents, invisible characters, and letters of other scripts that look like Latin ones.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any, Final

from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.team import Task

MIN_UNSPACED_BYTES = 12
"""A shorter goal is compared with the spaces between its words: `to go` is not in `Stogov`."""

MAX_AROUND_SHORT = 2
"""Words around a goal that is shorter than that: more make it another order."""
MIN_WORDS_IN_ID = 4
MIN_SPREAD_WORDS = 8
MIN_PIECE = 3
MIN_BETWEEN = 3
MAX_STARTS = 50
"""Places where a copy may begin, in one text."""
MAX_SHOWN = 200

_SENTENCE_END = re.compile(r"[.!?;:。！？\n]+(?=\s|$)")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|[nrtbf])")

_LOOK_ALIKES: Final = MappingProxyType(
    {
        ord(variant): letter
        for letter, variants in {
            "a": "аαɑᴀ", "b": "ʙвβ", "c": "сᴄϲ", "d": "ԁᴅ", "e": "еεᴇ", "g": "ɡɢց", "h": "һհʜн",
            "i": "1lіιıӏɪʟ", "j": "јᴊ", "k": "кκᴋ", "m": "мᴍ", "n": "ոɴп", "o": "0оοօσᴏ",
            "p": "рρᴘ", "q": "ԛ", "r": "ʀг", "s": "ѕꜱ", "t": "тτᴛ", "u": "υսᴜ", "v": "νѵᴠ",
            "w": "ԝωᴡ", "x": "хχ", "y": "уүγʏ", "z": "ᴢ",
        }.items()
        for variant in variants
    }
)  # fmt: skip
"""Applied to both sides, after folding the case. `1`, `l` and `I` count as one letter."""

_TAGS: Final = MappingProxyType({0xE0000 + code: chr(code) for code in range(0x20, 0x7F)})
"""Invisible copies of ASCII, which a model can read."""
_HANGUL_FILLERS: Final = MappingProxyType({0x115F: None, 0x1160: None})
"""Letters by their category, and invisible."""


def contains_goal(text: str, goal: str) -> bool:
    """Whether the text contains the goal, with or without its punctuation and spacing."""
    wanted = _words(goal)
    unspaced = "".join(wanted)
    if not unspaced:  # a goal without a letter or digit
        return bool(goal.strip()) and goal.strip() in text
    is_long = len(unspaced.encode()) >= MIN_UNSPACED_BYTES
    for version in {text, text.translate(_TAGS)}:
        words = _words(version)
        if is_long and unspaced in "".join(words):
            return True
        if " ".join(wanted) in " ".join(words):
            return True
    return False


def repeats_goal(text: str, goal: str) -> bool:
    """Whether the text gives the goal away: it contains it, also with a few words in between, in
    another order of its sentences, or behind escapes. Where the goal is too short to be told from
    an ordinary order, only a text that says little else does."""
    wanted = _words(goal)
    if not wanted:
        return contains_goal(text, goal)
    for version in _versions(text):
        if len("".join(wanted).encode()) < MIN_UNSPACED_BYTES:
            words = _words(version)
            if _is_in(wanted, words) and len(words) <= len(wanted) + MAX_AROUND_SHORT:
                return True
        elif contains_goal(version, goal) or _is_spread(goal, wanted, version):
            return True
    return False


def goal_copies(tasks: Iterable[Task], goal: str) -> Iterator[Problem]:
    """Tasks that repeat the goal in what their agent, or a dependent one, gets to read: the `ask`,
    the texts of an `output` schema, the id."""
    remedy = "ask for one narrow part of it, in other words"
    for task in tasks:
        field = f"tasks.{task.id}"
        if repeats_goal(task.ask, goal):
            yield _copy(f"{field}.ask", task.ask, "it repeats the whole goal", remedy)
        if isinstance(task.output, dict) and repeats_goal("\n".join(_texts_of(task.output)), goal):
            remedy_of_output = "describe the shape of the answer, without the goal"
            yield _copy(f"{field}.output", "", "its texts repeat the whole goal", remedy_of_output)
        if len(_words(goal)) >= MIN_WORDS_IN_ID and contains_goal(task.id, goal):
            yield _copy(f"{field}.id", task.id, "it repeats the whole goal", "choose another id")


def _copy(field: str, value: str, what: str, remedy: str) -> Problem:
    shown = value if len(value) <= MAX_SHOWN else f"{value[: MAX_SHOWN - 1]}…"
    return Problem(field=field, value=shown, what=what, remedy=remedy)


def _versions(text: str) -> Iterator[str]:
    """The text, and what a reader makes of its escapes and entities."""
    yield text
    if "\\" in text:
        yield _ESCAPE.sub(_unescaped, text)
    if "&" in text:
        yield html.unescape(text)


def _unescaped(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else " "


def _is_in(wanted: Sequence[str], words: Sequence[str]) -> bool:
    return f" {' '.join(wanted)} " in f" {' '.join(words)} "


def _is_spread(goal: str, wanted: Sequence[str], text: str) -> bool:
    """Whether the goal is there in pieces: all its sentences in any order, or all its words in
    their order with a few others in between."""
    sentences = [words for each in _SENTENCE_END.split(goal) if (words := _words(each))]
    words = _words(text)
    if len(sentences) > 1 and all(_is_in(each, words) for each in sentences):
        return True
    if len(wanted) < MIN_SPREAD_WORDS:
        return False
    most = max(len(wanted) // 4, MIN_BETWEEN)
    starts = (at for at, word in enumerate(words) if word == wanted[0])
    return any(_goes_on(wanted, words, start, most) for start in islice(starts, MAX_STARTS))


def _goes_on(wanted: Sequence[str], words: Sequence[str], start: int, most: int) -> bool:
    """Whether all words follow from `start` on, with at most `most` others between them, in pieces
    of at least `MIN_PIECE` words: single words in between narrow an order down."""
    at, between, piece = start, 0, 0
    for word in wanted:
        while at < len(words) and words[at] != word:
            if piece and piece < MIN_PIECE:
                return False
            at, between, piece = at + 1, between + 1, 0
            if between > most:
                return False
        if at == len(words):
            return False
        at, piece = at + 1, piece + 1
    return piece >= MIN_PIECE


def _texts_of(schema: Any) -> Iterator[str]:
    """Every key and text of a schema. Its depth is bounded (`schema_size`)."""
    if isinstance(schema, str):
        yield schema
    elif isinstance(schema, Mapping):
        for name, inner in schema.items():
            yield str(name)
            yield from _texts_of(inner)
    elif isinstance(schema, list | tuple):
        for inner in schema:
            yield from _texts_of(inner)


def goal_problems(tasks: Iterable[Task], goal: str) -> Iterator[Problem]:
    """Tasks whose `ask` contains the goal: all that is checked of plans and reviews in the narrow
    form, and in runs of earlier versions."""
    for task in tasks:
        if contains_goal(task.ask, goal):
            yield Problem(
                field=f"tasks.{task.id}.ask",
                value=task.ask[:500],
                what="it repeats the whole goal",
                remedy="ask for one narrow part of it, in other words",
            )


def _words(text: str) -> list[str]:
    """Letters and digits only; whitespace separates, everything else is removed."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    plain = plain.translate(_HANGUL_FILLERS).translate(_LOOK_ALIKES)
    words = ("".join(filter(str.isalnum, word)) for word in plain.split())
    return [word for word in words if word]
