"""Which model a name means: the models file, the price file, the presets, the catalogue."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from durable_agent_team.gateway.gateway_settings import GatewaySettings, describe_problems
from durable_agent_team.gateway.models.answer_limits import longest_answer
from durable_agent_team.gateway.models.model import Model
from durable_agent_team.gateway.models.model_table import ModelTable
from durable_agent_team.gateway.models.presets import presets
from durable_agent_team.gateway.models.price_file import PriceError
from tests.support.gateway import PARENT_KEY, SECRET

OPENAI = {"OPENAI_API_KEY": "sk-of-the-tests"}


def table(
    environment: Mapping[str, str], file: Path | None = None, upstream_url: str = "local"
) -> ModelTable:
    values = {
        "gateway_parent_key": PARENT_KEY,
        "gateway_secret": SECRET,
        "upstream_url": upstream_url,
        "gateway_models": file,
    }
    settings = GatewaySettings(_env_file=None, **values)  # type: ignore[arg-type]
    return settings.models(environment)


def called(models: ModelTable, name: str) -> Model:
    found = models.find(name)
    assert found is not None, models.why_not(name).text
    return found


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "models.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("environment", "name", "upstream"),
    [
        ({"OPENAI_API_KEY": "k"}, "gpt-5-mini", "openai"),
        ({"ANTHROPIC_API_KEY": "k"}, "claude-opus-4-8", "anthropic"),
        ({"GEMINI_API_KEY": "k"}, "gemini-2.5-pro", "gemini"),
        ({"DEEPSEEK_API_KEY": "k"}, "deepseek-chat", "deepseek"),
        ({"XAI_API_KEY": "k"}, "grok-4.5", "xai"),
        ({"MISTRAL_API_KEY": "k"}, "mistral-large-2512", "mistral"),
        ({"OPENROUTER_API_KEY": "k"}, "openai/gpt-5-mini", "openrouter"),
        ({"GROQ_API_KEY": "k"}, "groq/openai/gpt-oss-120b", "groq"),
        (
            {"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com/"},
            "azure/gpt-5",
            "azure",
        ),
    ],
)
def test_a_key_alone_makes_the_models_of_a_provider_callable_at_their_published_price(
    environment: dict[str, str], name: str, upstream: str
) -> None:
    model = called(table(environment), name)
    assert model.upstream == upstream
    assert model.price.input_usd_per_million > 0
    assert model.price.output_usd_per_million > 0
    assert model.price.source.startswith("genai-prices ")
    assert model.planning == "whole"


def test_without_a_key_the_variable_is_named() -> None:
    models = table({})
    for name in ("gpt-5-mini", "openai/gpt-5-mini", "openai/anything"):
        assert models.find(name) is None
        assert "needs OPENAI_API_KEY" in models.why_not(name).text
        assert models.why_not(name).needs == "OPENAI_API_KEY"
    assert "AZURE_OPENAI_ENDPOINT and AZURE_OPENAI_API_KEY" in models.why_not("azure/gpt-5").text


def test_a_name_with_its_upstream_always_means_that_upstream() -> None:
    models = table({**OPENAI, "OPENROUTER_API_KEY": "k"})
    assert called(models, "openai/gpt-5-mini").upstream_model == "gpt-5-mini"
    assert called(models, "gpt-5-mini").upstream == "openai"
    routed = called(models, "openrouter/openai/gpt-5-mini")
    assert (routed.upstream, routed.upstream_model) == ("openrouter", "openai/gpt-5-mini")
    assert routed.trust_cost


def test_the_bundled_model_stays_what_it_was() -> None:
    model = called(table(OPENAI), "smollm2-135m")
    assert (model.upstream, model.planning) == ("local", "narrow")
    assert model.dialect.tools == "none"
    assert model.price.output_usd_per_million == 2
    assert model.dialect.limit is None


def test_a_server_of_ones_own_is_free_only_under_its_own_name() -> None:
    models = table({"OLLAMA_URL": "http://127.0.0.1:11434/v1"})
    assert called(models, "ollama/llama3.2").price.output_usd_per_million == 0
    assert called(models, "ollama/llama3.2").price.source == "free: upstream ollama"
    assert models.find("llama3.2") is None


def test_a_model_takes_tools_unless_its_documentation_says_otherwise(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        [models.mine]
        upstream = "ollama"
        upstream_model = "gemma3:4b"
        dialect = { tools = "native" }
        [models.other]
        upstream = "ollama"
        upstream_model = "of-my-own"
        dialect = { tools = "none" }
        """,
    )
    environment = {**OPENAI, "GEMINI_API_KEY": "k", "OLLAMA_URL": "http://127.0.0.1:11434/v1"}
    models = table(environment, path)
    for name in ("gpt-5-mini", "gemini-2.5-flash", "ollama/llama3.2", "mine"):
        assert called(models, name).dialect.tools == "native", name
    for name in ("smollm2-135m", "ollama/gemma3:1b", "ollama/smollm2:135m", "other"):
        assert called(models, name).dialect.tools == "none", name


