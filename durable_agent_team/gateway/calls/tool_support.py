"""Refuses tools for a model without them: its server would ignore them, or forget the calls."""

from collections.abc import Mapping
from typing import Any

from durable_agent_team.gateway.api_error import ApiError, invalid

ROLES = ("tool", "function")


def tools_field(data: Mapping[str, Any]) -> str | None:
    """The field of a checked request that needs a model with tools; None if nothing does."""
    for field in ("tools", "functions"):
        if data.get(field):
            return field
    for index, message in enumerate(data["messages"]):
        if message.get("tool_calls") or message.get("function_call"):
            return f"messages[{index}].tool_calls"
        if message["role"] in ROLES:
            return f"messages[{index}].role"
    return None


def tools_refused(model: str, field: str) -> ApiError:
    return invalid(
        f"The model {model!r} knows no tools, so `{field}` would be ignored. Describe the tools in"
        " the prompt and ask for an action by `response_format`; or call a model with tools (GET"
        " /v1/models: `dialect.tools`). If this one has them, say so in the models file:"
        ' `dialect = { tools = "native" }`.',
        "tools_not_supported",
    )
