"""The calls that wait for one model to answer again. Pure: times come from the caller.

In an outage every call of a model fails. So one of those that wait tries, and when it fails, the
next one tries after a longer pause; when one succeeds, all of them continue. This bounds the
requests that a run sends to a server in trouble, and the events in its history, however many calls
wait.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass
class WaitingCall:
    """A call that waits, after an attempt of its own has failed."""

    due: datetime
    """When it continues if the model answers others: by its own failures, not by the outage's."""
    until: datetime
    """How long it waits for the end of the outage."""


@dataclass
class Outage:
    """An outage of one model in one run. `waiting` is in the order in which calls try."""

    attempts: int = 0
    """How many have failed in a row, of whichever call."""
    next_at: datetime | None = None
    """When the next call may try; None when a call has succeeded since."""
    trying: str | None = None
    """The call that tries, for all."""
    waiting: dict[str, WaitingCall] = field(default_factory=dict)

    @property
    def is_forgotten(self) -> bool:
        """There is nothing to remember: no call waits or tries."""
        return not self.waiting and self.trying is None

    def failed(
        self,
        subject: str,
        now: datetime,
        attempts: int,
        pause: Callable[[int], timedelta],
        earliest: datetime,
    ) -> None:
        """An attempt has failed, the one numbered `attempts` of its call. `pause` is the time to
        wait after this many failures, and no call may try before `earliest`.

        Calls that were in flight together fail together, and count as one attempt.
        """
        if self.next_at is None:
            self.attempts = attempts
            self.next_at = now + pause(attempts)
        elif self.trying == subject or now >= self.next_at:
            self.attempts += 1
            self.next_at = now + pause(self.attempts)
        self.next_at = max(self.next_at, earliest)
        self.leave(subject)

    def wait(self, subject: str, call: WaitingCall) -> None:
        """The call waits behind those that wait already."""
        self.waiting[subject] = call

    def leave(self, subject: str) -> None:
        """The call neither waits nor tries any more."""
        self.waiting.pop(subject, None)
        if self.trying == subject:
            self.trying = None

    def succeeded(self, subject: str) -> None:
        """A call of this model has been answered: those that wait continue."""
        self.leave(subject)
        self.attempts, self.next_at = 0, None

    def admit(self, now: datetime) -> list[str]:
        """Takes the calls that may continue now out of `waiting`: in an outage one at a time."""
        if self.next_at is None:
            free = [each for each, call in self.waiting.items() if call.due <= now]
        elif self.trying is None and self.waiting and self.next_at <= now:
            free = [next(iter(self.waiting))]
            self.trying = free[0]
        else:
            free = []
        for each in free:
            del self.waiting[each]
        return free

    def give_up(self, now: datetime) -> list[str]:
        """After a failed attempt: takes the calls that have waited long enough out of `waiting`."""
        late = [each for each, call in self.waiting.items() if call.until <= now]
        for each in late:
            del self.waiting[each]
        return late

    def next_time(self) -> datetime | None:
        """When `admit` has to be called again; None while a call tries, or none waits."""
        if not self.waiting:
            return None
        if self.next_at is None:
            return min(call.due for call in self.waiting.values())
        return self.next_at if self.trying is None else None
