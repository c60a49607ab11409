"""The peers' own environments: pinned, made once, and told when they cannot be made."""

import re
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers import environments
from benchmarks.peers.environments import NotInstalled


@pytest.mark.parametrize("name", ["plain", "langgraph", "dbos", "pydantic_ai"])
def test_requirements_are_pinned_with_hashes_and_name_no_place(name: str) -> None:
    text = environments.requirements(name).read_text()
    assert "://" not in text
    for entry in re.split(r"\n(?=\S)", text.strip()):
        first, *hashes = entry.split("\n")
        assert re.fullmatch(r"[a-z0-9.-]+==[0-9][^ ]* \\", first), first
        assert hashes, first
        assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", line) for line in hashes), first


def test_an_environment_is_made_once_and_anew_when_its_requirements_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "some.txt"
    file.write_text("one")
    made: list[Path] = []

    def create(folder: Path, **options: Any) -> None:
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        (folder / "bin" / "python").touch()
        made.append(folder)

    monkeypatch.setattr(venv, "create", create)
    monkeypatch.setattr(environments, "requirements", lambda name: file)
    monkeypatch.setattr(environments, "install", lambda python, given: None)
    for _ in range(2):
        assert environments.python_of("some", tmp_path).is_relative_to(tmp_path / "some")
    assert len(made) == 1
    file.write_text("two")
    environments.python_of("some", tmp_path)
    assert len(made) == 2


def test_what_could_not_be_installed_is_told_with_the_installers_words(tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text("a-package-without-a-hash==1\n")
    with pytest.raises(NotInstalled, match=r"some\.txt(.|\n)*hash"):
        environments.install(Path(sys.executable), file)
