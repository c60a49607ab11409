"""The local stack's own logic: ports, leftovers, restarts. The whole stack runs end to end."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_agent_team.local_stack.child_process import Child, end_leftovers, environment_of
from durable_agent_team.local_stack.stack import Stack, StackFailed
from durable_agent_team.local_stack.stack_plan import Part, StackPlan, StackSettings, make_plan
from durable_agent_team.process.settings import SettingsError
from durable_agent_team.process.stack_state import (
    StackInfo,
    Started,
    read_running,
    read_state,
    start_time,
    this_process,
    write_state,
)

SLEEPER = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True
    )
    yield process
    process.kill()
    process.wait()


def settings(folder: Path, **ports: int) -> StackSettings:
    given = {"temporal_port": 0, "temporal_ui_port": 0, "gateway_port": 0, **ports}
    return StackSettings.model_validate({"data_dir": str(folder), **given})


async def until(condition: object, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("name", ["c#", "what?", "%41", "a b"])
def test_temporals_database_is_in_the_folder_whatever_its_name(tmp_path: Path, name: str) -> None:
    """Temporal's server reads the file's name as a part of a URL: of `c#/temporal.db`, `c`."""
    plan = make_plan(settings(tmp_path / name))
    [temporal] = [part for part in plan.parts if part.name == "temporal"]
    database = temporal.command[temporal.command.index("--db-filename") + 1]
    assert not set(database) & set("#?%")
    assert temporal.directory / database == tmp_path / name / "temporal.db"


def test_every_taken_port_is_named_with_its_setting(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        taken = {
            "temporal_port": one.getsockname()[1],
            "gateway_port": other.getsockname()[1],
        }
        with pytest.raises(SettingsError) as caught:
            make_plan(settings(tmp_path, **taken))
    assert [problem.field for problem in caught.value.problems] == ["TEMPORAL_PORT", "GATEWAY_PORT"]
    assert f"TEMPORAL_PORT = {taken['temporal_port']}" in str(caught.value)
    assert "set TEMPORAL_PORT to another port" in str(caught.value)


def test_one_port_for_two_parts_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(SettingsError) as caught:
        make_plan(settings(tmp_path, temporal_port=port, gateway_port=port))
    assert f"GATEWAY_PORT = {port}: this is TEMPORAL_PORT already" in str(caught.value)


def test_a_wrong_setting_of_the_worker_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALING_KEY", "too-short")
    monkeypatch.setenv("MAX_CONCURRENT_CALLS", "many")
    with pytest.raises(SettingsError) as caught:
        make_plan(settings(tmp_path))
    assert [problem.field for problem in caught.value.problems] == [
        "SEALING_KEY",
        "MAX_CONCURRENT_CALLS",
    ]
    assert "too-short" not in str(caught.value)
    assert not (tmp_path / "local.env").exists()


def test_secrets_are_made_once_and_only_where_they_are_needed(tmp_path: Path) -> None:
    first, second = make_plan(settings(tmp_path)), make_plan(settings(tmp_path))
    one, two = ({part.name: part.env for part in plan.parts} for plan in (first, second))
    for name in ("SEALING_KEY", "ATXP_API_KEY"):
        assert one["worker"][name] == two["worker"][name]
    assert one["gateway"]["GATEWAY_SECRET"] == two["gateway"]["GATEWAY_SECRET"]
    assert one["gateway"]["GATEWAY_PARENT_KEY"] == one["worker"]["ATXP_API_KEY"]
    assert "GATEWAY_SECRET" not in one["worker"]
    assert "SEALING_KEY" not in one["gateway"]
    assert not one["temporal"]


def test_another_model_is_no_default_for_the_bundled_one(tmp_path: Path) -> None:
    plan = make_plan(
        settings(tmp_path).model_copy(update={"upstream_url": "http://127.0.0.1:1/v1"})
    )
    assert "DEFAULT_MODEL" not in plan.parts[2].env


def test_a_state_is_believed_only_if_pid_and_start_time_agree(tmp_path: Path) -> None:
    info = StackInfo(tmp_path, "127.0.0.1:1", "http://u", "http://g", this_process(), ready=True)
    write_state(info)
    assert read_running(tmp_path) == info
    write_state(StackInfo(tmp_path, "", "", "", Started(os.getpid(), "0"), ready=True))
    assert read_running(tmp_path) is None
    assert read_state(tmp_path) is not None
    (tmp_path / "stack.json").write_text('{"half')
    assert read_state(tmp_path) is None


def test_leftovers_are_ended_and_strangers_are_not(
    sleeper: subprocess.Popen[bytes],
) -> None:
    stranger = Started(sleeper.pid, "some other time")
    assert end_leftovers({"worker": stranger}) == []
    assert sleeper.poll() is None
    ours = Started(sleeper.pid, start_time(sleeper.pid))
    assert end_leftovers({"worker": ours}) == ["worker"]
    assert sleeper.wait(5) == -signal.SIGKILL


async def test_the_ports_of_what_was_killed_are_waited_for(
    tmp_path: Path, sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    tried: list[float] = []

    def plan(wanted: StackSettings) -> StackPlan:
        tried.append(time.monotonic())
        if len(tried) < 3:
            return make_plan(wanted)
        raise StackFailed("far enough")

    monkeypatch.setattr("durable_agent_team.local_stack.stack.make_plan", plan)
    left = {"temporal": Started(sleeper.pid, start_time(sleeper.pid))}
    write_state(StackInfo(tmp_path, "", "", "", Started(1, "0"), ready=True, processes=left))
    with socket.create_server(("127.0.0.1", 0)) as held:
        taken = settings(tmp_path, temporal_port=held.getsockname()[1])
        with pytest.raises(StackFailed):
            await Stack(taken, tmp_path, said.append).start()
        assert said == ["ended what a killed stack had left running: temporal"]
        tried.clear()
        (tmp_path / "stack.json").unlink()
        with pytest.raises(SettingsError):  # nothing was ended: it is somebody else's port
            await Stack(taken, tmp_path, said.append).start()
        assert len(tried) == 1


async def test_what_is_killed_is_started_again_and_nothing_is_left(tmp_path: Path) -> None:
    said: list[str] = []
    child = Child(Part("worker", SLEEPER, {}, 5), tmp_path, said.append)
    await child.start()
    try:
        await until(lambda: child.has_written("up"))
        first = child.started
        os.kill(first.pid, signal.SIGKILL)
        await until(lambda: child.started != first and child.has_written("up"))
        assert child.started.alive()
        assert said == [
            "worker was killed by signal 9; starting it again at once"
            f" (log: {tmp_path / 'worker.log'})"
        ]
    finally:
        await child.stop()
    assert not child.started.alive()


async def test_what_keeps_dying_is_started_ever_more_slowly(tmp_path: Path) -> None:
    said: list[str] = []
    part = Part("gateway", (sys.executable, "-c", "raise SystemExit(7)"), {}, 5)
    child = Child(part, tmp_path, said.append)
    await child.start()
    await until(lambda: len(said) >= 3)
    await child.stop()
    assert [line.split("(")[0] for line in said[:3]] == [
        "gateway ended with exit code 7; starting it again at once ",
        "gateway ended with exit code 7; starting it again in 0.5 s ",
        "gateway ended with exit code 7; starting it again in 1 s ",
    ]


async def test_what_does_not_listen_is_killed_with_its_children(tmp_path: Path) -> None:
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print('pid', p.pid, flush=True)\ntime.sleep(60)"
    )
    child = Child(Part("worker", (sys.executable, "-c", code), {}, 0.2), tmp_path, print)
    await child.start()
    await until(lambda: child.has_written("pid "))
    grandchild = int(child.log.read_text().split()[-1])
    await child.stop()
    await until(lambda: start_time(grandchild) == "")
    assert not child.started.alive()


def test_only_the_gateway_gets_the_keys_of_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-a-provider")
    monkeypatch.setenv("UPSTREAM_API_KEY", "key-of-an-upstream")
    monkeypatch.setenv("TEMPORAL_API_KEY", "ours")
    worker = environment_of(Part("worker", (), {"ATXP_API_KEY": "ours"}, 1))
    assert not {"OPENAI_API_KEY", "UPSTREAM_API_KEY"} & set(worker)
    assert {"TEMPORAL_API_KEY", "ATXP_API_KEY", "PATH"} <= set(worker)
    gateway = environment_of(Part("gateway", (), {}, 1, gets_provider_keys=True))
    assert gateway["OPENAI_API_KEY"] == "sk-of-a-provider"


def test_the_worker_gets_no_key_that_the_models_file_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models.toml"
    models.write_text('[upstreams.own]\nurl = "https://own.example"\nkey_env = "OWN_TOKEN"\n')
    monkeypatch.setenv("GATEWAY_MODELS", str(models))
    monkeypatch.setenv("OWN_TOKEN", "sk-of-an-own-upstream")
    assert "OWN_TOKEN" not in environment_of(Part("worker", (), {}, 1))
    assert "OWN_TOKEN" not in environment_of(Part("temporal", (), {}, 1))
    gateway = environment_of(Part("gateway", (), {}, 1, gets_provider_keys=True))
    assert gateway["OWN_TOKEN"] == "sk-of-an-own-upstream"
    monkeypatch.setenv("GATEWAY_MODELS", "/dev/zero")
    assert "OWN_TOKEN" in environment_of(Part("worker", (), {}, 1)), "it is not read for ever"
    monkeypatch.setenv("GATEWAY_MODELS", str(models))
    models.write_text("[upstreams.own")
    assert "OWN_TOKEN" in environment_of(Part("worker", (), {}, 1)), "the gateway refuses the file"
