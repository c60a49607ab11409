"""What a kind of tool answers: the same for MCP servers, functions and built-in tools."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CalledTool:
    """The result of one call, in full: `tool_activities` cuts and stores it."""

    text: str
    is_error: bool = False
    """The tool itself reports an error."""
    began_anew: bool = False
    """The session of a stateful server is not the one of the conversation's last call."""
    session: str | None = None
    """Only for a stateful server."""
    left_out: int = 0
    """Bytes in the middle that `text` lacks; the result is cut much shorter later anyway."""
