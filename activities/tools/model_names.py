"""Names of tools as models take them: no two of an agent are the same."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

MAX_NAME: Final = 64
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")


def model_names(tools: Sequence[tuple[str, str]]) -> list[str]:
    """A name for each tool, given as its group (a server's name, or nothing) and its own name.

    A tool keeps its own name where it can; tools whose names collide get their group's before it,
    and where that is not enough, a number after it.
    """
    plain = [_plain(name) for _, name in tools]
    counted = Counter(plain)
    taken: set[str] = {name for name in plain if counted[name] == 1}
    names: list[str] = []
    for (group, own), name in zip(tools, plain, strict=True):
        if counted[name] > 1:
            wanted = _plain(f"{group}_{own}") if group else name
            name = _free(wanted, taken)
            taken.add(name)
        names.append(name)
    return names


def _plain(name: str) -> str:
    return _NOT_IN_A_NAME.sub("_", name)[:MAX_NAME] or "_"


def _free(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 2
    while name in taken:
        suffix = f"_{number}"
        name, number = wanted[: MAX_NAME - len(suffix)] + suffix, number + 1
    return name
