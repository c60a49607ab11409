"""Where settings come from, and what is said when they are missing or wrong."""

import base64
import os
import re
import stat
from pathlib import Path

import pytest

from durable_agent_team.local_stack.stack_plan import StackSettings, write_private
from durable_agent_team.process import settings as settings_module
from durable_agent_team.process.project_root import PROJECT_ROOT
from durable_agent_team.process.settings import (
    ClientSettings,
    SettingsError,
    StackNotUp,
    WorkerSettings,
    load,
    made_of,
    require_meant_stack,
)
from durable_agent_team.process.stack_state import StackInfo, Started, this_process, write_state

KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()
OURS = re.compile(r"^(TEMPORAL|ATXP|SEALING|GATEWAY|DEFAULT|UPSTREAM|DATA|OTEL|WORKFLOW|MAX)_")


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if OURS.match(name):
            monkeypatch.delenv(name)


def stack_up(root: Path, supervisor: Started | None = None) -> dict[str, str]:
    folder = root / ".data"
    folder.mkdir()
    values = {
        "TEMPORAL_ADDRESS": "127.0.0.1:17233",
        "ATXP_API_URL": "http://127.0.0.1:18402/v1",
        "ATXP_LLM_URL": "http://127.0.0.1:18402/v1",
        "ATXP_API_KEY": "local-parent-key",
        "SEALING_KEY": KEY,
        "DEFAULT_MODEL": "small",
    }
    write_private(folder / "local.env", values)
    write_state(
        StackInfo(folder, "127.0.0.1:17233", "", "", supervisor or this_process(), ready=True)
    )
    return values


def test_a_client_needs_nothing(tmp_path: Path) -> None:
    assert load(ClientSettings, tmp_path).temporal_address == "127.0.0.1:7233"


def test_after_make_up_nothing_has_to_be_set(tmp_path: Path) -> None:
    stack_up(tmp_path)
    settings = load(WorkerSettings, tmp_path)
    assert settings.temporal_address == "127.0.0.1:17233"
    assert settings.atxp_api_key.get_secret_value() == "local-parent-key"
    assert settings.default_model == "small"


def test_env_file_wins_over_the_stack_and_the_environment_over_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack_up(tmp_path)
    (tmp_path / ".env").write_text("DEFAULT_MODEL=large\nMAX_CACHED_RUNS=5\nSEALING_KEY=\n")
    assert load(WorkerSettings, tmp_path).default_model == "large"
    assert load(WorkerSettings, tmp_path).sealing_key.get_secret_value() == KEY
    monkeypatch.setenv("MAX_CACHED_RUNS", "6")
    assert load(WorkerSettings, tmp_path).max_cached_runs == 6


def test_lines_of_the_env_file_that_say_nothing_are_all_named_and_not_shown(tmp_path: Path) -> None:
    """A quote that stays open would else take its setting away, and nothing would be wrong."""
    (tmp_path / ".env").write_text('A=1\nSEALING KEY\n# fine\nDEFAULT_MODEL="large\n')
    with pytest.raises(SettingsError) as caught:
        load(ClientSettings, tmp_path)
    said = str(caught.value)
    assert f"{tmp_path / '.env'}:2: is not NAME=VALUE" in said
    assert f"{tmp_path / '.env'}:4: is not NAME=VALUE" in said
    assert "large" not in said


def test_a_stack_that_was_killed_does_not_count(tmp_path: Path) -> None:
    stack_up(tmp_path, Started(os.getpid(), "another time"))
    assert load(ClientSettings, tmp_path).temporal_address == "127.0.0.1:7233"


@pytest.mark.parametrize(
    ("line", "port"), [("TEMPORAL_PORT=7555", 7555), ("TEMPORAL_PORT=0", 7233)]
)
def test_a_stack_that_is_down_is_looked_for_where_it_would_be(
    tmp_path: Path, line: str, port: int
) -> None:
    """Elsewhere, somebody else's Temporal may answer, and take the run."""
    (tmp_path / ".env").write_text(line)
    assert load(ClientSettings, tmp_path).temporal_address == f"127.0.0.1:{port}"
    with (tmp_path / ".env").open("a") as file:
        file.write("\nTEMPORAL_ADDRESS=cloud:7233")
    assert load(ClientSettings, tmp_path).temporal_address == "cloud:7233"


