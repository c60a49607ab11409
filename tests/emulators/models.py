"""The models file that puts one gateway in front of all emulated providers."""

from pathlib import Path

from tests.emulators.server import KEY

GATEWAY_KEYS = {"EMULATED_KEY": KEY}
MODELS = {
    "openai-reasoning": ("openai", "gpt-6-luna"),
    "openai": ("openai", "gpt-4o-mini"),
    "anthropic": ("anthropic", "claude-opus-4-8"),
    "gemini": ("gemini", "gemini-2.5-flash"),
    "deepseek": ("deepseek", "deepseek-flash"),
    "xai": ("xai", "grok-4.5"),
    "mistral": ("mistral", "mistral-large-2512"),
    "openrouter": ("openrouter", "meta-llama/llama-3.3-70b-instruct"),
    "azure": ("azure", "gpt-5-mini"),
    "ollama": ("ollama", "llama3.2"),
}
"""By the emulator's name: the preset, and a model of the catalogue."""


def model_of(provider: str) -> str:
    return f"on-{provider}/{MODELS[provider][1]}"


def write_models_file(folder: Path, url: str) -> Path:
    lines = []
    for name, (preset, _) in MODELS.items():
        path = "/azure/deployments/{model}" if name == "azure" else f"/{name}"
        lines += [
            f"[upstreams.on-{name}]",
            f'preset = "{preset}"',
            f'url = "{url}{path}"',
            'key_env = "EMULATED_KEY"',
            'speaks = "chat"',
        ]
        if name == "anthropic":  # the compatible endpoint; Messages have an emulator of their own
            lines.append('auth = "bearer"')
        if name == "azure":
            lines.append('query = { api-version = "2024-10-21" }')
    file = folder / "models.toml"
    file.write_text("\n".join(lines) + "\n")
    return file
