"""How many files this process may open. Below a few dozen, libraries fail in ways of their own: the
Temporal SDK with a panic, asyncio with an attribute that it lacks."""

from typing import Final

LEAST: Final = 64
"""A command has about fifteen open, a worker without work thirty; a gateway has one for each
connection besides."""


def too_few_files() -> str | None:
    """What is wrong with the limit, and what to do; None where it is high enough."""
    try:
        import resource  # noqa: PLC0415  # Windows has none, and no such limit
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= LEAST:
        return None
    may = hard == resource.RLIM_INFINITY or hard >= LEAST
    remedy = "`ulimit -n 1024`" if may else "a higher limit of the system or the container"
    return f"this process may open only {soft} files, and needs {LEAST} or more: set {remedy}"
