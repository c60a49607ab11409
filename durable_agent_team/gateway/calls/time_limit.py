"""How long a call may take: as long as its client asks for, within the gateway's settings; and
whether it is made again after it has run into a limit."""

import math
from dataclasses import dataclass
from decimal import Decimal

from durable_agent_team.gateway.amounts import is_number
from durable_agent_team.gateway.api_error import invalid, shown
from durable_agent_team.gateway.models.model import Model

TIMEOUT_HEADER = "X-Call-Timeout-Seconds"
KNOWN_LIMITS_HEADER = "X-Known-Limits"
MAX_KNOWN_LIMITS = 1_000_000
DEFAULT_SETTING = "UPSTREAM_TIMEOUT_SECONDS"
MAX_SETTING = "GATEWAY_MAX_CALL_SECONDS"


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """How long one call may take. After it, the gateway ends the call."""

    seconds: float
    source: str
    """The setting or the header that it comes from, for the error message."""
    lease_seconds: float | None = None
    """How long the call can hold its reservation; None for the store's default."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """The limit of a call that asks for none, and the longest that a call can ask for."""

    default_seconds: float
    max_seconds: float
    margin_seconds: float
    """How much longer than its limit a call can hold its reservation."""

    def of(self, asked: str | None, target: Model | None = None) -> TimeLimit:
        """The limit of a call that sent this header. Raises ApiError if it is not a number of
        seconds.

        A client that asks for less than the default gets the default: if it leaves, the call
        continues, and its answer is stored for the next attempt. An upstream with a timeout of its
        own has that as its default.
        """
        default, of_default = self.default_seconds, DEFAULT_SETTING
        if target is not None and target.timeout_seconds is not None:
            default = min(target.timeout_seconds, self.max_seconds)
            of_default = f"timeout_seconds of upstream {target.upstream}"
        wanted = 0.0 if asked is None else _seconds(asked)
        if wanted > self.max_seconds:
            seconds, source = self.max_seconds, MAX_SETTING
            if self.max_seconds == default:
                source = of_default
        elif wanted > default:
            seconds, source = wanted, f"{TIMEOUT_HEADER}, as the call asked"
        else:
            seconds, source = default, of_default
        return TimeLimit(seconds, source, seconds + self.margin_seconds)


def known_limits(text: str | None) -> int | None:
    """How often the client knows that its call ran into a limit of the gateway's own. Raises
    ApiError if the header is not a count."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(MAX_KNOWN_LIMITS)):
        raise invalid(
            f"`{KNOWN_LIMITS_HEADER}` must be a whole number from 0 to {MAX_KNOWN_LIMITS};"
            f" got {shown(text)}"
        )
    return int(text)


def _seconds(text: str) -> float:
    seconds = float(Decimal(text)) if is_number(text) else math.nan
    if not 0 < seconds < math.inf:
        raise invalid(f"`{TIMEOUT_HEADER}` must be a number of seconds above 0; got {shown(text)}")
    return seconds
