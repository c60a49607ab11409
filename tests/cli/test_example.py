"""The example of the README, run unchanged."""

import asyncio
import sys
from decimal import Decimal

from durable_agent_team.contracts.model_catalog import ModelCatalog, ModelPrice
from tests.cli.support import ROOT, Starter, lines
from tests.support.fakes import FakeWorld

MODEL = ModelPrice(model="smollm2-135m", input_usd=Decimal("0.5"), output_usd=Decimal(2))
TEN_LINES = (ROOT / "docs" / "example.py").read_text().partition('"""\n\n')[2].rstrip()


async def test_the_example_prints_the_answer_and_what_each_agent_spent(
    starter: Starter, world: FakeWorld
) -> None:
    world.catalog = ModelCatalog(models=(MODEL,), priced=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "docs.example", cwd=ROOT, env=starter.environment(),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    ended = await starter.end(process)
    assert ended.code == 0, ended.err
    first, answer, *spent = lines(ended.out)
    assert first.startswith("market-brief-")
    assert answer == "answer of brief"
    assert "research: 0.01 of 0.02 USD" in spent


def test_the_commands_page_shows_the_same_lines() -> None:
    assert TEN_LINES in (ROOT / "docs" / "commands.md").read_text()