def test_a_models_file_adds_upstreams_and_models_on_top_of_the_catalogue(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        [upstreams.eu]
        preset = "azure"
        url = "https://eu.openai.azure.com/openai/deployments/{model}"
        key_env = "EU_KEY"
        query = { api-version = "2024-10-21" }
        timeout_seconds = 300

        [models.drafts]
        upstream = "eu"
        upstream_model = "our-deployment"
        catalogue = "gpt-5-mini"
        output_usd_per_million = 3
        dialect = { reasoning_effort = "low" }

        [models.mine]
        upstream = "ollama"
        upstream_model = "llama3.2:3b"
        input_usd_per_million = 0
        output_usd_per_million = 0
        context_tokens = 4096
        """,
    )
    models = table({"EU_KEY": "key-of-eu", "OLLAMA_URL": "http://localhost:11434/v1"}, path)
    drafts = called(models, "drafts")
    assert (drafts.upstream, drafts.upstream_model) == ("eu", "our-deployment")
    assert drafts.price.input_usd_per_million == Decimal("0.25")
    assert drafts.price.output_usd_per_million == 3
    assert drafts.price.source.startswith("models.toml over genai-prices ")
    assert drafts.dialect.reasoning_effort == "low"
    assert models.upstreams["eu"].entry.query == {"api-version": "2024-10-21"}
    assert called(models, "mine").price.source == "models.toml over free: upstream ollama"
    assert "key-of-eu" in models.secrets
    assert {"drafts", "mine", "smollm2-135m"} <= {each.name for each in models.listed()}


LIMITS: list[tuple[str, str, int | None]] = [
    ("openai", "gpt-5-mini", 128_000),
    ("openai", "gpt-5.2-chat-latest", 16_384),
    ("openai", "gpt-4o-mini", 16_384),
    ("openai", "gpt-4o-2024-05-13", 4_096),
    ("openai", "gpt-4.1-nano", 32_768),
    ("openai", "o4-mini", 100_000),
    ("openai", "o1-mini", 65_536),
    ("anthropic", "claude-3-5-haiku-latest", 8_192),
    ("anthropic", "claude-opus-4-1", 32_000),
    ("anthropic", "claude-opus-4-5-20251101", 64_000),
    ("anthropic", "claude-sonnet-4-6", 128_000),
    ("openrouter", "anthropic/claude-opus-4.6", 128_000),
    ("gemini", "gemini-2.5-flash", 65_535),
    ("openai", "gpt-6-luna", 128_000),
    ("anthropic", "claude-opus-5-5", 128_000),
    ("gemini", "gemini-4-argon", 32_768),
    ("deepseek", "deepseek-chat", 8_192),
    ("deepseek", "deepseek-flash", 384_000),
    ("vllm", "deepseek-chat", None),
    ("xai", "grok-4.5", None),
    ("openai", "gpt-9", None),
]


@pytest.mark.parametrize(("preset", "model", "tokens"), LIMITS)
def test_the_longest_answer_is_the_one_that_its_maker_publishes(
    preset: str, model: str, tokens: int | None
) -> None:
    assert longest_answer(preset, model, None) == tokens


def test_no_answer_is_longer_than_the_context() -> None:
    assert longest_answer("openai", "gpt-5", 40_000) == 40_000


def test_a_deployment_is_asked_and_bounded_as_the_model_that_it_is(tmp_path: Path) -> None:
    """Azure's deployments have names of the operator's own."""
    text = """
[upstreams.eu]
preset = "azure"
url = "https://eu.openai.azure.com/openai/v1"
key_env = "EU_KEY"
[models."ours"]
upstream = "eu"
upstream_model = "our-deployment"
catalogue = "gpt-5-mini"
[models."short"]
upstream = "eu"
upstream_model = "our-deployment"
catalogue = "gpt-5-mini"
max_output_tokens = 9000
"""
    models = table({"EU_KEY": "k"}, written(tmp_path, text))
    model = called(models, "ours")
    assert (model.upstream_model, model.max_output_tokens) == ("our-deployment", 128_000)
    assert model.dialect.limit == "max_completion_tokens"
    assert "temperature" in model.dialect.omit
    assert called(models, "short").max_output_tokens == 9_000


def test_every_mistake_of_a_models_file_is_named_at_once(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        [upstream.x]
        [upstreams.new]
        key_env = "sk-this is a key"
        [upstreams.other]
        url = "ftp://example"
        atuh = "bearer"
        [models.a]
        upstream = "nowhere"
        [models.b]
        input_usd_per_million = "?"
        outptu_usd_per_million = 1
        [models.c]
        dialect = { limit = "tokens", omitt = [] }
        [models.d]
        dialect = { omit = ["max_tokens"] }
        [models.e]
        dialect = { add = { service_tier = "priority" } }
        [models.f]
        dialect = { add = { day = 2026-01-01 } }
        """,
    )
    with pytest.raises(PriceError) as error:
        table({}, path)
    text = str(error.value)
    assert str(path) in text
    for each in (
        "[upstream]: this table is not known",
        "[upstreams.new] key_env: ",
        "[upstreams.other] url = 'ftp://example'",
        "[upstreams.other] atuh: this key is not known (known: auth,",
        "[models.\"a\"] upstream = 'nowhere': there is no such upstream",
        '[models."b"] outptu_usd_per_million: this key is not known',
        "[models.\"c\"] limit = 'tokens'",
        '[models."c"] dialect.omitt: this key is not known (known: ',
        "`max_tokens` can be neither omitted nor renamed",
        "`service_tier` cannot be added",
        "write values that JSON has",
    ):
        assert each in text, f"{each}\n{text}"


