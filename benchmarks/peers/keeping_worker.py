"""`worker.py` that keeps the runs that wait in its memory: to see what it is that leaves it.

Not a setting: nobody has a reason to change it but this benchmark.
"""

import worker
from runtime import resting_runs
from runtime.process import leave

A_DAY = 86_400.0


def main() -> int:
    setattr(resting_runs, "REST_SECONDS", A_DAY)  # noqa: B010 - it is a Final
    return worker.main()


if __name__ == "__main__":
    leave(main())
