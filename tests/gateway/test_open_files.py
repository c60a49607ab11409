"""Whether the database's files are in place is checked at every commit; as long as their folder has
not changed, by one look at the folder."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from durable_agent_team.gateway.stores.open_files import OpenFiles
from tests.gateway.client import world

LONG_AGO = time.time() - 3_600


def files_in(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "gateway.db"
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").write_text("x")
    os.utime(folder, (LONG_AGO, LONG_AGO))
    return path


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    path.with_name("other").write_text("y")
    path.with_name("other").replace(path)


def move_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))


def replace_folder(path: Path) -> None:
    move_folder(path)
    files_in(path.parent)  # its time of change is that of the folder before


CHANGES: list[Callable[[Path], None]] = [remove, replace, move_folder, replace_folder]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_noticed_after_any_number_of_checks(
    change: Callable[[Path], None], tmp_path: Path
) -> None:
    path = files_in(tmp_path / "data")
    files = OpenFiles(path)
    assert [files.problem() for _ in range(3)] == [None] * 3
    change(path)
    assert [str(path) in str(files.problem()) for _ in range(3)] == [True] * 3


def test_a_change_within_one_tick_of_the_clock_is_noticed(tmp_path: Path) -> None:
    path = files_in(tmp_path / "data")
    now = time.time()
    os.utime(path.parent, (now, now))
    files = OpenFiles(path)
    assert files.problem() is None
    path.unlink()
    os.utime(path.parent, (now, now))
    assert "removed" in str(files.problem())


def test_the_target_of_a_link_is_watched(tmp_path: Path) -> None:
    target = files_in(tmp_path / "disk")
    link = tmp_path / "link" / "gateway.db"
    link.parent.mkdir()
    link.symlink_to(target)
    os.utime(link.parent, (LONG_AGO, LONG_AGO))
    files = OpenFiles(link)
    assert files.problem() is None
    target.unlink()
    assert "removed" in str(files.problem())


def test_an_unchanged_folder_costs_one_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = OpenFiles(files_in(tmp_path / "data"))
    files.problem()
    looked_at: list[str] = []
    stat = os.stat

    def counted(name: str) -> os.stat_result:
        looked_at.append(name)
        return stat(name)

    monkeypatch.setattr(os, "stat", counted)
    assert files.problem() is None
    assert looked_at == [str(tmp_path / "data")]


async def test_the_gateway_books_nothing_once_a_file_of_a_quiet_folder_is_gone() -> None:
    async with world() as w:
        agent = await w.api.open()
        os.utime(w.gateway.database.parent, (LONG_AGO, LONG_AGO))
        assert (await agent.chat()).status == 200
        assert (await agent.chat()).status == 200
        w.gateway.database.unlink()
        assert (await agent.chat()).status == 503
        assert w.upstream.count == 2
