"""An upstream that the operator has to pay: nothing is asked of it but a probe now and then. Pure.

Every call would be refused, and paying is up to a person. Once one call is answered, all are made
again. Times are seconds of a monotonic clock, and come from the caller.
"""

from dataclasses import dataclass

PROBE_SECONDS = 2.0
"""Between two probes. Short: what a person wakes after paying must not be refused unasked. As runs
park their calls, hardly any call comes while the upstream is not paid."""


@dataclass
class OutOfFunds:
    """Each admitted call reports how it ended with `refused`, `answered` or `ended`. Where `is_out`
    when it was admitted, it is the probe."""

    is_out: bool = False
    _next_probe: float = 0.0
    _probing: bool = False

    def admit(self, now: float) -> float | None:
        """None if the call may be made; otherwise the seconds after which it may be tried."""
        if not self.is_out:
            return None
        if self._probing or now < self._next_probe:
            return max(self._next_probe - now, PROBE_SECONDS / 2)
        self._probing = True
        return None

    def refused(self, now: float, *, probe: bool) -> bool:
        """The upstream wants to be paid. Returns whether that is new."""
        is_new = not self.is_out
        if is_new or probe:
            self.is_out, self._probing = True, False
            self._next_probe = now + PROBE_SECONDS
        return is_new

    def answered(self, *, probe: bool) -> bool:
        """A call was answered. Returns whether the upstream was out of funds before. A call from
        before that says nothing about now."""
        if not probe or not self.is_out:
            return False
        self.is_out = self._probing = False
        return True

    def ended(self, now: float, *, probe: bool) -> None:
        """A call has ended in a way that says nothing about the operator's money."""
        if probe:
            self._probing = False
            self._next_probe = now + PROBE_SECONDS