def test_a_stack_that_is_up_says_itself_where_it_is(tmp_path: Path) -> None:
    stack_up(tmp_path)
    (tmp_path / ".env").write_text("TEMPORAL_PORT=7555")
    assert load(WorkerSettings, tmp_path).temporal_address == "127.0.0.1:17233"


@pytest.mark.parametrize(
    "line", ["TEMPORAL_ADDRESS=cloud:7233", "ATXP_API_URL=https://api.example", "ATXP_API_KEY=mine"]
)
def test_what_points_elsewhere_gets_nothing_of_the_stacks_secrets(
    tmp_path: Path, line: str
) -> None:
    stack_up(tmp_path)
    (tmp_path / ".env").write_text(line)
    with pytest.raises(SettingsError) as caught:
        load(WorkerSettings, tmp_path)
    assert "SEALING_KEY: is not set" in str(caught.value)


def test_an_address_that_is_the_stacks_own_does_not_point_elsewhere(tmp_path: Path) -> None:
    stack_up(tmp_path)
    (tmp_path / ".env").write_text("TEMPORAL_ADDRESS=localhost:17233")
    assert load(WorkerSettings, tmp_path).default_model == "small"


def test_everything_missing_or_wrong_at_once_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "TEMPORAL_ADDRESS": "nowhere",
        "SEALING_KEY": "c2VjcmV0",
        "MAX_CONCURRENT_CALLS": "0",
        "ATXP_API_URL": "ftp://x",
        "TEMPORAL_TLS_CERT_FILE": __file__,
        "SSL_CERT_FILE": "/nowhere/ca.pem",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load(WorkerSettings, tmp_path)
    said = str(caught.value)
    assert {problem.field for problem in caught.value.problems} == {
        "TEMPORAL_ADDRESS", "SEALING_KEY", "MAX_CONCURRENT_CALLS", "ATXP_API_URL", "ATXP_API_KEY",
        "TEMPORAL_TLS_KEY_FILE", "SSL_CERT_FILE",
    }  # fmt: skip
    assert "TEMPORAL_ADDRESS = nowhere: is not HOST:PORT" in said
    assert "SEALING_KEY: contains 6 bytes, 32 are needed" in said
    assert "c2VjcmV0" not in said
    assert "ATXP_API_KEY: is not set" in said
    assert "set ATXP_API_KEY in .env or the environment" in said


@pytest.mark.parametrize(
    "address",
    [
        "::1:7233",
        "[::1:7233",
        "::1]:7233",
        "fe80::1",
        "me:secret@host:7233",
        "a?b:7233",
        "a\\b:7233",
    ],
)
def test_an_address_that_no_client_can_be_made_with_is_not_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    with pytest.raises(SettingsError, match=r"TEMPORAL_ADDRESS = .*: is not HOST:PORT"):
        load(ClientSettings, tmp_path)


@pytest.mark.parametrize("address", ["[::1]:7233", "[fe80::1]:1", "a_b.example:7233", "h:65535"])
def test_an_address_is_a_host_and_a_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    assert load(ClientSettings, tmp_path).temporal_address == address


@pytest.mark.parametrize("name", ["ATXP_LLM_URL", "ATXP_API_URL"])
@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("https://me:S3CRET@gateway.example/v1", "user name or a password"),
        ("https://gateway.example/v1?key=S3CRET", "a query"),
        ("ftp://me:S3CRET@gateway.example/v1", "is not an http"),
    ],
)
def test_a_secret_in_an_address_is_refused_and_not_repeated(
    name: str, given: str, problem: str
) -> None:
    """The requests' own key takes the place of a password, and each path is added to the end."""
    with pytest.raises(SettingsError) as caught:
        made_of({name: given}, ClientSettings)
    assert problem in str(caught.value)
    assert "***" in str(caught.value)
    assert "S3CRET" not in str(caught.value)


