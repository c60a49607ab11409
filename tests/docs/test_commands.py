"""Runs every command, and compares its output with `docs/commands.md`."""

import pytest
import pytest_asyncio

from durable_agent_team.cli.command_group import COMMANDS
from tests.docs.tour.case import Output
from tests.docs.tour.check import problems_of
from tests.docs.tour.stage import play_all
from tests.docs.tour.usage import CASES, PAGE, block, name_of, with_blocks

pytestmark = pytest.mark.timeout(600)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[Output]:
    return await play_all(tmp_path_factory.mktemp("usage"), CASES)


def test_every_command_is_shown() -> None:
    assert sorted(map(name_of, CASES)) == sorted(COMMANDS)


@pytest.mark.parametrize("number", range(len(CASES)), ids=list(map(name_of, CASES)))
async def test_a_command_prints_what_the_page_shows(outputs: list[Output], number: int) -> None:
    case, each = CASES[number], outputs[number]
    assert list(problems_of(case, each)) == []
    assert block(case, each) in PAGE.read_text(encoding="utf-8"), "python -m tests.docs.tour.usage"


async def test_the_page_has_no_older_blocks(outputs: list[Output]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_blocks(page, outputs) == page
    assert page.count("\n$ starter.py ") == len(CASES)
