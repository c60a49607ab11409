"""What `make up` says before anyone starts a run: what can be called, and what is wrong with it."""

import asyncio
import errno
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from durable_agent_team.local_stack import stack, stack_plan
from durable_agent_team.local_stack.disk_space import little_room, watch_room
from durable_agent_team.local_stack.gateway_check import DefaultModelRefused, report_models
from durable_agent_team.local_stack.lifecycle import local_stack
from durable_agent_team.local_stack.stack_plan import StackSettings, make_plan
from durable_agent_team.process.settings import SettingsError
from tests.support.gateway import PARENT_KEY, running_gateway

NOWHERE = "http://127.0.0.1:9/v1"


class Usage(NamedTuple):
    total: int
    used: int
    free: int


async def said(default_model: str | None) -> list[str]:
    lines: list[str] = []
    async with running_gateway(NOWHERE, upstream_api_key="sk-never-shown-0123") as gateway:
        await report_models(gateway.url, PARENT_KEY, default_model, lines.append)
    assert not any("sk-never-shown" in line for line in lines)
    return lines


async def test_an_upstream_that_is_down_is_a_warning_and_the_default_model_has_its_price() -> None:
    upstream, default = await said("m")
    assert upstream.startswith(f"warning: upstream default: {NOWHERE}/models cannot be reached")
    assert default.startswith("default model m")
    assert default.endswith("USD per million tokens 1 in, 2 out")


async def test_without_a_default_model_this_is_said() -> None:
    assert "every agent must name its `model`" in (await said(None))[-1]


async def test_an_unpriced_default_model_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(DefaultModelRefused) as refused:
        await said("smolm2-135m")
    assert str(refused.value).startswith("DEFAULT_MODEL = smolm2-135m: ")
    assert "smollm2-135m" in str(refused.value).partition(": ")[2]


@pytest.mark.parametrize("step", ["write_private", "write_state"])
async def test_a_disk_that_fills_up_while_the_stack_starts_is_named_with_its_setting(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    module = stack_plan if step == "write_private" else stack
    monkeypatch.setattr(module, step, full)
    ports = {"temporal_port": 0, "temporal_ui_port": 0, "gateway_port": 0}
    settings = StackSettings.model_validate({"data_dir": str(tmp_path), **ports})
    with pytest.raises(SettingsError) as caught:
        async with local_stack(lambda _: None, settings):
            pytest.fail("it must not start")
    assert f"DATA_DIR = {tmp_path}: cannot be written to (No space left" in str(caught.value)
    assert "make room" in str(caught.value)


def test_a_full_disk_is_named_with_its_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 50 * 1024**2
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 0, free))
    given = {"temporal_port": 0, "temporal_ui_port": 0, "gateway_port": 0}
    with pytest.raises(SettingsError) as caught:
        make_plan(StackSettings.model_validate({"data_dir": str(tmp_path), **given}))
    assert f"DATA_DIR = {tmp_path}: only 50 MB are free" in str(caught.value)
    assert "another disk" in str(caught.value)
    free = 500 * 1024**2
    assert "500 MB are free" in str(little_room(tmp_path))
    free = 5 * 1024**3
    assert little_room(tmp_path) is None


async def test_a_disk_that_fills_up_while_the_stack_is_up_is_said_once_and_its_end_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = iter([2**40, 60 * 1024**2, 0, 120 * 1024**2, 300 * 1024**2, 2**40])
    lines: list[str] = []

    def usage(_: Path) -> Usage:
        found = next(free, None)
        if found is None:
            raise asyncio.CancelledError
        return Usage(2**40, 0, found)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    with pytest.raises(asyncio.CancelledError):
        await watch_room(tmp_path, lines.append, 0)
    warning, better = lines
    assert warning.startswith(
        f"warning: 60 MB are left on the disk of {tmp_path}: while it is full"
    )
    assert better == f"the disk of {tmp_path} has room again"