def test_no_setting_that_is_an_address_is_repeated_with_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = {"TEMPORAL_ADDRESS": "me:S3CRET@host:1", "EXTERNAL_STORAGE": "s4://me:S3CRET@bucket"}
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "me:S3CRET@collector:4318")
    with pytest.raises(SettingsError) as caught:
        made_of(wrong, ClientSettings)
    assert len(caught.value.problems) == 3
    assert "S3CRET" not in str(caught.value)


def test_no_secret_in_a_repr(tmp_path: Path) -> None:
    stack_up(tmp_path)
    text = repr(load(WorkerSettings, tmp_path))
    assert KEY not in text
    assert "local-parent-key" not in text


def test_telemetry_may_stand_in_the_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    (tmp_path / ".env").write_text("OTEL_SERVICE_NAME=mine")
    load(ClientSettings, tmp_path)
    assert os.environ["OTEL_SERVICE_NAME"] == "mine"


def test_a_private_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "local.env"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, {"A": "b"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("file", [".env.example", "docs/settings.md"])
def test_every_setting_is_explained(file: str) -> None:
    text = (PROJECT_ROOT / file).read_text()
    for kind in (WorkerSettings, StackSettings):
        for name, field in kind.model_fields.items():
            assert name.upper() in text, f"{file} does not explain {name.upper()}"
            if isinstance(field.default, int | str) and field.default not in ("", True):
                shown = "false" if field.default is False else str(field.default)
                assert shown in text.replace("smollm2-135m", ""), name


def test_a_copy_of_the_example_changes_nothing() -> None:
    lines = (PROJECT_ROOT / ".env.example").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []


def test_a_setting_that_may_be_a_word_or_a_url_is_wrong_once() -> None:
    with pytest.raises(SettingsError) as caught:
        made_of({"UPSTREAM_URL": "localhost:1234", "GATEWAY_PORT": "x"}, StackSettings)
    found = {each.field: each.what for each in caught.value.problems}
    assert len(caught.value.problems) == len(found) == 2
    assert found["UPSTREAM_URL"] == "is not an http:// or https:// URL"


def test_an_installed_package_is_told_how_to_find_a_stack_of_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_module, "IS_CHECKOUT", False)
    with pytest.raises(StackNotUp, match="set DATA_DIR to the folder of one that runs elsewhere"):
        require_meant_stack(ClientSettings.decides, tmp_path)


def test_a_stack_that_is_meant_and_down_is_named(tmp_path: Path) -> None:
    """The default address is not asked: another Temporal may answer there, and take the run."""
    with pytest.raises(StackNotUp, match=r"is not running: start it with `make up`, or set"):
        require_meant_stack(ClientSettings.decides, tmp_path)
    stack_up(tmp_path, Started(os.getpid(), "another time"))
    with pytest.raises(StackNotUp, match=re.escape(str(tmp_path / ".data"))):
        require_meant_stack(ClientSettings.decides, tmp_path)


def test_a_stack_that_is_still_starting_is_waited_for_by_the_user(tmp_path: Path) -> None:
    (tmp_path / ".data").mkdir()
    write_state(StackInfo(tmp_path / ".data", "", "", "", this_process(), ready=False))
    with pytest.raises(StackNotUp, match="is still starting"):
        require_meant_stack(ClientSettings.decides, tmp_path)


@pytest.mark.parametrize(
    "line", ["TEMPORAL_ADDRESS=cloud:7233", "ATXP_LLM_URL=https://llm.example"]
)
def test_services_that_are_named_need_no_stack(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(line)
    require_meant_stack(ClientSettings.decides, tmp_path)


def test_a_stack_that_is_up_is_used(tmp_path: Path) -> None:
    stack_up(tmp_path)
    require_meant_stack(ClientSettings.decides, tmp_path)
