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

from durable_agent_team.gateway.gateway_settings import GatewaySettings
from durable_agent_team.gateway.models.presets import presets
from durable_agent_team.process.project_root import PROJECT_ROOT
from durable_agent_team.process.settings import WorkerSettings

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
def test_a_missing_prerequisite_is_named_by_its_package(
    tmp_path: Path, python: str, said: str
) -> None:
    ended = install(tmp_path, python)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "apt install" in ended.stderr
    assert not (tmp_path / ".venv").exists()


def test_locks_name_no_place_but_hashes() -> None:
    for name in ("service", "local", "development", "model"):
        text = (PROJECT_ROOT / "requirements" / f"{name}.lock").read_text()
        assert "--hash=sha256:" in text
        assert "://" not in text


def locked(name: str) -> dict[str, str]:
    text = (PROJECT_ROOT / "requirements" / f"{name}.lock").read_text()
    return dict(re.findall(r"^([\w.-]+)==([^ ;\\]+)", text, re.MULTILINE))


def test_a_user_gets_what_was_tested_without_the_tools_of_developers() -> None:
    local, development = locked("local"), locked("development")
    assert locked("service").items() <= local.items() <= development.items()
    assert not {"pytest", "mypy", "ruff", "openai", "anthropic"} & local.keys()


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


OF_COMPOSE = re.compile(r"TEMPORAL_(NAMESPACE|API_KEY|TLS.*)")
"""Not for a worker beside a Temporal of its own, which has one namespace, and no keys."""


def documented(page: str, *sections: str) -> set[str]:
    """The settings in a page's tables, of these sections or of all of it."""
    text = (PROJECT_ROOT / "docs" / page).read_text(encoding="utf-8")
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    chosen = [
        body
        for title, body in zip(parts[1::2], parts[2::2], strict=True)
        if not sections or title in sections
    ]
    return set(re.findall(r"^\| `([A-Z_]+)` \|", "".join(chosen), re.MULTILINE))


def test_compose_passes_every_setting_that_is_documented() -> None:
    worker = documented("settings.md", "Starter and worker", "Worker")
    gateway = documented("gateway.md", "Settings")
    assert {"MAX_CACHED_RUNS", "LOG_FORMAT", "TEMPORAL_ADDRESS"} <= worker
    assert {"GATEWAY_PRICES", "LOG_FORMAT", "UPSTREAM_TIMEOUT_SECONDS"} <= gateway
    wanted = {name for name in worker if not OF_COMPOSE.fullmatch(name)}
    assert wanted <= set(SERVICES["worker"]["environment"])
    assert gateway <= set(SERVICES["gateway"]["environment"])


def test_compose_passes_every_variable_of_telemetry_that_is_documented() -> None:
    told = {
        name
        for page in ("settings.md", "telemetry.md")
        for name in re.findall(
            r"OTEL_[A-Z_]*[A-Z]", (PROJECT_ROOT / "docs" / page).read_text(encoding="utf-8")
        )
    }
    assert {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SDK_DISABLED"} <= told
    for service in ("worker", "gateway"):
        handed = SERVICES[service]["environment"]
        assert {name for name in handed if name.startswith("OTEL_")} == told
        assert {handed[name] for name in told} == {None}, "not set there: not set in the container"


def test_a_container_gets_more_time_to_end_than_it_takes() -> None:
    for service, seconds in (
        ("worker", WorkerSettings.model_fields["graceful_shutdown_seconds"].default),
        ("gateway", GatewaySettings.model_fields["gateway_shutdown_seconds"].default),
    ):
        assert float(SERVICES[service]["stop_grace_period"].rstrip("s")) > seconds


def test_prices_are_a_file_of_this_machine() -> None:
    mounted = {each["target"]: each["source"] for each in SERVICES["gateway"]["configs"]}
    for name in ("GATEWAY_PRICES", "GATEWAY_MODELS"):
        source = COMPOSE["configs"][mounted[SERVICES["gateway"]["environment"][name]]]["file"]
        default = re.fullmatch(rf"\$\{{{name}:-(.*)\}}", source)
        assert default is not None
        assert (PROJECT_ROOT / default[1]).is_file()


def test_keys_of_providers_reach_the_gateway_and_no_one_else() -> None:
    known = {
        name
        for each in presets().values()
        for name in (each.key_env, each.url_env)
        if name is not None
    }
    assert known <= set(SERVICES["gateway"]["environment"])
    for service, each in SERVICES.items():
        assert service == "gateway" or not known & set(each.get("environment", {}))
    example = (PROJECT_ROOT / ".env.example").read_text(encoding="utf-8")
    required = {e.key_env for e in presets().values() if e.key_required and e.preset != "atxp"}
    for name in required:
        assert f"#{name}=" in example


def test_shell_inside_compose_is_shell() -> None:
    for name in ("temporal-schema", "temporal-namespace"):
        script = SERVICES[name]["command"][0].replace("$$", "$")
        checked = subprocess.run(["sh", "-n"], input=script, text=True, timeout=60, check=False)
        assert checked.returncode == 0


def test_the_image_contains_every_package_it_runs() -> None:
    text = (PROJECT_ROOT / "Dockerfile").read_text()
    copied = set(re.findall(r"^COPY (\w+) \w+$", text, re.MULTILINE))
    code = (
        "import sys, worker, durable_agent_team.gateway\n"
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
