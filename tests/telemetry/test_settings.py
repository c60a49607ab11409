"""OTEL_* variables that are wrong are named, with their value and what to do; off, none of it is
loaded."""

import subprocess
import sys
from pathlib import Path

import pytest

from durable_agent_team.gateway.otel_environment import problems as gateway_problems
from durable_agent_team.process.otel_settings import problems
from durable_agent_team.process.project_root import PROJECT_ROOT
from durable_agent_team.process.settings import ClientSettings, SettingsError, load
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


def test_wrong_telemetry_settings_are_accepted_while_it_is_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    ended = run("-m", "durable_agent_team.gateway", **keys, **books, **WRONG)
    assert ended.returncode == 2
    assert all(name in ended.stderr for name in WRONG)
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "module", ["worker", "durable_agent_team.gateway", "durable_agent_team.client.connection"]
)
def test_off_nothing_of_the_sdk_is_loaded(module: str) -> None:
    code = (
        f"import sys, {module}\n"
        "assert not any(m.startswith('opentelemetry.sdk') for m in sys.modules)\n"
        "import os; os._exit(0)"
    )
    ended = run("-c", code)
    assert ended.returncode == 0, ended.stderr


EMPTY = dict.fromkeys(
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "OTEL_METRIC_EXPORT_INTERVAL",
        "OTEL_METRICS_EXPORTER",
        "OTEL_TRACES_EXPORTER",
        "OTEL_TRACES_SAMPLER",
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "OTEL_SDK_DISABLED",
        "OTEL_SERVICE_NAME",
    ),
    "",
)
STARTS = {
    "gateway": "import os\n"
    "from durable_agent_team.gateway.otel_environment import remove_empty\n"
    "from durable_agent_team.gateway.otel_providers import GatewayTelemetry\n"
    "remove_empty(os.environ)\n"
    "on = GatewayTelemetry.from_environment(os.environ) is not None",
    "worker": "from durable_agent_team.process import telemetry, temporal_runtime\n"
    "from durable_agent_team.process.settings import ClientSettings, load\n"
    "load(ClientSettings); temporal_runtime.start()\n"
    "on = telemetry.start_metrics() and bool(telemetry.plugins())",
}


@pytest.mark.parametrize("part", STARTS)
@pytest.mark.parametrize("endpoint", ["", "http://127.0.0.1:1"])
def test_an_empty_variable_is_one_that_is_not_set(part: str, endpoint: str) -> None:
    """Also beside an endpoint: nothing breaks, and nobody complains of them."""
    code = f"{STARTS[part]}\nimport os; print(on, flush=True); os._exit(0)"
    ended = run("-c", code, **{**EMPTY, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})
    assert (ended.stdout.strip(), ended.stderr) == (str(bool(endpoint)), "")


def test_a_gateway_minds_no_empty_variable(tmp_path: Path) -> None:
    """It comes as far as its address, which is wrong, and complains only about that."""
    keys = {"GATEWAY_PARENT_KEY": PARENT_KEY, "GATEWAY_SECRET": SECRET}
    books = {"GATEWAY_DATABASE": str(tmp_path / "gateway.db"), "GATEWAY_HOST": "192.0.2.1"}
    given = {**EMPTY, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    ended = run(
        "-m",
        "durable_agent_team.gateway",
        **keys,
        **books,
        **given,
        UPSTREAM_URL="http://127.0.0.1:1",
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("GATEWAY_PORT 8402 on GATEWAY_HOST 192.0.2.1 cannot be used")
