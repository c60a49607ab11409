"""Log lines of one moment are written together; nothing waits longer, and nothing is lost."""

import asyncio
import io
import logging

import pytest

from durable_agent_team.gateway.log_handler import DELAY_SECONDS, MAX_LINES, BatchingHandler


class CountingStream(io.StringIO):
    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


def make() -> tuple[logging.Logger, BatchingHandler, CountingStream]:
    stream = CountingStream()
    handler = BatchingHandler(stream)
    logger = logging.Logger("under-test")
    logger.addHandler(handler)
    return logger, handler, stream


async def test_the_lines_of_one_moment_are_one_write() -> None:
    logger, _, stream = make()
    for number in range(20):
        logger.info("line %d", number)
    assert stream.getvalue() == ""
    await asyncio.sleep(DELAY_SECONDS * 3)
    assert stream.getvalue().splitlines() == [f"line {number}" for number in range(20)]
    assert stream.writes == 1
    logger.info("later")
    await asyncio.sleep(DELAY_SECONDS * 3)
    assert stream.getvalue().endswith("later\n")


async def test_a_warning_is_written_at_once_after_the_lines_before_it() -> None:
    logger, _, stream = make()
    logger.info("first")
    logger.warning("second")
    assert stream.getvalue() == "first\nsecond\n"


async def test_a_flood_of_lines_is_bounded() -> None:
    logger, _, stream = make()
    for _ in range(MAX_LINES):
        logger.info("x")
    assert len(stream.getvalue().splitlines()) == MAX_LINES


async def test_a_thread_without_a_loop_writes_at_once() -> None:
    logger, _, stream = make()
    logger.info("first")
    await asyncio.to_thread(logger.info, "second")
    assert stream.getvalue() == "first\nsecond\n"


def test_lines_of_a_loop_that_ended_are_written_with_the_next_one_or_at_exit() -> None:
    logger, handler, stream = make()

    async def log() -> None:
        logger.info("in a loop")

    asyncio.run(log())
    logger.info("after it")
    assert stream.getvalue() == "in a loop\nafter it\n"
    asyncio.run(log())
    handler.flush()
    assert stream.getvalue().endswith("in a loop\n")


async def test_a_stream_that_cannot_be_written_stops_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logger, _, stream = make()
    stream.close()
    logger.info("lost")
    await asyncio.sleep(DELAY_SECONDS * 3)
    logger.warning("reported")
    assert "Logging error" in capsys.readouterr().err
