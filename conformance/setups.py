"""`--setup DIR`: the configuration with which a gateway of a known kind can be checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from conformance.bench import Models

KEY_BUDGETS = Path(__file__).with_name("litellm_key_budgets.py.txt")
WITHOUT_DATABASE = """  custom_auth: key_budgets.user_api_key_auth
  custom_auth_run_common_checks: true
litellm_settings:
  enable_post_custom_auth_checks: true
"""


@dataclass(frozen=True)
class Setup:
    """`files` by name, and `words` for the person."""

    files: Mapping[str, str]
    words: str

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.files.items():
            (folder / name).write_text(text, encoding="utf-8")


def setup(kind: str, url: str, upstream_url: str, models: Models, folder: Path) -> Setup:
    if kind == "ours":
        return _ours(url, upstream_url, models, folder)
    if kind == "litellm":
        return _litellm(url, upstream_url, models, folder)
    return Setup({}, by_hand(upstream_url, models))


def by_hand(upstream_url: str, models: Models) -> str:
    """What any gateway needs, for the person who configures it."""
    lines = [
        f"Point the gateway at {upstream_url} (OpenAI-compatible, any API key), with these models:",
        f"  {models.priced}: {models.input_price} USD per million input tokens,"
        f" {models.output_price} per million output tokens",
    ]
    if models.unpriced:
        lines.append(f"  {models.unpriced}: without a price")
    return "\n".join(lines)


def _ours(url: str, upstream_url: str, models: Models, folder: Path) -> Setup:
    prices = f"""[models."{models.priced}"]
input_usd_per_million = {models.input_price}
output_usd_per_million = {models.output_price}
"""
    environment = f"""GATEWAY_PORT={urlsplit(url).port or 80}
GATEWAY_DATABASE={folder}/gateway.db
GATEWAY_PRICES={folder}/prices.toml
GATEWAY_PARENT_KEY=conformance-parent-key
GATEWAY_SECRET=conformance-secret-of-32-characters
UPSTREAM_URL={upstream_url}
"""
    words = f"""set -a; . {folder}/gateway.env; set +a
python -m conformance {url} --admin-key conformance-parent-key \\
    --start "python -m durable_agent_team.gateway\""""
    return Setup({"prices.toml": prices, "gateway.env": environment}, words)


def _litellm(url: str, upstream_url: str, models: Models, folder: Path) -> Setup:
    """https://docs.litellm.ai/docs/proxy/configs"""
    entries = [
        _litellm_model(
            models.priced,
            upstream_url,
            f"    model_info:\n"
            f"      input_cost_per_token: {models.input_price / 1_000_000:f}\n"
            f"      output_cost_per_token: {models.output_price / 1_000_000:f}\n",
        )
    ]
    if models.unpriced:
        entries.append(_litellm_model(models.unpriced, upstream_url, ""))
    models_part = "model_list:\n" + "".join(entries)
    general = "general_settings:\n  master_key: sk-conformance\n"
    port = urlsplit(url).port or 80
    command = f"python -m conformance {url} --gateway litellm --admin-key sk-conformance"
    words = f"""# With a database:
export DATABASE_URL=postgresql://USER:PASSWORD@HOST/DATABASE
{command} \\
    --start "litellm --config {folder}/config.yaml --port {port}"

# Without one: keys and books in memory, so that kills, and disabling a key, cannot be checked
litellm --config {folder}/without-database.yaml --port {port} &
{command} --books-delay 1 \\
    --skip unknown-key --skip disabled-key"""
    files = {
        "config.yaml": models_part + general,
        "without-database.yaml": models_part + general + WITHOUT_DATABASE,
        "key_budgets.py": KEY_BUDGETS.read_text(encoding="utf-8"),
    }
    return Setup(files, words)


def _litellm_model(name: str, upstream_url: str, info: str) -> str:
    return f"""  - model_name: {name}
    litellm_params:
      model: openai/{name}
      api_base: {upstream_url}
      api_key: none
{info}"""
