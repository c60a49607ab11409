"""Checks that what the pages name exists: files, headings, commands, tests, fields, error types."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from durable_agent_team.cli.command_group import COMMANDS
from durable_agent_team.cli.demo.run_checks import __file__ as demo_checks
from durable_agent_team.cli.demo.tool_act import __file__ as demo_tool_checks
from durable_agent_team.contracts import control, run, spend
from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Team
from durable_agent_team.gateway.gateway_settings import GatewaySettings
from durable_agent_team.gateway.models.dialect import Dialect
from durable_agent_team.gateway.models.model_table import ModelTable
from durable_agent_team.gateway.models.presets import presets
from durable_agent_team.rules.validation import team_problems
from tests.docs.pages import PAGES, ROOT, anchors, blocks, links, name
from tests.support.gateway import PARENT_KEY, SECRET

README = ROOT / "README.md"
MONEY = ROOT / "docs" / "money.md"
MODELS_PAGE = ROOT / "docs" / "models.md"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith(("http://", "https://")):
            continue
        target, _, anchor = link.partition("#")
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), f"{name(page)}: {link}"
        assert found.is_relative_to(ROOT), f"{name(page)}: {link} leaves the project"
        if anchor:
            assert anchor in anchors(found), f"{name(page)}: {link}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "errors.md"], ids=name)
def test_every_command_target_and_test_exists(page: Path) -> None:
    """Not in `errors.md`, whose commands are wrong on purpose."""
    text = page.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake ([a-z]+)[`\s.,;:)]", "".join(_code(text))):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{name(page)}: make {target}"
    for command in re.findall(r"starter\.py ([a-z-]+)", "".join(_code(text))):
        assert command in COMMANDS, f"{name(page)}: starter.py {command}"
    for test in re.findall(r"`(test_\w+)`", text):
        assert _test_exists(test), f"{name(page)}: {test}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_example_of_a_team_is_valid(page: Path) -> None:
    for block in blocks(page, "yaml"):
        team = Team.model_validate(yaml.safe_load(block))
        named = [agent.inputs for agent in team.agents.values()]
        named += [task.inputs for task in team.tasks]
        sources = {source: "A text." for inputs in named for source in inputs}
        for source in sources:
            assert (ROOT / "teams" / source).exists(), source
        assert team_problems(RunRequest(team=team, sources=sources)) == []


def test_every_decision_has_its_three_parts_and_its_number() -> None:
    decisions = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    for number, page in enumerate(decisions, start=1):
        text = page.read_text(encoding="utf-8")
        assert page.name.startswith(f"{number:03}-")
        assert text.startswith(f"# {number:03} ")
        for part in ("**Context.**", "**Decision.**", "**Consequence.**"):
            assert text.count(part) == 1, f"{name(page)}: {part}"


def test_the_checks_of_the_demo_in_the_readme_are_its_checks() -> None:
    said = re.findall(r"^  ✓ (.*)$", README.read_text(encoding="utf-8"), re.MULTILINE)
    promises = [text for file in (demo_checks, demo_tool_checks) for text in _texts(Path(file))]
    assert said
    for promise in said:
        assert any(re.fullmatch(each, promise) for each in promises), promise


def load_models(environment: dict[str, str], file: Path | None = None) -> ModelTable:
    keys = {"gateway_parent_key": PARENT_KEY, "gateway_secret": SECRET, "gateway_models": file}
    settings = GatewaySettings(_env_file=None, **keys)  # type: ignore[arg-type]
    return settings.models(environment)


def test_the_lines_for_a_real_model_are_settings_and_a_command() -> None:
    [lines] = [b for b in blocks(README, "") if "OPENAI_API_KEY=" in b]
    key, model, command = lines.splitlines()
    table = load_models({key.partition("=")[0]: "a-key"})
    assert table.find(model.removeprefix("DEFAULT_MODEL=")) is not None
    assert model.startswith("DEFAULT_MODEL=")
    assert command == "make up"


def test_the_models_in_the_readme_are_a_models_file(tmp_path: Path) -> None:
    [entry] = blocks(README, "toml")
    (tmp_path / "models.toml").write_text(entry)
    table = load_models({"OUR_KEY": "a-key"}, tmp_path / "models.toml")
    found = table.find("the model's name")
    assert found is not None
    assert found.upstream == "ours"


def test_every_key_and_preset_of_the_models_page_exists(tmp_path: Path) -> None:
    page = MODELS_PAGE.read_text(encoding="utf-8")
    table = re.findall(r"^\| `([a-z-]+)` \| (.*?) \| ", page, re.MULTILINE)
    documented = {preset: text for preset, text in table if preset in presets()}
    assert set(documented) == set(presets())
    for preset, entry in presets().items():
        variable = entry.key_env if entry.key_required else entry.url_env
        assert str(variable) in documented[preset]
    keys = set(re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE))
    assert set(Dialect.model_fields) <= keys
    (tmp_path / "models.toml").write_text(blocks(MODELS_PAGE, "toml")[0])
    load_models({"AZURE_EU_KEY": "a-key"}, tmp_path / "models.toml")


def test_every_error_type_and_field_that_money_names_exists() -> None:
    text = MONEY.read_text(encoding="utf-8")
    types = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)`", text))
    assert types
    assert types <= {str(each) for each in ErrorType}
    fields = {
        field
        for module in (run, spend, control)
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Message)
        for field in each.model_fields
    }
    amounts = set(re.findall(r"`(\w+_usd)`", text)) - {"cost_usd"}  # the upstream's own word
    assert amounts
    assert amounts <= fields


def _code(text: str) -> list[str]:
    """Returns inline code and blocks only, since prose may use `make` as a verb."""
    return [f"{each} " for each in re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)]


def _test_exists(test: str) -> bool:
    files = (ROOT / "tests").rglob("*.py")
    return any(f"def {test}(" in file.read_text(encoding="utf-8") for file in files)


def _texts(source: Path) -> list[str]:
    """The promises' texts, as patterns: a formatted part may be anything."""
    found = []
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id="Check"), args=[ast.JoinedStr(values=parts), *_]):
                found.append("".join(map(_pattern, parts)))
            case ast.Call(func=ast.Name(id="Check"), args=[text, *_]):
                found.append(_pattern(text))
    return found


def _pattern(part: ast.expr) -> str:
    return re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+"
