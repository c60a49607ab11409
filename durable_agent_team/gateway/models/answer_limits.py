"""How long an answer of a model can be: the rules of `answer_limits.toml`."""

import tomllib
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from durable_agent_team.gateway.models.dialects import matches, plain_name

RULES_FILE = Path(__file__).with_name("answer_limits.toml")


class LimitRule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    presets: tuple[str, ...] = ()
    models: tuple[str, ...]
    max_output_tokens: int = Field(ge=1)


@cache
def limit_rules() -> tuple[LimitRule, ...]:
    data = tomllib.loads(RULES_FILE.read_text())
    return tuple(LimitRule.model_validate(each) for each in data["rules"])


def longest_answer(preset: str | None, model: str, context_tokens: int | None) -> int | None:
    """In tokens, never more than the context; None where nobody knows. `model` is the upstream's
    name."""
    name = plain_name(model)
    found: int | None = None
    for rule in limit_rules():
        if matches(rule.presets, rule.models, preset, name):
            found = rule.max_output_tokens
    if found is None or context_tokens is None:
        return found
    return min(found, context_tokens)
