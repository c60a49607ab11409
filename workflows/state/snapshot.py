"""The whole state of a run as one text: what its next execution starts with.

Made from the dataclasses of this package as they are, so that a new field is carried without a word
here. What is not carried is marked with `exclude`, or is no part of the state.
"""

import zlib
from base64 import b64decode, b64encode
from dataclasses import replace
from functools import cache
from typing import Final

from pydantic import TypeAdapter

from workflows.state.progress import Progress

LARGEST: Final = 64_000_000
"""Bytes of JSON. A text that unpacks to more was not made here."""


class UnreadableSnapshot(Exception):
    """Another version's, or broken: no worker with this code can take up the run."""


@cache
def _adapter() -> TypeAdapter[Progress]:
    return TypeAdapter(Progress)


def pack(progress: Progress) -> str:
    """JSON, compressed, in base64. Where there is a plan, it is the one place for its tasks."""
    carried = replace(progress, execution=progress.execution + 1)
    if progress.request is not None and progress.tasks.plan is not None:
        team = progress.team.model_copy(update={"tasks": ()})
        carried = replace(carried, request=progress.request.model_copy(update={"team": team}))
    packed = zlib.compress(_adapter().dump_json(carried, exclude_unset=True))
    return b64encode(packed).decode()


def unpack(text: str) -> Progress:
    """Raises UnreadableSnapshot."""
    unpacking = zlib.decompressobj()
    try:
        packed = b64decode(text, validate=True)
        state = unpacking.decompress(packed, LARGEST)
        if not unpacking.eof:
            raise UnreadableSnapshot(f"incomplete, or more than {LARGEST} bytes")
        return _adapter().validate_json(state)
    except (ValueError, zlib.error) as error:
        raise UnreadableSnapshot(str(error)[:2000]) from error
