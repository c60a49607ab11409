"""The suite leaves as the commands do: a Temporal client can abort the interpreter's teardown."""

import os
import sys

import pytest

from durable_agent_team.contracts.telemetry_labels import LABELS

_status = 0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--vanilla",
        action="store_true",
        help="run workers without any patch of Temporal's SDK (SDK_PATCHES=none)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """By the environment, so that worker processes inherit it."""
    if config.getoption("--vanilla"):
        os.environ["SDK_PATCHES"] = "none"


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(exitstatus: int) -> None:
    global _status
    _status = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """After the closing line is printed. `PyGILState_Release` at exit: sdk-python #300."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(_status)


@pytest.fixture(autouse=True)
def nothing_labelled() -> None:
    """An activity's log lines stay labelled to the end of its task; here, that is the session's."""
    LABELS.set({})
