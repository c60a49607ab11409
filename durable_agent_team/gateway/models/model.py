"""One model that can be called: who serves it, what it costs, and how it wants to be asked."""

from dataclasses import dataclass
from typing import Literal

from durable_agent_team.gateway.models.dialect import Dialect
from durable_agent_team.gateway.models.price import Price

Speaks = Literal["chat", "messages", "responses"]
"""The API of an upstream: OpenAI's chat completions or Responses, or Anthropic's Messages."""
Planning = Literal["narrow", "whole"]
"""How an orchestrator plans with the model: by a form with fixed places, or freely."""
Kind = Literal["chat", "embedding"]
PLAIN = Dialect()


@dataclass(frozen=True, slots=True)
class Model:
    """`name` is what clients call it, `upstream_model` what its upstream calls it."""

    name: str
    upstream: str
    upstream_model: str
    price: Price
    dialect: Dialect = PLAIN
    max_output_tokens: int | None = None
    planning: Planning = "whole"
    speaks: Speaks = "chat"
    trust_cost: bool = False
    """Whether the cost that its upstream reports is what the operator pays."""
    kind: Kind = "chat"
    timeout_seconds: float | None = None
    """The time limit of its upstream, for calls that do not ask for another one."""

    @property
    def origin(self) -> str:
        """Who takes back what it thought: the same model at the same upstream."""
        return f"{self.upstream}/{self.upstream_model}"

    @property
    def context_tokens(self) -> int | None:
        return self.price.context_tokens
