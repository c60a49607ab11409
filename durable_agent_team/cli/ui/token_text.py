"""Tokens by kind, and what caching saved, as words; empty where there is nothing to tell."""

from decimal import Decimal
from typing import Protocol

from durable_agent_team.cli.output import usd


class CountedTokens(Protocol):
    """What a call, an agent or a run used. Its fields are those of `contracts.call.Usage`."""

    @property
    def prompt_tokens(self) -> int: ...
    @property
    def completion_tokens(self) -> int: ...
    @property
    def cached_tokens(self) -> int: ...
    @property
    def cache_write_tokens(self) -> int: ...
    @property
    def reasoning_tokens(self) -> int: ...
    @property
    def saved_usd(self) -> Decimal: ...


def tokens_cell(used: CountedTokens) -> str:
    """Prompt and answer, and in brackets those with a price of their own."""
    kinds = kinds_text(used)
    return f"{used.prompt_tokens}+{used.completion_tokens}" + (f" ({kinds})" if kinds else "")


def kinds_text(used: CountedTokens) -> str:
    kinds = {
        "cached": used.cached_tokens,
        "written to the cache": used.cache_write_tokens,
        "thinking": used.reasoning_tokens,
    }
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)


def saved_text(saved_usd: Decimal) -> str:
    if saved_usd < 0:
        return f"caching cost {usd(-saved_usd)} USD more than it saved"
    return f"caching saved {usd(saved_usd)} USD" if saved_usd else ""