def test_an_entry_without_a_price_anywhere_is_a_mistake(tmp_path: Path) -> None:
    path = written(tmp_path, '[models."our-own"]\nupstream = "openai"\ninput_usd_per_million = 1\n')
    with pytest.raises(PriceError, match="output_usd_per_million: is missing"):
        table(OPENAI, path)


def test_embeddings_need_no_price_of_an_output_that_they_do_not_have(tmp_path: Path) -> None:
    entry = '[models."vectors"]\nupstream = "openai"\ninput_usd_per_million = 1\n'
    model = called(table(OPENAI, written(tmp_path, entry + 'kind = "embedding"\n')), "vectors")
    assert model.kind == "embedding"
    assert model.price.output_usd_per_million == 0


def test_the_nearest_names_are_proposed_and_no_price_is_made_up() -> None:
    text = table(OPENAI).why_not("gpt-5-mni").text
    assert "'gpt-5-mini'" in text
    assert "0.00" not in text
    assert "To call it, write a file, name it in GATEWAY_MODELS and start" in text
    assert "site-packages" not in text, "the next version replaces what is in the package"
    assert "prices.toml" not in text
    assert "Did you mean" not in table({}).why_not("zzzzzzzz").text


def test_a_whole_catalogue_is_listed_each_model_once() -> None:
    models = table({**OPENAI, "OPENROUTER_API_KEY": "k", "ANTHROPIC_API_KEY": "k"})
    names = [each.name for each in models.listed()]
    assert len(names) == len(set(names)) > 500
    assert {"gpt-5-mini", "claude-opus-4-8", "openrouter/openai/gpt-5-mini"} <= set(names)
    assert all(models.find(name) is not None for name in names[::25])


