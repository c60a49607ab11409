"""OTEL_* variables that are wrong are named, with their value and what to do; off, none of it is
loaded."""

import subprocess
import sys
from pathlib import Path

import pytest

from durable_agent_team.process.project_root import PROJECT_ROOT
from durable_agent_team.process.settings import ClientSettings, SettingsError, load
from durable_agent_team.providers.otel_variables import forget_unused, otel_problems
from tests.support.gateway import PARENT_KEY, SECRET

WRONG = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "127.0.0.1:4318",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
    "OTEL_METRIC_EXPORT_INTERVAL": "0",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "10s",
    "OTEL_PROPAGATORS": "b3",
    "OTEL_EXPORTER_OTLP_COMPRESSION": "zip",
    "OTEL_METRICS_EXEMPLAR_FILTER": "some",
    "OTEL_ATTRIBUTE_COUNT_LIMIT": "many",
    "OTEL_SPAN_EVENT_COUNT_LIMIT": "-1",
    "OTEL_BSP_SCHEDULE_DELAY": "5s",
    "OTEL_BSP_MAX_QUEUE_SIZE": "0",
    "OTEL_METRIC_EXPORT_TIMEOUT": "1e300",
}
KEY = "S3CRET-S3CRET-S3CRET"
SECRETS = {
    "OTEL_EXPORTER_OTLP_HEADERS": KEY,
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS": f"authorization=Bearer {KEY}\x01",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS": f"authorization=Bearer%0A{KEY}%0Ax",
    "OTEL_RESOURCE_ATTRIBUTES": f"a=1,{KEY}",
}
"""Values that OpenTelemetry would log."""


ON = {"OTEL_TRACES_EXPORTER": "otlp"}


@pytest.mark.parametrize(
    "good",
    [
        {},
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector:4318",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_METRIC_EXPORT_INTERVAL": "5000",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2.5",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "Gzip",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer abc==, x-scope = a%20b,",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=prod;eu, owner=\u00e9quipe,",
            "OTEL_PROPAGATORS": "tracecontext, baggage",
            "OTEL_ATTRIBUTE_COUNT_LIMIT": "0",
            "OTEL_BSP_MAX_QUEUE_SIZE": "9000",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "9000",
        },
    ],
)
def test_what_is_right_is_no_problem(good: dict[str, str]) -> None:
    assert list(otel_problems(ON | good)) == []


@pytest.mark.parametrize("name", WRONG)
def test_each_wrong_one_is_named_with_its_value(name: str) -> None:
    [(field, value, what, remedy)] = otel_problems({**ON, name: WRONG[name]})
    assert (field, value) == (name, WRONG[name])
    assert what
    assert remedy


@pytest.mark.parametrize("name", SECRETS)
def test_one_that_may_contain_a_key_is_named_without_its_value(name: str) -> None:
    [problem] = otel_problems({**ON, name: SECRETS[name]})
    assert problem[0] == name
    assert KEY not in "".join(problem)


def test_a_batch_fits_the_queue() -> None:
    [problem] = otel_problems({**ON, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2049"})
    assert problem[0] == "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"


def test_a_command_tells_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**WRONG, "TEMPORAL_ADDRESS": "nowhere"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load(ClientSettings, tmp_path)
    assert {each.field for each in caught.value.problems} == {*WRONG, "TEMPORAL_ADDRESS"}


@pytest.mark.parametrize("module", ["worker", "durable_agent_team.gateway.__main__", "starter"])
def test_propagators_are_looked_at_before_they_are_loaded(module: str) -> None:
    """Which happens when `opentelemetry.propagate` is imported, and ends with an exception."""
    code = f"import sys, {module}; print('opentelemetry.propagate' in sys.modules)"
    ended = run("-c", code, OTEL_PROPAGATORS="b3")
    assert (ended.stdout.strip(), ended.stderr) == ("False", "")


def test_propagators_count_as_not_set_while_telemetry_is_off() -> None:
    off, on = {"OTEL_PROPAGATORS": "b3"}, {"OTEL_PROPAGATORS": "b3", **ON}
    for each in (off, on):
        forget_unused(each)
    assert off == {}
    assert on["OTEL_PROPAGATORS"] == "b3"


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
    "from durable_agent_team.gateway.otel_providers import GatewayTelemetry\n"
    "from durable_agent_team.providers.otel_variables import forget_unused\n"
    "forget_unused(os.environ)\n"
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
