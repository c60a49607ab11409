"""The bytes of a payload that are left for its texts."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from durable_agent_team.contracts.base import Message
from durable_agent_team.rules.encoded_size import cut_to_bytes, encoded_bytes, text_content_bytes

ELLIPSIS = "…"
AROUND_NAME = 3
"""Bytes around a name in a list: two quotation marks and a comma."""

M = TypeVar("M", bound=Message)


class Room:
    """Counts down from the most that a payload may have. A part counts for the whole, too."""

    def __init__(self, most: int, whole: "Room | None" = None) -> None:
        self._left = most
        self._whole = whole

    @property
    def left(self) -> int:
        """Never below zero."""
        outer = self._left if self._whole is None else self._whole.left
        return max(min(self._left, outer), 0)

    def part(self, most: int) -> "Room":
        """At most this many bytes of it."""
        return Room(most, self)

    def beginning(self, text: str) -> str:
        """As much of the text as fits."""
        kept = cut_to_bytes(text, self.left)
        self._take(text_content_bytes(kept))
        return kept

    def shortened(self, text: str, most_bytes: int) -> str:
        """The text, cut to this many bytes at most; an ellipsis marks the cut."""
        most = min(most_bytes, self.left)
        kept = cut_to_bytes(text, most)
        if kept != text:
            kept = cut_to_bytes(text, most - len(ELLIPSIS.encode())) + ELLIPSIS
            kept = kept if text_content_bytes(kept) <= most else ""
        self._take(text_content_bytes(kept))
        return kept

    def names(self, names: Iterable[str]) -> tuple[str, ...]:
        """The first names of a list, as many as fit. They consist of ASCII."""
        listed: list[str] = []
        for each in names:
            size = len(each) + AROUND_NAME
            if size > self.left:
                break
            self._take(size)
            listed.append(each)
        return tuple(listed)

    def messages(self, messages: Sequence[M]) -> tuple[M, ...]:
        """The first messages of a list, as many as fit."""
        kept: list[M] = []
        for each in messages:
            size = encoded_bytes(each) + 1
            if size > self.left:
                break
            self._take(size)
            kept.append(each)
        return tuple(kept)

    def _take(self, size: int) -> None:
        self._left -= size
        if self._whole is not None:
            self._whole._take(size)
