"""Why a call of a built-in tool has no result."""


class ToolMistake(Exception):
    """The call cannot have a result as it was made. The model gets the text, which names what to
    change."""


class PageUnreachable(Exception):
    """No HTTP response came. Another attempt may get one."""
