"""The table of the SDK's patches is complete, and each patch can be switched off by itself."""

import re
from pathlib import Path

import pytest
from temporalio.worker import UnsandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

import durable_agent_team
from durable_agent_team.process.setting_types import ALL_SDK_PATCHES
from durable_agent_team.process.settings import ClientSettings, SettingsError, load
from durable_agent_team.worker_sdk.cold_queries import ColdQueryGuard
from durable_agent_team.worker_sdk.idle_eviction import IdleEviction
from durable_agent_team.worker_sdk.patched_worker import PatchedRunner, sandboxed_runner
from durable_agent_team.worker_sdk.patches import NO_ISSUE, PATCHES, Patch
from durable_agent_team.worker_sdk.serialization_context import NoSerializationContext
from durable_agent_team.worker_sdk.shared_sandbox import SharedSandboxRunner
from durable_agent_team.worker_sdk.waiting_queries import WaitingQueries

ROOT = Path(__file__).parents[2]
PACKAGE = Path(durable_agent_team.__file__).parent


def test_every_module_of_worker_sdk_belongs_to_a_patch() -> None:
    modules = {f"worker_sdk.{path.stem}" for path in (PACKAGE / "worker_sdk").glob("[a-z]*.py")}
    listed = {module for patch in PATCHES for module in patch.modules}
    about_all = {"worker_sdk.patches", "worker_sdk.patched_worker"}
    assert modules - about_all == {name for name in listed if name.startswith("worker_sdk.")}


def test_the_setting_knows_every_patch() -> None:
    assert {patch.name for patch in PATCHES} == ALL_SDK_PATCHES
    assert len(PATCHES) == len(ALL_SDK_PATCHES)


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_an_entry_names_real_modules_a_real_test_and_an_issue_or_none(patch: Patch) -> None:
    for module in patch.modules:
        assert (PACKAGE / f"{module.replace('.', '/')}.py").is_file()
    path, _, function = patch.needed_test.partition("::")
    assert re.search(rf"^(async )?def {function}\(", (ROOT / path).read_text(), re.MULTILINE)
    link = r"https://github\.com/temporalio/[a-z-]+/issues/\d+"
    assert patch.issue == NO_ISSUE or re.fullmatch(link, patch.issue)
    assert patch.problem
    assert patch.waits_for


@pytest.mark.parametrize("name", [patch.name for patch in PATCHES])
def test_the_documentation_names_every_patch(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("value", "enabled"),
    [
        ("all", ALL_SDK_PATCHES),
        ("none", frozenset()),
        ("idle_eviction", {"idle_eviction"}),
        ("cold_queries, shared_sandbox", {"cold_queries", "shared_sandbox"}),
        ("", ALL_SDK_PATCHES),
    ],
)
def test_the_setting_enables_patches(
    value: str, enabled: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDK_PATCHES", value)
    assert load(ClientSettings, tmp_path).sdk_patches == enabled


def test_an_unknown_patch_is_rejected_with_the_known_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDK_PATCHES", "cold_queries,lukewarm")
    with pytest.raises(SettingsError) as caught:
        load(ClientSettings, tmp_path)
    said = str(caught.value)
    assert "SDK_PATCHES = cold_queries,lukewarm: 'lukewarm' is not a known patch" in said
    for name in ALL_SDK_PATCHES:
        assert name in said


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cold_queries", ColdQueryGuard),
        ("idle_eviction", IdleEviction),
        ("serialization_context", NoSerializationContext),
        ("waiting_queries", WaitingQueries),
    ],
)
def test_a_patch_of_the_runner_is_applied_alone(name: str, kind: type) -> None:
    plain = UnsandboxedWorkflowRunner()
    assert type(PatchedRunner(plain, {name}).runner) is kind
    assert PatchedRunner(plain, ALL_SDK_PATCHES - {name, *_others(name)}).runner is plain


def _others(name: str) -> set[str]:
    of_runner = {"cold_queries", "idle_eviction", "serialization_context", "waiting_queries"}
    return of_runner - {name}


def test_the_sandbox_is_shared_only_with_its_patch() -> None:
    assert type(sandboxed_runner((), {"shared_sandbox"})) is SharedSandboxRunner
    assert type(sandboxed_runner((), set())) is SandboxedWorkflowRunner
