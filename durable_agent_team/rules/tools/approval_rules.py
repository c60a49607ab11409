"""Whether a call of a tool needs a person's approval, and what exactly the person approves."""

import hashlib
import json
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic_core import from_json

from durable_agent_team.contracts.base import MAX_AMOUNT_TEXT, MAX_USD
from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.tool_box import ToolFacts
from durable_agent_team.contracts.tool_kinds import ApprovalRule, Effects, Tool


def limit_summary(agent: str | None, subject: str, what: str) -> str:
    """What Temporal shows of the timer that ends the wait for an approval.

    >>> limit_summary("clerk", "settle:2.1", "shop:refund")
    'clerk · settle:2.1 · shop:refund · approval'
    """
    return cut(f"{agent} · {subject} · {what} · approval", 200)


def subject_of_limit(summary: str) -> str:
    """The subject in such a summary; empty for that of another timer.

    >>> subject_of_limit("clerk · settle:2.1 · shop:refund · approval")
    'settle:2.1'
    """
    parts = summary.split(" · ")
    return parts[1] if len(parts) > 3 else ""


def parsed_arguments(text: str) -> dict[str, Any] | None:
    """The arguments of a call; None where they are no JSON object, or have a number that JSON
    cannot hold.

    >>> parsed_arguments('{"city": "Oslo"}')
    {'city': 'Oslo'}
    """
    try:
        value = from_json(text, allow_inf_nan=False)
        json.dumps(value, allow_nan=False)  # 1e400 is read as infinity
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def plain_arguments(text: str) -> str:
    """The same object as every reader reads it: a key that stands twice has its last value.

    >>> plain_arguments('{"usd": 1, "usd": 2}')
    '{"usd": 2}'
    """
    return json.dumps(parsed_arguments(text) or {}, ensure_ascii=False)


def rule_of(tool: Tool, effects: Effects) -> ApprovalRule:
    """The tool's own rule, or the default: `tainted`, and `never` without effects."""
    if tool.approve is not None:
        return tool.approve
    return ApprovalRule.NEVER if effects is Effects.NONE else ApprovalRule.TAINTED


def amount_of(tool: Tool, arguments: str) -> Decimal | None:
    """What a call moves or costs, in USD: the argument that `amount` names, else the tool's price.
    None where that is no amount."""
    if tool.amount is None:
        return tool.price_usd
    found = (parsed_arguments(arguments) or {}).get(tool.amount)
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        return None
    text = str(found)
    if len(text) > MAX_AMOUNT_TEXT or not text.isascii() or "_" in text:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and 0 <= amount <= MAX_USD else None


def has_second_amount(tool: Tool, arguments: str) -> bool:
    """Whether a call has the argument that `amount` names, and another one whose name differs in
    upper and lower case only. Some servers take both for the same, and the last one counts, as for
    Go's `encoding/json`: nobody knows what the call moves.

    >>> from durable_agent_team.contracts.tool_kinds import PythonTool
    >>> has_second_amount(PythonTool(python="shop:pay", amount="usd"), '{"usd": 1, "USD": 900}')
    True
    """
    if tool.amount is None:
        return False
    names = [name.casefold() for name in parsed_arguments(arguments) or {}]
    return names.count(tool.amount.casefold()) > 1


def needs_approval(tool: Tool, effects: Effects, arguments: str, *, tainted: bool) -> bool:
    """Whether a person has to approve this call. A tool with effects needs it in a tainted
    conversation, unless its rule is `never`; an unknown amount counts as a large one."""
    rule = rule_of(tool, effects)
    if rule is ApprovalRule.NEVER:
        return False
    if rule is ApprovalRule.ALWAYS:
        return True
    if tainted and (rule is ApprovalRule.TAINTED or effects is not Effects.NONE):
        return True
    if rule is ApprovalRule.ABOVE_USD and tool.above_usd is not None:
        amount = amount_of(tool, arguments)
        return amount is None or amount > tool.above_usd
    return False


def approved_sha256(facts: ToolFacts, arguments: str) -> str:
    """What an approval of a call is bound to: the tool as it was listed, and the arguments."""
    value = parsed_arguments(arguments)
    kept: Any = arguments if value is None else value
    return sha256_of({"tool": facts.sha256, "source": facts.source, "arguments": kept})


def sha256_of(value: Any) -> str:
    """The hash of a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
