"""`make demo`, interrupted, leaves nothing behind; test_people.py lets it come to its end."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.end_to_end.stack import DEMO, ROOT, environment, wait_until_up


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
