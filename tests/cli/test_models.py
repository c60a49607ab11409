"""`models` prints what can be called, and `validate` where each model of a team goes."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cli.support import NO_SERVICE, TEAM, Starter, lines
from tests.support.gateway import RunningGateway, running_gateway

KEYS = {"OPENAI_API_KEY": "sk-of-the-tests", "DEEPSEEK_API_KEY": "key-of-the-tests"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway("http://127.0.0.1:9/v1", environment=KEYS) as running:
        yield running


@pytest.fixture
def alone(tmp_path: Path) -> Starter:
    return Starter(NO_SERVICE, tmp_path)


async def test_models_are_a_table_or_json_lines(alone: Starter, gateway: RunningGateway) -> None:
    ended = await alone("models", ATXP_LLM_URL=gateway.base_url)
    assert ended.code == 0, ended.err
    [row] = [line for line in lines(ended.out) if line.startswith("gpt-5-mini ")]
    assert row.split()[:4] == ["gpt-5-mini", "openai", "400", "000"]
    assert "0.25" in row
    assert "native" in row.split()
    assert "genai-prices" in row
    ended = await alone("models", "--json", ATXP_LLM_URL=gateway.base_url)
    found = {each["id"]: each for each in map(json.loads, lines(ended.out))}
    assert found["deepseek-chat"]["upstream"] == "deepseek"
    assert found["gpt-5-mini"]["dialect"]["limit"] == "max_completion_tokens"
    assert found["gpt-5-mini"]["dialect"]["tools"] == "native"
    assert found["smollm2-135m"]["dialect"]["tools"] == "none"
    assert "of-the-tests" not in ended.out


async def test_one_model_is_shown_in_full(alone: Starter, gateway: RunningGateway) -> None:
    ended = await alone("models", "openai/gpt-5-mini", ATXP_LLM_URL=gateway.base_url)
    assert ended.code == 0, ended.err
    for each in ("upstream", "name there", "context", "input", "output", "price from", "omit"):
        assert f"\n  {each} " in ended.out
    assert "\n  called at " in ended.out
    tiered = await alone("models", "gpt-5.4", ATXP_LLM_URL=gateway.base_url)
    [above] = [each for each in lines(tiered.out) if each.startswith("  prompts above 272 000 ")]
    assert "input 5.00" in above
    assert "output 22.50" in above
    assert any(each.startswith("  tier flex, prompts above") for each in lines(tiered.out))
    assert "_usd" not in tiered.out, "no field's name as the gateway spells it"
    embeds = await alone("models", "text-embedding-3-small", ATXP_LLM_URL=gateway.base_url)
    assert "called at   embeddings\n" in embeds.out
    assert "tools" not in embeds.out, "nothing of chats, which it does not answer"
    ended = await alone("models", "gpt-5-mni", ATXP_LLM_URL=gateway.base_url)
    assert ended.code == 2
    assert "gpt-5-mini" in ended.err
    ended = await alone("models", "gemini-2.5-pro", ATXP_LLM_URL=gateway.base_url)
    assert "needs GEMINI_API_KEY" in ended.err
    assert "Traceback" not in ended.err


async def test_validate_says_which_model_goes_where_and_what_is_missing(
    alone: Starter, gateway: RunningGateway
) -> None:
    mixed = TEAM.replace("role: Researcher", "model: gpt-5-mini, role: Researcher")
    mixed = mixed.replace("role: Editor", "model: openai/gpt-5-nano, role: Editor")
    named = mixed.replace("{budget", "{model: deepseek-chat, budget")
    ended = await alone("validate", alone.team(named), ATXP_LLM_URL=gateway.base_url)
    assert ended.code == 0, ended.out
    assert "deepseek-chat on deepseek" in ended.out
    assert "gpt-5-mini on openai" in ended.out
    wrong = named.replace("deepseek-chat", "claude-opus-4-8").replace("gpt-5-nano", "gpt-5-nao")
    ended = await alone("validate", alone.team(wrong), ATXP_LLM_URL=gateway.base_url)
    assert ended.code == 2
    assert "it needs ANTHROPIC_API_KEY" in ended.out
    assert "did you mean" in ended.out
    assert "0.00" not in ended.out
