"""Every command has, in `docs/commands.md`, what it prints; each is run, and the page compared."""

import pytest
import pytest_asyncio

from durable_agent_team.cli.command_group import COMMANDS
from tests.docs.tour.case import Told
from tests.docs.tour.check import amiss
from tests.docs.tour.stage import play_all
from tests.docs.tour.usage import CASES, PAGE, block, name_of, with_blocks

pytestmark = pytest.mark.timeout(600)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def told(tmp_path_factory: pytest.TempPathFactory) -> list[Told]:
    return await play_all(tmp_path_factory.mktemp("usage"), CASES)


def test_every_command_is_shown() -> None:
    assert sorted(map(name_of, CASES)) == sorted(COMMANDS)


@pytest.mark.parametrize("number", range(len(CASES)), ids=list(map(name_of, CASES)))
async def test_a_command_prints_what_the_page_shows(told: list[Told], number: int) -> None:
    case, each = CASES[number], told[number]
    assert list(amiss(case, each)) == []
    assert block(case, each) in PAGE.read_text(encoding="utf-8"), "python -m tests.docs.tour.usage"


async def test_the_page_has_no_older_blocks(told: list[Told]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_blocks(page, told) == page
    assert page.count("\n$ starter.py ") == len(CASES)
