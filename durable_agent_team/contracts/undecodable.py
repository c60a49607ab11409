"""Stands for a payload that could not be decoded."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Undecodable:
    """What the data converter returns instead of an untyped argument that it cannot decode.

    An exception there would fail the workflow task at each attempt; with this, the handler can
    refuse the message. `reason` is short, and free of the payload's content.
    """

    reason: str
