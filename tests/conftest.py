"""For every test: `--fast` and `--vanilla`, the order of the files, how many inputs were generated,
what its processes compile and collect, and the exit of the suite."""

import faulthandler
import gc
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.remote import Producer

from activities.judging.judge_process import BOOT
from durable_agent_team.contracts.telemetry_labels import LABELS
from tests.support import fuzzing
from tests.support.file_scheduling import FileScheduling
from tests.support.selection import needs_server

# How long a test may go on after its time-out has failed to end it.
_GRACE_SECONDS = 60
_STDERR = pytest.StashKey[int]()

# Hundreds of commands, gateways and workers start, each of which would compile the project again.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

_status = 0
_in_test = False

# A slow machine is no failure: what takes long is shown by benchmarks. `make test` generates the
# same inputs each time, so that it says the same of the same code; `make fuzz` looks for new ones.
hypothesis.settings.register_profile(
    "random", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile(
    "suite", hypothesis.settings.get_profile("random"), derandomize=True
)
hypothesis.settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    text = "only the test files that need no server: no Temporal, gateway, worker or other process"
    parser.addoption("--fast", action="store_true", help=text)
    parser.addoption(
        "--vanilla",
        action="store_true",
        help="run workers without any patch of Temporal's SDK (SDK_PATCHES=none)",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--vanilla"):  # in the environment: worker processes inherit it
        os.environ["SDK_PATCHES"] = "none"
    if config.getoption("--fast"):
        sys.addaudithook(_refuse_processes)
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        config.stash[_STDERR] = os.dup(sys.stderr.fileno())


def _refuse_processes(event: str, arguments: tuple[Any, ...]) -> None:
    """Those of a test: pytest-xdist starts some of its own, and each of these asks `uname`. A child
    that checks an answer is no server."""
    if event == "subprocess.Popen" and _in_test and BOOT not in arguments[1]:
        pytest.fail("--fast selected a test that starts a process: tests/support/selection.py")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path.suffix != ".py" or not config.getoption("--fast"):
        return None
    return needs_server(collection_path) or None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FileScheduling | None:
    return FileScheduling(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported stays: looking for garbage in it takes seconds, now and in each test."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that need a server come first, so that the quick ones fill in at the end while
    another process is still busy with its last slow file."""
    items.sort(key=lambda item: not needs_server(item.path))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Ends a process whose test goes on after its time-out, with a traceback of every thread.

    pytest-timeout raises an exception wherever the main thread is at that moment; in a callback of
    an event loop, or in another task than the test's, the loop keeps it, and the test waits for
    ever. pytest-xdist then names the test and goes on with another process.
    """
    global _in_test
    marker = item.get_closest_marker("timeout")
    general = item.config.getoption("timeout") or item.config.getini("timeout")
    limit = float(marker.args[0] if marker else general)
    faulthandler.dump_traceback_later(
        limit + _GRACE_SECONDS, exit=True, file=item.config.stash[_STDERR]
    )
    _in_test = True
    try:
        return (yield)
    finally:
        _in_test = False
        faulthandler.cancel_dump_traceback_later()


def pytest_runtest_teardown(item: pytest.Item) -> None:
    statistics = getattr(item, "hypothesis_statistics", None)
    if statistics and item.get_closest_marker("fuzz"):
        fuzzing.count_hypothesis(item.nodeid, statistics)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if lines := fuzzing.summary():
        terminalreporter.section("generated inputs")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart() -> None:
    """What fails from here on, before a session can finish, is no success."""
    global _status
    _status = int(pytest.ExitCode.INTERNAL_ERROR)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(exitstatus: int) -> None:
    global _status
    _status = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Exits as the commands do, after the last line is printed: a Temporal client can abort the
    interpreter's teardown (`PyGILState_Release`, sdk-python #300)."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(_status)


@pytest.fixture(autouse=True)
def no_log_labels() -> None:
    """An activity's labels stay until its task ends, which here is the end of the session."""
    LABELS.set({})
