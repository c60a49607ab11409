"""`make demo` itself: its checks pass, and it leaves nothing behind when it is interrupted."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from durable_agent_team.process.stack_state import read_state
from tests.end_to_end.stack import ROOT, Desk, environment, wait_until_up

DEMO = (sys.executable, "-m", "durable_agent_team.cli.demo")


@pytest.mark.timeout(930)
def test_four_acts_on_the_stack_that_is_up(desk: Desk) -> None:
    before = desk.info.worker_pid
    out = desk.command(*DEMO, timeout=900)
    assert "the one that is up" in out
    assert "CHECK FAILED" not in out
    assert "the refund was paid once" in out
    assert "was refused: required 0.00" in out
    assert "the result of act 1: quotes, each checked word for word" in out
    assert "sum, by the gateway's ledger" in out
    assert f"{desk.info.ui_url}/namespaces/default/workflows" in out
    assert desk.info.worker_pid not in (None, before)
    assert read_state(desk.folder) is not None, "a stack that was up stays up"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    with (tmp_path / "stack.out").open("w") as out:
        demo = subprocess.Popen(DEMO, cwd=ROOT, env=environment(tmp_path), stdout=out, stderr=out)
    try:
        info = wait_until_up(tmp_path, demo)
        time.sleep(2)
        demo.send_signal(number)
        assert demo.wait(120) == 130
    finally:
        demo.kill()
    assert not [name for name, process in info.processes.items() if process.alive()]
    assert not (tmp_path / "stack.json").exists()
    text = (tmp_path / "stack.out").read_text()
    assert "interrupted" in text
    assert "Traceback" not in text
