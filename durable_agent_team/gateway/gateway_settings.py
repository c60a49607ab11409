"""Settings, read once from `.env` and the environment. All problems are reported together."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from durable_agent_team.gateway.calls.time_limit import TimeLimits
from durable_agent_team.gateway.keys import Scrubber
from durable_agent_team.gateway.models.model_table import ModelTable
from durable_agent_team.gateway.models.models_file import ModelsFile
from durable_agent_team.gateway.models.price_file import DEFAULT_PRICE_FILE, Prices
from durable_agent_team.gateway.models.upstreams import (
    bundled_model_installed,
    default_upstream,
    find_upstreams,
)
from durable_agent_team.providers.url_secrets import without_url_secrets

LOCAL = "local"
MAX_CALL_SECONDS = 3600.0


class GatewaySettings(BaseSettings):
    """One field for each variable: `gateway_port` is `GATEWAY_PORT`."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore")

    gateway_host: str = "127.0.0.1"
    gateway_port: int = Field(8402, ge=0, le=65535)
    gateway_database: Path = Path(".data/gateway.db")
    gateway_parent_key: SecretStr = Field(min_length=16)
    gateway_secret: SecretStr = Field(min_length=32)
    gateway_prices: Path = DEFAULT_PRICE_FILE
    gateway_models: Path | None = None
    """Upstreams and models beyond the presets: see docs/models.md."""
    gateway_lease_seconds: float = Field(0, ge=0)
    """How long a call can hold its reservation; 0 means the upstream's timeout plus a minute. A
    call that may take longer than that timeout holds it longer by the difference."""
    gateway_max_call_seconds: float = Field(0, ge=0)
    """The longest time that a call can ask for. 0 means `upstream_timeout_seconds` if that was set,
    otherwise an hour."""
    gateway_max_body_bytes: int = Field(4 * 1024 * 1024, ge=1024)
    gateway_request_seconds: float = Field(30, gt=0)
    """How long a request can take to arrive: its line and headers, then its body."""
    gateway_idle_seconds: float = Field(75, gt=0)
    """How long a connection without a request stays open."""
    gateway_max_answer_bytes: int = Field(4 * 1024 * 1024, ge=1024)
    """The largest answer that is not streamed. It is parsed as a whole."""
    gateway_max_stream_bytes: int = Field(64 * 1024 * 1024, ge=1024)
    """The size at which a streamed answer is cut off, which also bounds its memory."""
    gateway_max_blob_bytes: int = Field(32 * 1024 * 1024, ge=1024)
    """The largest text or payload of a run that is stored."""
    gateway_blob_storage_bytes: int = Field(10 * 1024**3, ge=1024)
    """The most that all of them may take together, in a file next to the database."""
    gateway_blob_days: float = Field(90, gt=0)
    """How long after its last use one is kept."""
    gateway_shutdown_seconds: float = Field(30, ge=0)
    """How long calls in flight can take to finish after SIGTERM."""
    upstream_url: str = LOCAL
    upstream_api_key: SecretStr = SecretStr("")
    upstream_timeout_seconds: float = Field(120, gt=0)
    """How long a call that asks for no time of its own can take."""
    upstream_circuit_failures: int = Field(5, ge=0, le=1_000)
    """After this many failures in a row, the upstream is left alone for a while; 0: never."""
    log_format: Literal["json", "text"] | None = None
    """If not set: text on a terminal, JSON lines otherwise."""

    def scrubber(self, *upstream_keys: str) -> Scrubber:
        """Removes this gateway's keys, those of its upstreams, and agents' keys, from a text."""
        secrets = (self.gateway_parent_key, self.gateway_secret, self.upstream_api_key)
        return Scrubber(*(secret.get_secret_value() for secret in secrets), *upstream_keys)

    def models(self, environment: Mapping[str, str]) -> ModelTable:
        """Every model that can be called; `environment` holds the upstreams' keys. Raises
        PriceError."""
        file = ModelsFile.load(self.gateway_models) if self.gateway_models else None
        prices = Prices.load(self.gateway_prices)
        key = self.upstream_api_key.get_secret_value()
        upstreams = find_upstreams(environment, file, self.upstream_url, key)
        if "upstream_url" not in self.model_fields_set and not bundled_model_installed():
            others = [each for each in upstreams.values() if each.name != LOCAL]
            if any(each.missing is None for each in others):
                del upstreams[LOCAL]
        table = ModelTable(prices, upstreams, default_upstream(self.upstream_url), file)
        table.check()
        return table

    @field_validator("upstream_url")
    @classmethod
    def _check_upstream_url(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # the port is not a number
            good = None
        if value != LOCAL and (not good or any(each.isspace() for each in value)):
            raise ValueError("must be `local` or a base URL such as https://api.openai.com/v1")
        if "?" in value or "#" in value:
            raise ValueError("must not contain a query or a fragment: paths are added to it")
        return value.rstrip("/")

    @field_validator("gateway_parent_key", "gateway_secret", "upstream_api_key")
    @classmethod
    def _check_key(cls, value: SecretStr) -> SecretStr:
        secret = value.get_secret_value()
        if not secret.isascii() or any(c.isspace() or not c.isprintable() for c in secret):
            raise ValueError("must be printable ASCII without spaces")
        return value

    @model_validator(mode="after")
    def _set_and_check_time(self) -> Self:
        given = "upstream_timeout_seconds" in self.model_fields_set
        if self.gateway_max_call_seconds == 0:
            self.gateway_max_call_seconds = (
                self.upstream_timeout_seconds if given else MAX_CALL_SECONDS
            )
        if self.gateway_max_call_seconds < self.upstream_timeout_seconds:
            if given:
                raise ValueError(
                    f"GATEWAY_MAX_CALL_SECONDS ({self.gateway_max_call_seconds:g}) must not be"
                    f" below UPSTREAM_TIMEOUT_SECONDS ({self.upstream_timeout_seconds:g}), which"
                    " every call gets"
                )
            self.upstream_timeout_seconds = self.gateway_max_call_seconds
        return self

    @model_validator(mode="after")
    def _set_and_check_lease(self) -> Self:
        if self.gateway_lease_seconds == 0:
            self.gateway_lease_seconds = self.upstream_timeout_seconds + 60
        if self.gateway_lease_seconds <= self.upstream_timeout_seconds:
            raise ValueError(
                f"GATEWAY_LEASE_SECONDS ({self.gateway_lease_seconds:g}) must exceed"
                f" UPSTREAM_TIMEOUT_SECONDS ({self.upstream_timeout_seconds:g}), or calls lose"
                " their reservation while they run"
            )
        return self

    def time_limits(self) -> TimeLimits:
        """How long calls can take, and hold their reservations."""
        return TimeLimits(
            self.upstream_timeout_seconds,
            self.gateway_max_call_seconds,
            self.gateway_lease_seconds - self.upstream_timeout_seconds,
        )


def upstream_environment(env_file: Path = Path(".env")) -> dict[str, str]:
    """`.env` and the environment, which overrides it: where the upstreams' keys are."""
    written = dotenv_values(env_file) if env_file.is_file() else {}
    found = {**written, **os.environ}
    return {name: value.strip() for name, value in found.items() if value and value.strip()}


REMEDIES = {
    "GATEWAY_PARENT_KEY": "the key that opens accounts: 16 characters or more, kept secret",
    "GATEWAY_SECRET": "32 random characters or more; `openssl rand -hex 32` makes some",
}
SECRETS = {"GATEWAY_PARENT_KEY", "GATEWAY_SECRET", "UPSTREAM_API_KEY"}


def _problem_text(problem: Any) -> str:
    """Pydantic's message; its text for `too_short` would speak of items after validation."""
    if problem["type"] == "too_short":
        return f"is too short: {problem['ctx']['actual_length']} characters"
    return str(problem["msg"]).removeprefix("Value error, ")


def describe_problems(error: ValidationError) -> str:
    """One line for each problem: the variable, its value unless it is secret, and what to do."""
    lines = ["The gateway's settings are wrong:"]
    for problem in error.errors(include_url=False):
        name = ".".join(str(part) for part in problem["loc"]).upper()
        message = _problem_text(problem)
        given = without_url_secrets(str(problem["input"]))
        value = "" if name in SECRETS or not name else f" (got {given!r})"
        if problem["type"] == "missing":
            message, value = "is not set", ""
        remedy = f": {REMEDIES[name]}" if name in REMEDIES else ""
        lines.append(f"  {name} {message}{value}{remedy}" if name else f"  {message}")
    return "\n".join(lines)
