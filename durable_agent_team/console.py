"""The console commands of the installed package. Each imports its part only when it is called."""

import os
import sys
from typing import NoReturn

INTERRUPTED = 130
SETTING_WRONG = 2


def starter() -> NoReturn:
    """`durable-agent-team`: the command line, as `starter.py` is in a checkout."""
    try:
        from durable_agent_team.cli.app import main  # noqa: PLC0415
    except KeyboardInterrupt:  # Ctrl-C while it loads
        raise SystemExit(INTERRUPTED) from None
    main()


def gateway() -> NoReturn:
    """`durable-agent-team-gateway`: the same as `python -m durable_agent_team.gateway`."""
    _require_or_exit("gateway")
    from durable_agent_team.gateway.__main__ import main  # noqa: PLC0415

    sys.exit(main())


def worker() -> NoReturn:
    """`durable-agent-team-worker`: replaces this process by the worker's.

    The worker runs as a script, so that its `workflows` and `activities` come from next to it.
    """
    _require_or_exit("worker")
    from durable_agent_team.process.project_root import WORKER_SCRIPT  # noqa: PLC0415

    os.execv(sys.executable, [sys.executable, str(WORKER_SCRIPT), *sys.argv[1:]])


def _require_or_exit(extra: str) -> None:
    from durable_agent_team.process.extras import MissingExtra, require  # noqa: PLC0415

    try:
        require(extra)
    except MissingExtra as error:
        print(f"{extra}: {error}", file=sys.stderr)
        raise SystemExit(SETTING_WRONG) from None
