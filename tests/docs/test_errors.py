"""Provokes every error of the tour again, and compares the output with `docs/errors.md`."""

import difflib

import pytest
import pytest_asyncio

from durable_agent_team.contracts.error_types import ErrorType
from tests.docs.tour.case import Case, Output
from tests.docs.tour.check import problems_of
from tests.docs.tour.page import CASES, PAGE, SECTIONS, errors_page
from tests.docs.tour.stage import play_all

pytestmark = pytest.mark.timeout(900)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tour(tmp_path_factory: pytest.TempPathFactory) -> list[Output]:
    return await play_all(tmp_path_factory.mktemp("tour"), CASES)


@pytest.mark.parametrize(
    ("number", "case"),
    list(enumerate(CASES)),
    ids=[f"{section.title}: {case.title}" for section in SECTIONS for case in section.cases],
)
async def test_an_error_says_what_happened_to_what_and_what_to_do(
    tour: list[Output], number: int, case: Case
) -> None:
    assert list(problems_of(case, tour[number])) == []


async def test_the_page_has_the_real_output(tour: list[Output]) -> None:
    fresh, page = errors_page(tour), PAGE.read_text(encoding="utf-8")
    differs = difflib.unified_diff(
        page.splitlines(), fresh.splitlines(), "docs/errors.md", lineterm=""
    )
    assert fresh == page, "run `python -m tests.docs.tour`:\n" + "\n".join(differs)


def test_a_message_that_lacks_something_is_detected() -> None:
    case = Case("x", "starter.py state a", ["a", "remedy"])
    assert list(problems_of(case, Output("a: remedy", 2))) == []
    assert len(list(problems_of(case, Output("a", 2)))) == 1
    assert len(list(problems_of(case, Output("Traceback: a remedy", 70)))) == 2


def test_the_error_types_shown_exist() -> None:
    named = {
        word.split(":")[1].strip() for case in CASES for word in case.says if ": " in word[:12]
    }
    assert named & {each.value for each in ErrorType}, "tasks fail with types of their own"
