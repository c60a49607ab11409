"""One stack for all tests of this room: the model takes seconds to load."""

from collections.abc import Iterator

import pytest

from tests.end_to_end.stack import Desk, stack_up


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with stack_up(tmp_path_factory.mktemp("stack")) as desk:
        yield desk
