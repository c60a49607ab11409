"""Whether an upstream can be called, as far as that can be known without a call that costs."""

from dataclasses import dataclass
from typing import Literal

CheckState = Literal["ready", "key_missing", "key_refused", "unreachable", "unknown"]


@dataclass(frozen=True)
class UpstreamCheck:
    """What was seen. `detail` says what to do about it; it never contains a key."""

    name: str
    state: CheckState
    detail: str = ""
