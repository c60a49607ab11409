"""What calls cost and how they end, as metrics: by team, agent and model, never by run or task.

Only the API is used: without a provider set up by the process nothing is counted.
"""

from collections import OrderedDict
from collections.abc import Mapping

from opentelemetry import metrics

from durable_agent_team.contracts.call import Usage
from durable_agent_team.contracts.error_types import ErrorType

Attributes = Mapping[str, str]

_meter = metrics.get_meter("agent_team")

SPEND = _meter.create_counter(
    "agent_team.spend_micro_usd",
    unit="{micro_usd}",
    description="Settled charges, in millionths of a US dollar: whole numbers, so sums are exact.",
)
CALLS = _meter.create_counter(
    "agent_team.calls", unit="{call}", description="Attempts of calls, by how they ended."
)
RUNNING = _meter.create_up_down_counter(
    "agent_team.calls_running", unit="{call}", description="Calls in flight in this worker."
)
TOKENS = _meter.create_histogram(
    "gen_ai.client.token.usage",
    unit="{token}",
    description="Tokens of a billed call, as billed.",
    explicit_bucket_boundaries_advisory=[4.0**power for power in range(14)],
)
TOKEN_PARTS = _meter.create_counter(
    "agent_team.token_parts",
    unit="{token}",
    description="Of the tokens of billed calls, those with a price of their own, by kind.",
)
SAVED = _meter.create_up_down_counter(
    "agent_team.saved_micro_usd",
    unit="{micro_usd}",
    description="What caching saved on billed calls; it falls where caching cost more.",
)
DURATION = _meter.create_histogram(
    "gen_ai.client.operation.duration",
    unit="s",
    description="How long an attempt of a call took.",
    explicit_bucket_boundaries_advisory=[0.01 * 2**power for power in range(14)],
)

OUTCOMES: dict[str, str] = {
    ErrorType.RATE_LIMITED: "rate_limited",
    ErrorType.UPSTREAM_UNAVAILABLE: "upstream_error",
    ErrorType.MALFORMED_ANSWER: "upstream_error",
    ErrorType.UPSTREAM_TIMEOUT: "timeout",
    ErrorType.GATEWAY_LIMIT: "timeout",
    ErrorType.BUDGET_EXHAUSTED: "exhausted",
    ErrorType.BUDGET_RESERVED: "reserved",
    ErrorType.CHECK_FAILED: "check_failed",
    ErrorType.INTERNAL: "internal",
}
"""The outcomes of error types that have their own; all others are `refused`."""

OK = "ok"
CHECK_FAILED = OUTCOMES[ErrorType.CHECK_FAILED]
REFUSED = "refused"
CANCELLED = "cancelled"


class CountedKeys:
    """The keys whose charge this process has counted: a stored answer that comes once more was
    paid once. Bounded; what it forgets is long over."""

    def __init__(self, size: int = 10_000) -> None:
        self._size = size
        self._keys: OrderedDict[str, None] = OrderedDict()

    def is_new(self, key: str, *, replayed: bool) -> bool:
        """Whether the charge behind this answer is still to be counted; from now on it is."""
        known = key in self._keys
        self._keys[key] = None
        if len(self._keys) > self._size:
            self._keys.popitem(last=False)
        return not (replayed and known)


COUNTED = CountedKeys()


def count_charge(
    attributes: Attributes, key: str, micro_usd: int, usage: Usage, *, replayed: bool
) -> None:
    """A settled charge and its tokens, once, whichever attempt hears of it first."""
    if not COUNTED.is_new(key, replayed=replayed):
        return
    SPEND.add(micro_usd, attributes)
    for kind, tokens in (("input", usage.prompt_tokens), ("output", usage.completion_tokens)):
        TOKENS.record(tokens, {**attributes, "gen_ai.token.type": kind})
    for kind, tokens in (
        ("cached", usage.cached_tokens),
        ("cache_write", usage.cache_write_tokens),
        ("reasoning", usage.reasoning_tokens),
    ):
        if tokens:
            TOKEN_PARTS.add(tokens, {**attributes, "agent_team.token_kind": kind})
    if usage.saved_usd:
        SAVED.add(int(usage.saved_usd.scaleb(6)), attributes)
