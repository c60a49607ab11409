"""Words for what a list leaves out, in a table, in a report and in Temporal's UI."""


def more(count: int, one: str, many: str) -> str:
    """The rest of a list.

    >>> more(1, "task", "tasks"), more(2, "waits", "wait")
    ('1 more task', '2 more wait')
    """
    return f"{count} more {one if count == 1 else many}"
