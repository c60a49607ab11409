"""A circuit breaker: an upstream that fails again and again is left alone for a while. Pure.

Closed, it admits every call. After some failures in a row, or when the upstream says how long to
wait, it opens, and refuses every call until its pause is over. Then it admits one call; if that
fails, it opens again, for longer. If it succeeds, the circuit admits more and more calls at once,
until it is closed again. A failure among these halves their number: an upstream that fails now and
then is not a dead one.

Times are seconds of a monotonic clock, and come from the caller.
"""

from dataclasses import dataclass
from enum import StrEnum

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
MAX_RETRY_AFTER = 3600.0
"""The longest `Retry-After` of an upstream that is believed."""
FULL_CONCURRENCY = 64
"""When this many calls may be in flight at once, the circuit is closed."""


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"
    """Admits a limited number of calls at once: one at first."""


@dataclass
class Circuit:
    """Each admitted call reports how it ended with `succeeded`, `failed` or `ended`."""

    max_failures: int
    """In a row, after which it opens."""
    state: State = State.CLOSED
    _failures: int = 0
    _pause: float = 0.0
    _until: float = 0.0
    _limit: int = 1
    _admitted: int = 0
    """Calls in flight that were admitted while it was half-open."""

    def admit(self, now: float) -> float | None:
        """None if the call may be made; otherwise the seconds after which it may be tried."""
        if self.state is State.OPEN and now >= self._until:
            self.state, self._limit, self._admitted = State.HALF_OPEN, 1, 0
        if self.state is State.OPEN:
            return self._until - now
        if self.state is State.HALF_OPEN:
            if self._admitted >= self._limit:
                return FIRST_PAUSE
            self._admitted += 1
        return None

    def succeeded(self) -> None:
        """The upstream answered: it can be called."""
        if self.state is State.OPEN:
            return  # a call from before: it says nothing about now
        self._failures = 0
        if self.state is State.HALF_OPEN:
            self._leave()
            self._pause = 0.0
            self._limit *= 2
            if self._limit > FULL_CONCURRENCY:
                self.state = State.CLOSED

    def failed(self, now: float, retry_after: float | None = None) -> None:
        """The upstream was not reached, or cannot work now. `retry_after`: the pause in seconds
        that it asks for."""
        self._failures += 1
        if self.state is State.OPEN:
            if retry_after is not None:
                self._until = max(self._until, now + min(retry_after, MAX_RETRY_AFTER))
            return
        if retry_after is None and self._failures < self.max_failures:
            if self.state is State.CLOSED:
                return
            if self._limit > 1:
                self._leave()
                self._limit //= 2
                return
        self.state = State.OPEN
        self._pause = min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
        self._until = now + max(self._pause, min(retry_after or 0.0, MAX_RETRY_AFTER))

    def ended(self) -> None:
        """A call has ended in a way that says nothing about the upstream."""
        if self.state is State.HALF_OPEN:
            self._leave()

    def seconds_left(self, now: float) -> float:
        """How long it still refuses every call; 0 unless it is open."""
        return max(self._until - now, 0.0) if self.state is State.OPEN else 0.0

    def _leave(self) -> None:
        self._admitted = max(self._admitted - 1, 0)
