"""What a newcomer runs first: installing, and the containers' files."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.settings import PROJECT_ROOT, WorkerSettings

COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


def install(folder: Path, python: str) -> subprocess.CompletedProcess[str]:
    """`make install` in an empty project, with a Python of the test's own making."""
    (folder / "requirements").mkdir()
    shutil.copy(PROJECT_ROOT / "requirements" / "install.sh", folder / "requirements")
    fake = folder / "python3"
    fake.write_text(f"#!/bin/sh\n{python}\n")
    fake.chmod(0o755)
    return subprocess.run(
        ["bash", "requirements/install.sh"],
        cwd=folder,
        env={**os.environ, "PYTHON": str(fake)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("python", "said"),
    [
        ('case "$2" in *ensurepip*) exit 1;; *print*) echo 3.12;; esac', "python3.12-venv"),
        ('case "$2" in *print*) echo 3.9;; *) exit 1;; esac', "Python 3.11 or newer is needed"),
    ],
)
def test_what_is_missing_is_named_by_its_package(tmp_path: Path, python: str, said: str) -> None:
    ended = install(tmp_path, python)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "apt install" in ended.stderr
    assert not (tmp_path / ".venv").exists()


def test_locks_name_no_place_but_hashes() -> None:
    for name in ("service", "development", "model"):
        text = (PROJECT_ROOT / "requirements" / f"{name}.lock").read_text()
        assert "--hash=sha256:" in text
        assert "://" not in text


def test_images_are_pinned_and_secrets_have_no_defaults() -> None:
    for name, service in SERVICES.items():
        tag = service["image"].rpartition(":")[2]
        assert re.match(r"\d", tag), f"{name}: {service['image']}"
    text = (PROJECT_ROOT / "docker-compose.yml").read_text()
    explained = (PROJECT_ROOT / ".env.example").read_text()
    for name, how in re.findall(r"(?<!\$)\$\{(\w+)(:.)?", text):
        assert name in explained
        if re.search("PASSWORD|PARENT_KEY|SECRET|SEALING", name):
            assert how == ":?", f"{name} must be demanded, not defaulted"


def test_each_service_waits_for_what_it_needs() -> None:
    def waits(service: str) -> dict[str, str]:
        return {k: v["condition"] for k, v in SERVICES[service].get("depends_on", {}).items()}

    assert waits("temporal-schema") == {"postgres": "service_healthy"}
    assert waits("temporal") == {"temporal-schema": "service_completed_successfully"}
    assert waits("temporal-namespace") == {"temporal": "service_healthy"}
    assert waits("worker") == {
        "temporal-namespace": "service_completed_successfully",
        "gateway": "service_healthy",
    }
    for name in ("postgres", "temporal", "gateway"):
        assert "healthcheck" in SERVICES[name]


def test_the_workers_container_has_the_settings_that_it_requires() -> None:
    given = SERVICES["worker"]["environment"]
    for name, field in WorkerSettings.model_fields.items():
        assert not field.is_required() or name.upper() in given
    assert float(SERVICES["worker"]["stop_grace_period"].rstrip("s")) > 30


def test_shell_inside_compose_is_shell() -> None:
    for name in ("temporal-schema", "temporal-namespace"):
        script = SERVICES[name]["command"][0].replace("$$", "$")
        checked = subprocess.run(["sh", "-n"], input=script, text=True, timeout=60, check=False)
        assert checked.returncode == 0


def test_the_image_has_every_room_that_it_runs() -> None:
    text = (PROJECT_ROOT / "Dockerfile").read_text()
    copied = set(re.findall(r"^COPY (\w+) \w+$", text, re.MULTILINE))
    code = (
        "import sys, worker, gateway.__main__\n"
        "print(*{m.split('.')[0] for m in sys.modules if getattr(sys.modules[m], '__file__', None)"
        " and '.venv' not in sys.modules[m].__file__ and 'lib/python' not in"
        " sys.modules[m].__file__})"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=60, check=True,
    ).stdout.split()  # fmt: skip
    assert set(loaded) - {"worker"} <= copied
    assert re.search(r"^USER (?!root)", text, re.MULTILINE)
