"""What an answer is charged, and the `usage` that its agent gets."""

from dataclasses import dataclass, field
from typing import Any

from durable_agent_team.gateway.amounts import MAX_MICRO, usd
from durable_agent_team.gateway.calls.chat_request import ChatRequest
from durable_agent_team.gateway.calls.upstream_cost import reported_cost, without_upstream_cost
from durable_agent_team.gateway.doors.chat_answer import exact_counts, object_of
from durable_agent_team.gateway.models.token_usage import (
    COMPLETION,
    PROMPT,
    TOTAL,
    TokenUsage,
    is_count,
    read_usage,
)

NO_TOKENS = TokenUsage(0, 0)
UPSTREAM = "reported by the upstream"
"""The source of a price that is no entry's."""


@dataclass(frozen=True, slots=True)
class BilledAnswer:
    """An answer that is charged, stored and replayed."""

    usage: TokenUsage
    amount: int
    estimated: bool
    overrun: int
    status: int
    body: bytes
    tail: bytes = b""
    """The end of a streamed answer. It is sent only after the charge was written."""
    saved: int = 0
    """What caching saved, in micro-USD; negative if it cost more than it saved."""
    price_source: str = ""

    @property
    def prompt_tokens(self) -> int:
        return self.usage.prompt_tokens

    @property
    def completion_tokens(self) -> int:
        return self.usage.completion_tokens


@dataclass(frozen=True, slots=True)
class AnswerCharge:
    """What an answer is charged. `shown_usage` is the `usage` that the agent gets."""

    usage: TokenUsage | None
    amount: int
    overrun: int
    estimated: bool
    shown_usage: dict[str, Any]
    saved: int = 0
    price_source: str = ""

    def billed(self, status: int, body: bytes, tail: bytes = b"") -> BilledAnswer:
        return BilledAnswer(
            usage=self.usage or NO_TOKENS,
            amount=self.amount,
            estimated=self.estimated,
            overrun=self.overrun,
            status=status,
            body=body,
            tail=tail,
            saved=self.saved,
            price_source=self.price_source,
        )


@dataclass
class ReportedUsage:
    """What an upstream reported of one call so far: in one piece, or in the chunks of a stream."""

    fields: dict[str, Any] = field(default_factory=dict)
    """The fields of an answer that tell what it cost, with its `usage`."""

    def add(self, data: dict[str, Any]) -> None:
        """Keeps the heaviest of several usages, so that neither the zeros of a last chunk nor the
        first figures of a stream take the place of what was used."""
        for name in COST_FIELDS:
            if data.get(name):
                self.fields[name] = data[name]
        for usage in _usages(data):
            known = self.fields.get("usage")
            self.fields["usage"] = usage if known is None else _merged(known, usage)

    def valid(self, has_content: bool) -> TokenUsage | None:
        """The tokens; None unless they are plausible: neither a prompt nor an answer with content
        has 0 tokens."""
        usage = read_usage(self.fields.get("usage"))
        if usage is None or (usage.completion_tokens == 0 and has_content):
            return None
        return usage


COUNTS = frozenset({*PROMPT, *COMPLETION, *TOTAL})
COST_FIELDS = ("cost", "cost_usd", "_meta", "service_tier")


def reports_cost(data: dict[str, Any]) -> bool:
    """Whether it has a field that must not be passed on as it is."""
    return not SHOWN_ELSEWHERE.isdisjoint(data) or any(
        "usage" in choice for choice in _choices(data)
    )


USAGE_OF_OTHERS = ("delta", "metadata", "response")
"""In streams of Cohere, of Bedrock, and of Responses."""
SHOWN_ELSEWHERE = frozenset({"usage", "cost", "cost_usd", "_meta", "x_groq"})


def _usages(data: dict[str, Any]) -> list[dict[str, Any]]:
    """At its usual place, in Groq's part of a chunk, or in a choice, as Moonshot has it; of another
    format, which has no choices, at its places."""
    found = [data.get("usage"), object_of(data, "x_groq").get("usage")]
    found += [choice.get("usage") for choice in _choices(data)]
    if "choices" not in data:  # an answer with them may return a client's own `metadata`
        found.append(data.get("usageMetadata"))
        found += [object_of(data, name).get("usage") for name in USAGE_OF_OTHERS]
    return [exact_counts(each) for each in found if isinstance(each, dict) and each]


def _choices(data: dict[str, Any]) -> list[dict[str, Any]]:
    choices = data.get("choices")
    return [each for each in choices if isinstance(each, dict)] if isinstance(choices, list) else []


