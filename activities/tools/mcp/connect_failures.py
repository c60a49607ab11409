"""Why a server cannot be talked to, and whether another attempt may succeed."""

from typing import Final

from mcp.shared.exceptions import MCPError

from activities.tools.exceptions import ToolAsks, ToolError, ToolUnreachable
from activities.tools.mcp.answers import SessionGone, answer_to_error
from activities.tools.mcp.faults import fault_in

NO_SERVER: Final = (404, 405)
ADDRESS: Final = (
    ", so that is not the address of a server that speaks streamable HTTP: correct `url` (it often"
    " ends with /mcp), or, for one that speaks the older SSE only, replace it by"
    " `command: [npx, -y, mcp-remote, URL]`"
)


def why_not_connected(problem: BaseException | None, how_it_ended: str | None) -> tuple[str, bool]:
    """The reason for people, and whether it is final. `how_it_ended` is of a server's process.
    Raises `ToolAsks` where the server wants to be paid first."""
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    if isinstance(problem, ToolUnreachable):
        return str(problem), problem.final
    if how_it_ended is not None:
        return how_it_ended, True
    if isinstance(problem, MCPError):
        fault = fault_in(problem.error.data)
        if fault is not None and fault.status in NO_SERVER:  # a 404 may be one of a restart
            return f"{fault.text}{ADDRESS}", fault.status != 404
        return why_refused(problem)
    return f"it cannot be talked to ({type(problem).__name__})", True


def why_refused(error: MCPError) -> tuple[str, bool]:
    """The same, of an error in place of an answer. Raises `ToolAsks`, and `SessionGone` where the
    server only wants the session to be begun anew."""
    try:
        return answer_to_error(error.code, error.message, error.error.data).text, True
    except (ToolAsks, SessionGone):
        raise
    except ToolError as found:
        return str(found), isinstance(found, ToolUnreachable) and found.final
