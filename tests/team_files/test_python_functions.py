"""Functions that a team file names are looked for in the text of their modules."""

from pathlib import Path

import pytest

from durable_agent_team.team_files.python_functions import function_warnings
from durable_agent_team.team_files.team_file import load_team

TEAM = """name: t
goal: Decide something.
budget_usd: 1
final: handoff
agents:
  clerk:
    role: Clerk
{agent}
tasks: [{{id: x, agent: clerk, ask: Go.}}]
"""
TOOL = '    tools: [{{python: "{named}"}}]'
PROGRAM = '    run: {{python: "{named}"}}'
SHOP = """raise SystemExit("nobody imports this")
from decimal import Decimal as Amount
LIMIT: int = 5
def refund(order: str) -> str: ...
class Desk:
    def answer(self) -> str: ...
if LIMIT:
    look_up = refund
"""


def warned(folder: Path, agent: str, named: str) -> list[str]:
    (folder / "shop").mkdir(exist_ok=True)
    (folder / "shop" / "orders.py").write_text(SHOP)
    (folder / "stars.py").write_text("from shop.orders import *\n")
    (folder / "lazy.py").write_text("def __getattr__(name): ...\n")
    (folder / "broken.py").write_text("def refund(:\n")
    file = folder / "team.yaml"
    file.write_text(TEAM.format(agent=agent.format(named=named)))
    found = function_warnings(load_team(file).team)
    return [f"{each.field} = {each.value}: {each.what} ({each.remedy})" for each in found]


@pytest.mark.parametrize("agent", [TOOL, PROGRAM])
@pytest.mark.parametrize(
    "named",
    [
        "shop.orders:refund", "shop.orders:look_up", "shop.orders:Amount", "shop.orders:LIMIT",
        "stars:whatever", "lazy:whatever", "broken:refund", "json:dumps",
    ],
)  # fmt: skip
def test_what_may_be_there_is_not_complained_about(tmp_path: Path, agent: str, named: str) -> None:
    assert warned(tmp_path, agent, named) == []


def test_a_misspelled_function_gets_the_nearest_one(tmp_path: Path) -> None:
    orders = tmp_path / "shop" / "orders.py"
    assert warned(tmp_path, TOOL, "shop.orders:refnd") == [
        f"agents.clerk.tools[0].python = shop.orders:refnd: {orders} has no refnd"
        " (did you mean `shop.orders:refund`?)"
    ]
    assert warned(tmp_path, PROGRAM, "shop.orders:zzz") == [
        f"agents.clerk.run.python = shop.orders:zzz: {orders} has no zzz (define it there)"
    ]


def test_a_module_that_is_nowhere_is_named_with_the_file_to_write(tmp_path: Path) -> None:
    assert warned(tmp_path, TOOL, "no_such.orders:refund") == [
        f"agents.clerk.tools[0].python = no_such.orders:refund: there is no module no_such.orders"
        f" in {tmp_path} (write no_such/orders.py there, or name the folder as `directory`)"
    ]


def test_an_environment_may_have_the_module(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "requirements.lock").write_text("")
    isolated = PROGRAM.replace('"}}', '", environment: env}}')
    assert warned(tmp_path, isolated, "no_such:answer") == []
