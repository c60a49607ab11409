"""Upstreams that the package knows: `presets.toml`."""

import tomllib
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from durable_agent_team.gateway.models.upstream_entry import UpstreamEntry

PRESETS_FILE = Path(__file__).with_name("presets.toml")


@cache
def presets() -> dict[str, UpstreamEntry]:
    """By name, in the order in which a bare name of a model is looked up."""
    data = tomllib.loads(PRESETS_FILE.read_text())["upstreams"]
    return {
        name: UpstreamEntry.model_validate({"preset": name, **each}) for name, each in data.items()
    }


def preset_of_url(url: str) -> str | None:
    """The preset whose host a URL has."""
    host = urlsplit(url).hostname
    for name, entry in presets().items():
        if entry.url is not None and urlsplit(entry.url).hostname == host:
            return name
    return None
