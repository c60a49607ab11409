"""The gallery in `teams/`: every team validates with the bundled model, and can be started from."""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from durable_agent_team.cli.gallery import gallery
from durable_agent_team.cli.provider_catalog import Provider
from durable_agent_team.cli.team_findings import check_team
from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.contracts.model_catalog import ModelCatalog, ModelPrice
from durable_agent_team.team_files.team_file import load_team
from tests.cli.support import ROOT, Starter, lines
from tests.cli.test_validate_team import alone

__all__ = ["alone"]

BUNDLED = ModelPrice(
    model="smollm2-135m",
    input_usd=Decimal("0.5"),
    output_usd=Decimal(2),
    context_tokens=8192,
)
PROVIDER = Provider(
    ModelCatalog(models=(BUNDLED,), default_model=BUNDLED.model, priced=True),
    Capabilities(hard_limit=True, replay=True, ledger=True, transfer=True),
)
NEEDS = {
    "back_office", "code_review", "comparison", "extraction", "long_document", "reading_room",
    "research", "triage",
}  # fmt: skip


def test_eight_teams_each_for_another_need() -> None:
    assert {each.name for each in gallery()} == NEEDS


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_a_team_of_the_gallery_has_no_finding_and_says_what_a_real_model_changes(
    name: str,
) -> None:
    """Without a finding: its budgets pay for the worst case of every first call."""
    (team,) = (each for each in gallery() if each.name == name)
    assert check_team(team.file, None, [], PROVIDER, has_store=False).findings == []
    request = load_team(team.file)
    assert len(request.team.tasks) >= 3
    assert all(agent.model is None for agent in request.team.agents.values()), "DEFAULT_MODEL"
    assert "# With a real model: set DEFAULT_MODEL" in team.file.read_text()
    patient = {name for name, each in request.team.agents.items() if each.timeout_seconds == 600}
    assert patient == set(request.team.agents), "a busy processor parks the calls of the others"


def starter(alone: Starter, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "starter.py"), *words], cwd=folder, text=True,
        env=alone.environment(), capture_output=True, timeout=60, check=False,
    )  # fmt: skip


def test_init_from_copies_a_team_with_its_documents_and_replaces_nothing(
    alone: Starter, tmp_path: Path
) -> None:
    ended = starter(alone, tmp_path, "init", "mine", "--from", "triage")
    assert ended.returncode == 0, ended.stderr
    files = lines(ended.stdout)
    assert files == ["mine.yaml", *(f"sources/mail_{n}.txt" for n in (1, 2, 3))]
    assert yaml.safe_load((tmp_path / "mine.yaml").read_text())["name"] == "mine"
    assert starter(alone, tmp_path, "validate", "mine.yaml").returncode == 0
    again = starter(alone, tmp_path, "init", "mine", "--from", "triage")
    assert (again.returncode, "mine.yaml is there already" in again.stderr) == (2, True)
    (tmp_path / "sources" / "mail_1.txt").write_text("my own")
    taken = starter(alone, tmp_path, "init", "other", "--from", "triage")
    assert (taken.returncode, "mail_1.txt is there already" in taken.stderr) == (2, True)
    assert not (tmp_path / "other.yaml").exists()
    assert (tmp_path / "sources" / "mail_1.txt").read_text() == "my own"


def test_init_from_copies_the_functions_of_a_team_with_tools(
    alone: Starter, tmp_path: Path
) -> None:
    ended = starter(alone, tmp_path, "init", "desk", "--from", "back_office")
    assert ended.returncode == 0, ended.stderr
    assert lines(ended.stdout) == ["desk.yaml", "sources/complaint.txt", "shop/orders.py"]
    copied = (tmp_path / "shop" / "orders.py").read_text()
    assert copied == (ROOT / "teams" / "shop" / "orders.py").read_text()
    assert starter(alone, tmp_path, "validate", "desk.yaml").returncode == 0


async def test_init_from_alone_lists_the_teams_and_an_unknown_one_gets_the_nearest(
    alone: Starter,
) -> None:
    listed = await alone("init", "--from", "--json")
    assert {json.loads(line)["name"] for line in lines(listed.out)} == NEEDS
    for name in sorted(NEEDS):
        assert name in (await alone("init", "--from")).out
    wrong = await alone("init", "--from", "reserch")
    assert (wrong.code, "did you mean `research`?" in wrong.err) == (2, True)
    nameless = await alone("init")
    assert (nameless.code, "NAME: is missing" in nameless.err) == (2, True)
