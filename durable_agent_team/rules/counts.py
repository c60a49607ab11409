"""Numbers of things in words, in a table, in a report and in Temporal's UI."""


def counted(count: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "task"), counted(2, "task")
    ('1 task', '2 tasks')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def more(count: int, one: str, many: str) -> str:
    """The rest of a list.

    >>> more(1, "task", "tasks"), more(2, "waits", "wait")
    ('1 more task', '2 more wait')
    """
    return f"{count} more {one if count == 1 else many}"
