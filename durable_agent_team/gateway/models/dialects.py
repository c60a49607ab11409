"""Finds a model's dialect: the rules of `dialects.toml`, and what a models file says on top."""

import fnmatch
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from durable_agent_team.gateway.models.dialect import Dialect

RULES_FILE = Path(__file__).with_name("dialects.toml")


class Rule(BaseModel):
    """`drop` adds to the fields that earlier rules omit; every other key replaces theirs."""

    model_config = ConfigDict(frozen=True, extra="allow")

    presets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()

    @property
    def keys(self) -> Mapping[str, Any]:
        return self.model_extra or {}


def plain_name(model: str) -> str:
    """The upstream's name for a model as the patterns of rules have it: without its maker, and
    without the region that Amazon Bedrock puts before it."""
    return MAKER.sub("", model.lower().rpartition("/")[2])


MAKER = re.compile(
    r"^(?:[a-z]{2,8}\.)?(?:ai21|amazon|anthropic|cohere|deepseek|google|meta|minimax|mistral"
    r"|moonshot(?:ai)?|nvidia|openai|qwen|writer|xai|zai)\.(?=.)"
)
"""As in `us.anthropic.claude-opus-4-8`."""


def matches(
    presets: tuple[str, ...], models: tuple[str, ...], preset: str | None, model: str
) -> bool:
    """Whether a rule is about a model, by its `plain_name`. Without any, it is about all."""
    if presets and preset not in presets:
        return False
    return not models or any(fnmatch.fnmatchcase(model, each) for each in models)


@cache
def rules() -> tuple[Rule, ...]:
    data = tomllib.loads(RULES_FILE.read_text())
    found = tuple(Rule.model_validate(each) for each in data["rules"])
    for each in found:
        Dialect.model_validate(each.keys)  # a misspelt key is an error at once
    return found


def find_dialect(preset: str | None, model: str, given: Mapping[str, Any] | None = None) -> Dialect:
    """`model` is the upstream's name; `given` the `dialect` table of a models file. Raises
    pydantic's ValidationError for a wrong one."""
    plain = plain_name(model)
    keys: dict[str, Any] = {}
    for rule in rules():
        if matches(rule.presets, rule.models, preset, plain):
            keys |= rule.keys
            if rule.drop:
                omitted = (*keys.get("omit", ()), *rule.drop)
                keys["omit"] = tuple(dict.fromkeys(omitted))
    return Dialect.model_validate({**keys, **(given or {})})
