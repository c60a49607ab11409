"""What a model's tokens cost, in exact amounts: USD per million tokens."""

import hashlib
from decimal import Decimal
from functools import cached_property

from pydantic import BaseModel, ConfigDict, Field

SCALE = 10**9
"""USD per million tokens equals micro-USD per token; nine decimal places are kept."""


class Price(BaseModel):
    """One model's entry. `message_tokens` and `request_tokens` are added to the upper bound."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_usd_per_million: Decimal = Field(ge=0, le=10**6, decimal_places=9)
    output_usd_per_million: Decimal = Field(ge=0, le=10**6, decimal_places=9)
    context_tokens: int | None = Field(None, ge=1)
    default_max_tokens: int = Field(1024, ge=1)
    message_tokens: int = Field(16, ge=0)
    request_tokens: int = Field(64, ge=0)
    parameters: tuple[str, ...] = ()
    note: str = ""
    source: str = ""
    """Where it comes from, with the version, as it stands in the ledger."""

    def cost(self, prompt_tokens: int, completion_tokens: int) -> int:
        """Micro-USD, rounded up once."""
        scaled = prompt_tokens * self._input_scaled + completion_tokens * self._output_scaled
        return -(-scaled // SCALE)

    @cached_property
    def _input_scaled(self) -> int:
        return int(self.input_usd_per_million * SCALE)

    @cached_property
    def _output_scaled(self) -> int:
        return int(self.output_usd_per_million * SCALE)

    def bound(self, body_bytes: int, messages: int, max_tokens: int) -> int:
        """The most that a request can cost, in micro-USD: it has no more tokens than bytes."""
        prompt = body_bytes + messages * self.message_tokens + self.request_tokens
        return self.cost(prompt, max_tokens)

    @cached_property
    def fingerprint(self) -> str:
        """Changes with the entry, so that a model refused for a wrong entry is accepted again after
        the entry was corrected."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]
