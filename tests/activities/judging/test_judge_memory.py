"""A check that needs too much memory is stopped, and neither its worker nor the next check is."""

from collections.abc import Iterator

import pytest

from activities.judging import judge_process
from activities.judging.exceptions import CheckStopped
from activities.judging.judge_process import JudgeProcess

MEGABYTE = 2**20
SMALL = (
    "import sys; sys.path[:] = sys.argv[1:];"
    " from activities.judging import judge_child;"
    f" judge_child.MAX_MEMORY = {256 * MEGABYTE}; judge_child.main()"
)
LARGE = '{"enum":[' + "[]," * 6_000_000 + "[]]}"
"""18 MB of text; 64 bytes for each list, once it is parsed."""


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeProcess]:
    monkeypatch.setattr(judge_process, "BOOT", SMALL)
    process = JudgeProcess()
    yield process
    process.kill()


def test_it_is_stopped_and_the_next_check_is_made(process: JudgeProcess) -> None:
    assert process.ask('{"pattern": "a"}', 20) == {"reasons": []}
    first = process.pid
    with pytest.raises(CheckStopped, match="memory"):
        process.ask(LARGE, 100)
    assert process.ask('{"pattern": "a"}', 20) == {"reasons": []}
    assert process.pid != first, "the memory of the first one is not trusted any more"
