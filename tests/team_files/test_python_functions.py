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


@pytest.mark.parametrize(
    ("code", "warns"),
    [("", True), ("from importlib import import_module\n", False), ("__path__ += []\n", False)],
)
def test_a_module_that_its_package_does_not_have_is_named(
    tmp_path: Path, code: str, warns: bool
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text(code)
    (tmp_path / "shop" / "fast.cpython-311-x86_64-linux-gnu.so").write_text("")
    named = warned(tmp_path, TOOL, "shop.ordres:refund")
    assert ["there is no module shop.ordres" in each for each in named] == [True] * warns
    assert warned(tmp_path, TOOL, "shop.fast:refund") == []


def test_an_environment_may_have_the_module(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "requirements.lock").write_text("")
    isolated = PROGRAM.replace('"}}', '", environment: env}}')
    assert warned(tmp_path, isolated, "no_such:answer") == []


BANK = """from durable_agent_team.agents import once
from bank import wrapped
def pay(order: str, usd: float, key: str = "") -> str: ...
@once(idempotent=True)
async def send(order, /, *, usd: float, key: str) -> str: ...
@wrapped
def decorated(order: str) -> str: ...
def anything(**more: str) -> str: ...
if wrapped:
    def twice(order: str) -> str: ...
else:
    def twice(usd: float, key: str) -> str: ...
def replaced(order: str) -> str: ...
replaced = wrapped(replaced)
"""


def of_arguments(folder: Path, function: str, more: str) -> list[str]:
    (folder / "bank.py").write_text(BANK)
    named = TOOL.replace('"}}', f'", {more}}}}}')
    return warned(folder, named, f"bank:{function}")


ABOVE = "approve: above_usd, above_usd: 5, amount: "


@pytest.mark.parametrize("function", ["pay", "send"])
def test_an_argument_that_the_function_does_not_have_is_named(
    tmp_path: Path, function: str
) -> None:
    place, what = "agents.clerk.tools[0]", f"bank:{function} has no argument of this name"
    assert of_arguments(tmp_path, function, "key_argument: keyy") == [
        f"{place}.key_argument = keyy: {what} (did you mean `key`?)"
    ]
    assert of_arguments(tmp_path, function, "key_argument: idempotency") == [
        f"{place}.key_argument = idempotency: {what} (add it to the function: `idempotency: str`)"
    ]
    assert of_arguments(tmp_path, function, f"{ABOVE}total, key_argument: key") == [
        f"{place}.amount = total: {what} (it has: order, usd)"
    ]


def test_an_argument_that_the_function_has_or_may_have_is_not_complained_about(
    tmp_path: Path,
) -> None:
    for function in ("pay", "send", "decorated", "anything", "twice", "replaced", "wrapped"):
        more = f"{ABOVE}usd, key_argument: key"
        assert of_arguments(tmp_path, function, more) == [], function
