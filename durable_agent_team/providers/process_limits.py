"""What `ulimit` leaves a process. With too little, libraries fail in ways of their own: the
Temporal SDK with a panic, asyncio with a missing attribute, Python with an error without text."""

from typing import Final

LEAST_FILES: Final = 64
"""A command has about fifteen open, a worker without work thirty; a gateway has one for each
connection besides."""

COMMAND_MEGABYTES: Final = 256
"""Address space. On two cores a command ends well with 110; each core more adds a thread."""

SERVICE_MEGABYTES: Final = 512
"""The same of a worker, which starts with 180 on two cores, and of a gateway, which needs 260."""


def too_low_limit(megabytes: int) -> str | None:
    """Which limit is too low, and what to do; None where all are high enough.

    `megabytes`: the address space that this program needs.
    """
    try:
        import resource  # noqa: PLC0415  # Windows has none, and no such limits
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < LEAST_FILES:
        may = hard == resource.RLIM_INFINITY or hard >= LEAST_FILES
        remedy = "`ulimit -n 1024`" if may else "a higher limit of the system or the container"
        return (
            f"this process may open only {soft} files, and needs {LEAST_FILES} or more:"
            f" set {remedy}"
        )
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY and soft < megabytes * 1_000_000:
        return (
            f"this process may use only {soft // 1_000_000} MB of address space, and needs"
            f" {megabytes} or more: raise `ulimit -v`, or the limit of the system"
        )
    return None
