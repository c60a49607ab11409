"""What an error in place of a result means: whether the tool may have run, and who is to act."""

import re
from typing import Final

from activities.tools.called_tool import CalledTool
from activities.tools.exceptions import ToolAsks, ToolBroke, ToolError, ToolUnreachable
from activities.tools.mcp.called_result import plain_text
from activities.tools.mcp.demands import demand_in_error, demand_in_refusal
from activities.tools.mcp.faults import Fault, fault_in
from activities.tools.mcp.sign_in import issuer_text
from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.tool_call import ToolDemand

CONNECTION_CLOSED: Final = -32000
INVALID_REQUEST: Final = -32600
PARSE_ERROR: Final = -32700
NOT_RUN: Final = frozenset({401, 402, 403, 404, 405, 406, 411, 413, 415, 429})
"""Refusals that no tool has run behind. Of any other, such as a 400, nobody can be sure."""
PACKAGES_OWN: Final = (
    "Connection closed",
    "SSE stream",
    "Failed to parse",
    "server answered a request with 202",
    "Unexpected content type",
)
"""How messages begin that the `mcp` package makes up when there is no answer."""
NO_ANSWER: Final = re.compile(
    r"\A(?:Request timed out|Timed out while waiting for response|mcp-remote: )"
    r"|MCP error -3200[01]: (?:Connection closed|Request timed out|Maximum total timeout exceeded)"
)
"""What servers say that only stand before another one, when they had no answer from it: the SDKs'
words as they are, or below the code of a text of an exception; and mcp-remote's."""
LOOKED_AT: Final = 2_000
REDIRECTED: Final = "Redirect to "
MAX_ADDRESS: Final = 300
MAX_MESSAGE: Final = 2_000


class SessionGone(ToolError):
    """The server no longer knows the session (HTTP 404): nothing was called, and a new one may be
    begun."""


def answer_to_error(code: int, message: str, data: object) -> CalledTool:
    """The result that a JSON-RPC error is; or raises the `ToolError` that it stands for."""
    fault = fault_in(data)
    if fault is not None:
        return _answer_to_fault(fault)
    if (demand := demand_in_error(code, message, data)) is not None:
        raise asks(demand)
    if message.startswith(PACKAGES_OWN) and code in (
        CONNECTION_CLOSED,
        INVALID_REQUEST,
        PARSE_ERROR,
    ):
        raise ToolBroke("the connection ended, or what came is no answer", sent=True)
    check_answered(message)
    if code == INVALID_REQUEST and message.startswith(REDIRECTED):
        address = message.removeprefix(REDIRECTED).partition(" ")[0]
        raise ToolUnreachable(
            f"the server redirects to {cut(address, MAX_ADDRESS)}, which is not followed: if that"
            " is its address, write it as `url`"
        )
    return CalledTool(
        cut(plain_text(f"error {code}: {message[:MAX_MESSAGE]}"), MAX_MESSAGE), is_error=True
    )


def check_answered(error: str) -> None:
    """Raises `ToolBroke` where the text of an error says that a server behind this one has not
    answered: the tool may have run."""
    if NO_ANSWER.search(error, 0, LOOKED_AT):
        said = cut(" ".join(plain_text(error[:LOOKED_AT]).split()), 300)
        raise ToolBroke(f"a server behind this one did not answer: {said}", sent=True)


def _answer_to_fault(fault: Fault) -> CalledTool:
    if fault.stage == "too_large":
        return CalledTool(f"The tool has run; its result was {fault.text}.", is_error=True)
    if fault.stage == "unsent":
        raise ToolUnreachable(fault.text, final=False)
    if fault.stage != "refused":
        raise ToolBroke(fault.text, sent=True)
    demand = demand_in_refusal(fault.status, fault.body, fault.challenge, fault.offer)
    if demand is not None:
        raise asks(demand)
    if fault.status == 404:
        raise SessionGone(fault.text)
    if fault.status in NOT_RUN:
        raise ToolUnreachable(refusal_text(fault), final=fault.status != 429)
    raise ToolBroke(refusal_text(fault), sent=True)


def refusal_text(fault: Fault) -> str:
    """What the status means for whoever wrote the team file."""
    needs_scope = fault.status == 403 and "insufficient_scope" in fault.challenge
    if fault.status == 401 or needs_scope:
        issuer = issuer_text(fault.challenge, fault.url)
        remedy = f": {fault.remedy}; then `retry`" if fault.remedy else ""
        return f"{fault.text}: give it a valid token by `headers`{remedy}{issuer}"
    body = " ".join(plain_text(fault.body).split())
    return f"{fault.text}: {cut(body, 300)}" if body else fault.text


def asks(demand: ToolDemand) -> ToolAsks:
    """The error for a demand, which says what it is."""
    where = f" at {demand.url}" if demand.url else ""
    if demand.kind == "sign_in":
        return ToolAsks(f"it wants somebody to sign in{where}", demand)
    amount = f" {demand.amount}" if demand.amount else ""
    return ToolAsks(f"it wants to be paid{amount}{where}", demand)
