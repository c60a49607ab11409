"""A place for databases of tests: in memory where the machine has such a file system.

A gateway waits for the disk at each charge, which with two gateways and more at a time takes longer
than all else in most of their tests. A process that is killed loses nothing in either place.
"""

import os
import shutil
from functools import cache
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
BYTES_FREE = 2**30


@cache
def memory_disk() -> str | None:
    """For `dir=` of `tempfile`: None, the usual place, where shared memory is small or missing."""
    if not os.access(SHARED_MEMORY, os.W_OK):
        return None
    return str(SHARED_MEMORY) if shutil.disk_usage(SHARED_MEMORY).free >= BYTES_FREE else None
