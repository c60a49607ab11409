"""`worker.py` that keeps the runs that wait in its memory: to see what it is that leaves it.

Not a setting: nobody has a reason to change it but this benchmark.
"""

import worker
from durable_agent_team.process.interpreter_exit import exit_process
from durable_agent_team.worker_sdk import idle_eviction

A_DAY = 86_400.0


def main() -> int:
    setattr(idle_eviction, "IDLE_SECONDS", A_DAY)  # noqa: B010 - it is a Final
    return worker.main()


if __name__ == "__main__":
    exit_process(main())
