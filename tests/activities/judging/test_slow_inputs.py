"""The event loop goes on while answers and schemas that are built to be slow are judged."""

import asyncio
import time

import pytest

from activities.judging.exceptions import InvalidSchema
from activities.judging.judge import Judge
from durable_agent_team.rules.fences import unfenced
from tests.activities.judging.slow_inputs import KINDS, Made, slow_input
from tests.support import fuzzing

MOST_SECONDS = 0.1
"""Of CPU time that the event loop's thread may spend on one answer without a pause."""

SEED = 20_261_128


async def judged(judge: Judge, made: Made) -> str:
    """What became of the answer, in one word."""
    request, answer = made
    try:
        await judge.prepare(request)
        text = answer if len(answer) > 200_000 else unfenced(answer)
        reasons = await judge.reasons(request, text)
    except InvalidSchema as error:
        return "stopped" if "takes longer" in str(error) else "refused"
    assert all(len(reason) <= 300 for reason in reasons)
    stopped = any("could not be checked" in reason for reason in reasons)
    return "stopped" if stopped else "rejected" if reasons else "accepted"


class LongestPause:
    """The most CPU time of this thread between two turns of the event loop.

    CPU time, since on a busy machine other processes make a pause in elapsed time.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    async def measure(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.005)
            self.seconds = max(self.seconds, time.thread_time() - before)


@pytest.mark.fuzz
@pytest.mark.timeout(3_600)
async def test_slow_answers_and_schemas_never_hold_the_event_loop() -> None:
    number = fuzzing.examples(2 * len(KINDS), most=20_000)
    judge = Judge(seconds=0.1)
    pause, found = LongestPause(), dict.fromkeys(("accepted", "rejected", "refused", "stopped"), 0)
    try:
        for seed in range(SEED, SEED + number):
            made = slow_input(seed)
            measuring = asyncio.create_task(pause.measure())
            await asyncio.sleep(0)
            found[await judged(judge, made)] += 1
            await asyncio.sleep(0.01)  # so that the pause is measured before the task is cancelled
            measuring.cancel()
            assert pause.seconds < MOST_SECONDS, f"seed {seed}: {pause.seconds:.3f} s"
    finally:
        judge.close()
    fuzzing.count(f"slow answers and schemas, longest pause {pause.seconds * 1000:.0f} ms", number)
    assert min(found["rejected"], found["stopped"]) > 0, found
    print(f"{number} judged, longest pause {pause.seconds:.4f} s, {found}")
