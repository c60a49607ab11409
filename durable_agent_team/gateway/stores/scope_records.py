"""What a store keeps of a scope: an agent's work on one task, over all its attempts.

A scope belongs to one account. Within it, a call is known by its body and a number: the lowest that
no request of the attempt with this body holds. A request holds its number while its client is
connected, and for good once a whole 200 was handed over; otherwise it gives the number back
(docs/adr/042).
"""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call stands: an attempt in a scope of its account."""

    scope: str
    attempt: int
    holder: str
    """The id of the request, which holds the call's number."""
    is_retry: bool = False
    """The client says that it repeats a request: it gets that request's number."""
    is_patient: bool = False
    """It has waited, so that the gateway has seen whichever clients left."""


class RequestEnd(StrEnum):
    """How a request in a scope ended, as far as the scope counts it."""

    CHARGED = "charged"
    REPLAYED = "replayed"
    REFUSED = "refused"
    FAILED = "failed"
    LEFT = "left"
    """The client disconnected; the request's call may continue."""


@dataclass(frozen=True, slots=True)
class EndedRequest:
    account_id: str
    place: Place
    body_hash: str | None
    """None if the request was refused before it was read."""
    how: RequestEnd
    handed_over: bool = False
    """The client has a whole 200: its number is kept for this attempt."""
    error: str | None = None
    """JSON: the refusal, or the failure (which may have been charged), as it was answered."""


@dataclass(frozen=True, slots=True)
class ScopeState:
    """What the calls of a scope have cost, and how they ended. `attempt` is the newest seen."""

    attempt: int = 0
    spent: int = 0
    charged: int = 0
    reserved: int = 0
    in_flight: int = 0
    replayed: int = 0
    refused: int = 0
    failed: int = 0
    possibly_billed: int = 0
    possibly_billed_calls: int = 0
    last_refusal: str | None = None
    last_failure: str | None = None
    last_limit: int | None = None
    """The newest attempt of which a call ran into a limit of the gateway's own."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    saved: int = 0
