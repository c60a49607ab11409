"""A file is written completely, or stays as it was."""

import errno
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from durable_agent_team.cli.atomic_file import write_new, write_remedy, write_whole


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process can grow beyond 1,000 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_an_existing_file_survives_a_full_disk(tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    write_whole(report, "of yesterday")
    with full_disk(), pytest.raises(OSError, match="too large"):
        write_whole(report, "x" * 5_000)
    assert report.read_text() == "of yesterday"
    assert list(tmp_path.iterdir()) == [report], "nothing is left beside it"


def test_a_full_disk_is_not_helped_by_another_folder() -> None:
    assert "make room" in write_remedy(OSError(errno.ENOSPC, "No space left on device"), "move")
    assert write_remedy(OSError(errno.EACCES, "Permission denied"), "move") == "move"


def test_a_full_disk_leaves_no_new_file(tmp_path: Path) -> None:
    with full_disk(), pytest.raises(OSError, match="too large"):
        write_new(tmp_path / "team.yaml", "x" * 5_000)
    assert list(tmp_path.iterdir()) == []


def test_a_new_file_does_not_replace_an_existing_one(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text("mine")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "team.yaml", "theirs")
    assert (tmp_path / "team.yaml").read_text() == "mine"


def test_a_replaced_file_keeps_its_mode_and_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    report, link = tmp_path / "there" / "report.md", tmp_path / "link.md"
    report.write_text("old")
    report.chmod(0o640)
    link.symlink_to(report)
    write_whole(link, "new")
    assert link.is_symlink()
    assert report.read_text() == "new"
    assert stat.S_IMODE(report.stat().st_mode) == 0o640


def test_a_new_file_has_the_mode_of_the_umask(tmp_path: Path) -> None:
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    write_whole(tmp_path / "report.md", "new")
    assert (tmp_path / "report.md").stat().st_mode == ordinary.stat().st_mode


def test_a_device_is_written_to(tmp_path: Path) -> None:
    write_whole(Path("/dev/null"), "gone")
    assert Path("/dev/null").is_char_device()
