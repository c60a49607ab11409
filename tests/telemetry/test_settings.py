"""OTEL_* variables that are wrong are named, with their value and what to do; off, none of it is
loaded."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.telemetry import problems as gateway_problems
from runtime.otel_settings import problems
from runtime.settings import PROJECT_ROOT, ClientSettings, SettingsError, load
from tests.support.gateway import PARENT_KEY, SECRET

WRONG = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "127.0.0.1:4318",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
    "OTEL_METRIC_EXPORT_INTERVAL": "0",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "10s",
}


@pytest.mark.parametrize(
    "good",
    [
        {},
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector:4318",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_METRIC_EXPORT_INTERVAL": "5000",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2.5",
        },
    ],
)
def test_what_is_right_is_no_problem(good: dict[str, str]) -> None:
    assert problems(good) == []
    assert gateway_problems(good) == []


@pytest.mark.parametrize("name", WRONG)
def test_each_wrong_one_is_named_with_its_value(name: str) -> None:
    [problem] = problems({name: WRONG[name]})
    assert (problem.field, problem.value) == (name, WRONG[name])
    assert problem.remedy
    [line] = gateway_problems({"OTEL_TRACES_EXPORTER": "otlp", name: WRONG[name]})
    assert line.startswith(f"{name} must be ")
    assert repr(WRONG[name]) in line


def test_a_command_tells_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**WRONG, "TEMPORAL_ADDRESS": "nowhere"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load(ClientSettings, tmp_path)
    assert {each.field for each in caught.value.problems} == {*WRONG, "TEMPORAL_ADDRESS"}


def test_while_it_is_off_nobody_minds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**WRONG, "OTEL_SDK_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    load(ClientSettings, tmp_path)


def run(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        env={"PATH": "", **env},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_gateway_ends_with_2(tmp_path: Path) -> None:
    keys = {"GATEWAY_PARENT_KEY": PARENT_KEY, "GATEWAY_SECRET": SECRET}
    books = {"GATEWAY_DATABASE": str(tmp_path / "gateway.db"), "GATEWAY_PORT": "0"}
    ended = run("-m", "gateway", **keys, **books, **WRONG)
    assert ended.returncode == 2
    assert all(name in ended.stderr for name in WRONG)
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("module", ["worker", "gateway.__main__", "runtime.connection"])
def test_off_nothing_of_the_sdk_is_loaded(module: str) -> None:
    code = (
        f"import sys, {module}\n"
        "assert not any(m.startswith('opentelemetry.sdk') for m in sys.modules)\n"
        "import os; os._exit(0)"
    )
    ended = run("-c", code)
    assert ended.returncode == 0, ended.stderr
