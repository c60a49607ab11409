"""`docs/failures.md` is generated from the table of errors, and the check reports a stale page."""

import shutil
import subprocess
import sys
from pathlib import Path

from durable_agent_team.contracts.error_types import ERRORS, ErrorType

ROOT = Path(__file__).parents[2]
SOURCES = (
    "durable_agent_team",
    "workflows",
    "activities",
    "worker.py",
    "starter.py",
    "pyproject.toml",
)


def generate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "tools" / "generate_docs.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_page_is_fresh_and_complete() -> None:
    done = generate(ROOT, "--check")
    assert done.returncode == 0, done.stderr
    page = (ROOT / "docs" / "failures.md").read_text()
    assert set(ERRORS) == set(ErrorType)
    assert all(page.count(f"| `{kind.value}` |") == 1 for kind in ErrorType)


def test_a_stale_page_is_reported_and_generated_again(tmp_path: Path) -> None:
    for folder in ("docs", "tools"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for name in SOURCES:
        (tmp_path / name).symlink_to(ROOT / name)
    page = tmp_path / "docs" / "failures.md"
    page.write_text("old")
    stale = generate(tmp_path, "--check")
    assert stale.returncode == 1
    assert "python tools/generate_docs.py" in stale.stderr
    assert page.read_text() == "old"
    assert generate(tmp_path).returncode == 0
    assert generate(tmp_path, "--check").returncode == 0
