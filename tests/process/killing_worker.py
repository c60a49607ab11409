"""A worker whose activity kills or blocks it whenever it is given the task `killer`.

Arguments: Temporal's address, the task queue, a file that gets a line for each time that the task
was given out, and `kill` or `block`.
"""

import asyncio
import os
import re
import signal
import sys
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from temporalio.client import Client

from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.payloads.converter import DATA_CONVERTER
from durable_agent_team.process.stuck_process import ended_when_stuck
from tests.support.fakes import FakeAccount, FakeWorld
from tests.support.sandbox import run_worker
from workflows import policies

BLOCKED_SECONDS = 2.0


async def main(address: str, queue: str, given_out: Path, how: str) -> None:
    rounds: Any = (1, 2)
    policies.PATIENCE = rounds  # two instead of the three of docs/adr/021: they wait less

    def rule(call: CallRequest) -> None:
        if call.task == "killer":
            with given_out.open("a") as lines:
                lines.write(f"{call.idempotency_key}\n")
            if how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            re.search(r"(x+x+)+y", "x" * 60)

    world = FakeWorld(rule)
    world.books = defaultdict(lambda: FakeAccount(Decimal(1)))  # each worker starts with none
    client = await Client.connect(address, data_converter=DATA_CONVERTER)
    async with (
        ended_when_stuck(5, BLOCKED_SECONDS),
        run_worker(
            client,
            queue,
            world.activities,
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
        ),
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4]))