def _merged(known: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """The heavier of the two, with what only the other one tells. Counts only grow: each is the
    larger one, of the prompt at first and the answer at the end as of two that contradict each
    other. One that cannot be believed stays until a later one can be."""
    counts = {
        name: _later_count(known[name], later[name])
        for name in known.keys() & later.keys() & COUNTS
    }
    first, second = read_usage(known), read_usage(later)
    if first is not None and (second is None or second.weight < first.weight):
        known, later = later, known
    return {**known, **{name: value for name, value in later.items() if value}, **counts}


def _later_count(known: Any, later: Any) -> Any:
    if is_count(known) and is_count(later):
        return max(known, later)
    return known if later is None or later in ("", 0) else later


def without_usage(data: dict[str, Any]) -> dict[str, Any]:
    """Without any usage or cost of the upstream's: the agent gets its own."""
    shown = without_upstream_cost(data)
    shown.pop("usage", None)
    if isinstance(groq := shown.get("x_groq"), dict):
        shown["x_groq"] = {name: value for name, value in groq.items() if name != "usage"}
    if [choice for choice in _choices(shown) if "usage" in choice]:
        shown["choices"] = [
            {name: value for name, value in each.items() if name != "usage"}
            if isinstance(each, dict)
            else each
            for each in shown["choices"]
        ]
    return shown


def compute_charge(
    reported: ReportedUsage, usage: TokenUsage | None, request: ChatRequest
) -> AnswerCharge:
    """The tokens at the model's price; or the cost that the upstream reports, if that is more or
    the upstream is one to be believed. The bound, marked as estimated, if neither can be believed.
    """
    tier = _service_tier(reported.fields)
    price = request.price
    own = None if usage is None else price.charge(usage, tier)
    if own is not None and own > request.bound:
        less = read_usage(reported.fields.get("usage"), may_add=False)
        if less is not None and price.charge(less, tier) <= request.bound:
            usage, own = less, price.charge(less, tier)
    if own is not None and own > MAX_MICRO:
        own = None
    cost = reported_cost(reported.fields)
    told = request.target.trust_cost and bool(cost)
    estimated = cost is None or (own is None and not told)
    if estimated:
        amount = max(request.bound, cost or 0)
    else:
        amount = cost or 0 if told else max(own or 0, cost or 0)
    is_own = not estimated and amount == own and not told
    overrun = max(0, amount - request.bound)
    amount -= overrun
    saved = price.saved(usage, tier) if is_own and usage is not None and not overrun else 0
    return AnswerCharge(
        usage,
        amount,
        overrun,
        estimated,
        _shown(reported, usage, amount, estimated, saved),
        saved,
        price.source if is_own or estimated else UPSTREAM,
    )


def _service_tier(fields: dict[str, Any]) -> str | None:
    """The one that served the call, as the answer names it (OpenAI), or its usage (Anthropic)."""
    usage = fields.get("usage")
    tier = fields.get("service_tier") or (usage or {}).get("service_tier")
    return tier if isinstance(tier, str) else None


def _shown(
    reported: ReportedUsage, usage: TokenUsage | None, amount: int, estimated: bool, saved: int
) -> dict[str, Any]:
    """What was reported, with the tokens as they were charged, by OpenAI's names."""
    shown = without_upstream_cost(reported.fields.get("usage") or {})
    if usage is not None:
        shown["prompt_tokens"] = usage.prompt_tokens
        shown["completion_tokens"] = usage.completion_tokens
        shown["total_tokens"] = usage.prompt_tokens + usage.completion_tokens
        cached, written = usage.cached_tokens, usage.cache_write_tokens
        if cached or written or "prompt_tokens_details" in shown:
            parts = {"cached_tokens": cached, "cache_write_tokens": written}
            _add_details(shown, "prompt_tokens_details", parts)
        if usage.reasoning_tokens or "completion_tokens_details" in shown:
            thinking = {"reasoning_tokens": usage.reasoning_tokens}
            _add_details(shown, "completion_tokens_details", thinking)
    shown["cost"] = usd(amount)
    if saved:
        shown["saved_usd"] = usd(saved)
    else:
        shown.pop("saved_usd", None)
    if estimated:
        shown["estimated"] = True
    else:
        shown.pop("estimated", None)
    return shown


def _add_details(shown: dict[str, Any], name: str, parts: dict[str, int]) -> None:
    told = shown.get(name)
    known = told if isinstance(told, dict) else {}
    charged = {part: count for part, count in parts.items() if count or part in known}
    if charged:
        shown[name] = {**known, **charged}
