"""What a model reads in place of a tool's result, where there is none."""

from durable_agent_team.contracts.tool_box import ToolBox
from workflows.state.tool_work import MAX_EQUAL_CALLS

MAX_NAMES = 50

MADE_TOO_OFTEN = (
    f"Not run: this same call was made {MAX_EQUAL_CALLS} times already. Use its results, and answer"
    " now."
)
SKIPPED = "This call was left out. Go on without its result."
SKIPPED_UNKNOWN = (
    "This call was interrupted, and it is not known whether it had its effect. A person decided to"
    " go on without its result. Do not repeat it."
)
NOT_IN_TIME = "Not run: nobody approved this call in time."


def unknown_tool(name: str, box: ToolBox) -> str:
    names = ", ".join(each.name for each in box.tools[:MAX_NAMES])
    return f"Not run: there is no tool {name[:100]!r}. There are: {names or 'none'}."


def used_up(most: int) -> str:
    times = "once" if most == 1 else f"{most} times"
    return f"Not run: this tool may be called {times} in one conversation, and it was."


def rejected(note: str) -> str:
    return f"Not run: a person rejected this call{f': {note}' if note else '.'}"


def failed(text: str) -> str:
    return f"The call failed: {text}"
