"""What a workflow calls is loaded in its sandbox, too."""

import time


def seconds() -> float:
    return time.time()
