"""Whether a task's `ask` contains the goal, which only the orchestrator may know.

One comparison for plans, reviews, added tasks and the tasks of a team file. It ignores what a
reader does not see or does not take for a difference: case, spacing, punctuation, accents,
invisible characters, and letters of other scripts that look like Latin ones.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from types import MappingProxyType
from typing import Final

from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.team import Task

MIN_UNSPACED_BYTES = 12
"""A shorter goal is compared with the spaces between its words: `to go` is not in `Stogov`."""

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


def goal_problems(tasks: Iterable[Task], goal: str) -> Iterator[Problem]:
    """Tasks whose `ask` repeats the goal."""
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