def test_a_known_host_at_upstream_url_has_its_provider_s_catalogue() -> None:
    model = called(table({}, upstream_url="https://api.openai.com/v1"), "gpt-5-mini")
    assert (model.upstream, model.dialect.limit) == ("default", "max_completion_tokens")


def test_every_preset_is_complete() -> None:
    for name, entry in presets().items():
        assert entry.preset == name
        assert entry.url or entry.url_env
        assert entry.key_env
        assert entry.free or entry.catalogue or name == "atxp"


UNREADABLE = {
    "a number of 5,000 digits": f"input_usd_per_million = {'9' * 5_000}",
    "500 levels": f"input_usd_per_million = {'[' * 500}{']' * 500}",
    "a text of 100 KB": f'input_usd_per_million = "{"x" * 100_000}"',
    "no TOML": "[",
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_nobody_can_read_is_an_error_of_a_bounded_length(tmp_path: Path, what: str) -> None:
    file = written(tmp_path, f'[models."m"]\n{UNREADABLE[what]}\n')
    with pytest.raises(PriceError) as wrong:
        table(OPENAI, file)
    assert len(str(wrong.value)) < 2_000


@pytest.mark.parametrize("line", ['key_env = "{}"', 'headers = ["{}"]', 'query = "{}"'])
def test_a_key_in_the_wrong_place_is_not_repeated(tmp_path: Path, line: str) -> None:
    key = "sk-of-somebody-0123456789"
    file = written(tmp_path, f'[upstreams.u]\nurl = "https://u.example/v1"\n{line.format(key)}\n')
    with pytest.raises(PriceError, match=line.partition(" ")[0]) as wrong:
        table(OPENAI, file)
    assert key not in str(wrong.value)


def test_a_password_in_an_address_is_a_secret_and_not_repeated(tmp_path: Path) -> None:
    models = table({}, upstream_url="https://me:S3%2FCRET@upstream.example/v1")
    assert models.secrets == ["S3/CRET"]
    file = written(tmp_path, '[upstreams.ours]\nurl = "ftp://me:S3CRET@upstream.example"')
    azure = {"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": "me:S3CRET@r"}
    with_query = "https://upstream.example/v1?key=S3CRET"
    for environment, models_file, url in (
        ({}, file, "local"), (azure, None, "local"), ({}, None, with_query)
    ):  # fmt: skip
        with pytest.raises((PriceError, ValidationError)) as caught:
            table(environment, models_file, url)
        error = caught.value
        text = describe_problems(error) if isinstance(error, ValidationError) else str(error)
        assert "***" in text
        assert "S3CRET" not in text


def test_a_password_and_a_key_are_not_sent_in_one_header(tmp_path: Path) -> None:
    """Each call would fail, as an error that nobody expects and that is tried again."""
    url = "https://me:S3CRET@upstream.example/v1"
    entry = f'[upstreams.ours]\nurl = "{url}"\nkey_env = "OUR_KEY"\n'
    with pytest.raises(PriceError, match=r"ours has a user name .* OUR_KEY: both"):
        table({"OUR_KEY": "sk-of-the-tests"}, written(tmp_path, entry))
    with pytest.raises(PriceError, match=r"headers\.Authorization: both"):
        table({}, written(tmp_path, f'{entry}headers = {{authorization = "Basic x"}}'))
    table({"OUR_KEY": "k"}, written(tmp_path, f'{entry}auth = "x-api-key"'))
    table({}, written(tmp_path, entry))
