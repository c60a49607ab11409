"""Settings, read once at the composition root: what a client needs, and what a worker needs.

Sources, each overriding the ones before: defaults, the local stack's `.data/local.env`, `.env`, the
environment. The local stack's values apply only while it is up, and only if no other setting
points elsewhere (`stack_values`).
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import Field, FilePath, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from durable_agent_team.contracts.plan import Problem
from durable_agent_team.process.extras import MissingExtra, install_command, require
from durable_agent_team.process.project_root import IS_CHECKOUT, PROJECT_ROOT, START_STACK
from durable_agent_team.process.setting_types import (
    ALL_SDK_PATCHES,
    Address,
    ExternalStorage,
    Key,
    KeyedUrl,
    SdkPatches,
    SealingKey,
)
from durable_agent_team.process.stack_state import (
    LOCAL_ENV,
    data_dir,
    read_running,
    read_state,
)
from durable_agent_team.providers.certificates import certificate_problems
from durable_agent_team.providers.otel_variables import forget_unused, is_enabled, otel_problems
from durable_agent_team.providers.proxies import proxy_problems
from durable_agent_team.providers.url_secrets import without_url_secrets
from durable_agent_team.rules.pydantic_messages import explain_error, shown

MAKE_SEALING_KEY = (
    'python3 -c "import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())"'
)


class SettingsError(Exception):
    """Lists every missing or invalid setting; never contains the value of a secret."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(f"  {problem}" for problem in problems))
        self.problems = tuple(problems)


class StackNotUp(Exception):
    """Nothing that is set points elsewhere, so the local stack is meant, and it is not up.

    The text says whether it is down or still starting, and what to do.
    """


class ClientSettings(BaseSettings):
    """What `starter.py` needs: where Temporal is, and where to read prices."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)
    decides: ClassVar[tuple[str, ...]] = ("TEMPORAL_ADDRESS", "ATXP_API_URL", "ATXP_LLM_URL")
    """If one of these points elsewhere, nothing is taken from the local stack."""

    temporal_address: Address = Field("127.0.0.1:7233", description="HOST:PORT of Temporal.")
    temporal_namespace: str = Field("default", min_length=1, description="Temporal's namespace.")
    temporal_api_key: Key | None = Field(None, description="An API key; switches TLS on.")
    temporal_tls: bool | None = Field(
        None, description="true or false; left out: on with an API key or certificate."
    )
    temporal_tls_ca_file: FilePath | None = Field(None, description="CA certificate, PEM.")
    temporal_tls_cert_file: FilePath | None = Field(None, description="Client certificate, PEM.")
    temporal_tls_key_file: FilePath | None = Field(
        None, validate_default=True, description="Client key, PEM."
    )
    atxp_llm_url: KeyedUrl = Field(
        "https://llm.atxp.ai/v1", description="OpenAI-compatible endpoint of the agents."
    )
    default_model: str | None = Field(
        None, min_length=1, max_length=200, description="For agents that name no model."
    )
    atxp_api_url: KeyedUrl = Field("https://api.atxp.ai/v1", description="ATXP's account API.")
    atxp_api_key: Key | None = Field(None, description="The parent key.")
    external_storage: ExternalStorage = Field(
        "none",
        description="Where large texts are: none, gateway (its parent key is ATXP_API_KEY),"
        " file:///FOLDER, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX.",
    )
    external_storage_threshold_bytes: int = Field(
        5_000, ge=1_024, le=100_000, description="Payloads from this size on go there."
    )
    sdk_patches: SdkPatches = Field(
        ALL_SDK_PATCHES,
        description="Patches of Temporal's SDK: all, none, or a comma-separated list of names.",
    )

    @field_validator("temporal_tls_key_file")
    @classmethod
    def _pair(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        certificate = info.data.get("temporal_tls_cert_file", key)  # absent if it is invalid
        if (key is None) != (certificate is None):
            raise ValueError("and TEMPORAL_TLS_CERT_FILE belong together: set both or none")
        return key


class WorkerSettings(ClientSettings):
    """What `worker.py` needs in addition: accounts, the sealing key, and its limits."""

    decides: ClassVar[tuple[str, ...]] = (*ClientSettings.decides, "ATXP_API_KEY")

    atxp_api_key: Key = Field(description="The parent key; opens accounts.")
    sealing_key: SealingKey = Field(
        description=f"32 bytes, base64url: seals agents' keys. Make one: {MAKE_SEALING_KEY}"
    )
    workflow_sandbox: bool = Field(
        True, description="Temporal's workflow sandbox; off: workflow code is not restricted."
    )
    max_concurrent_calls: int = Field(
        600, ge=1, le=10_000, description="Activities that run at once in this worker."
    )
    max_cached_runs: int = Field(
        1_000,
        ge=1,
        le=100_000,
        description="Runs kept in memory, about 0.2 MB each; a waiting run is evicted.",
    )
    graceful_shutdown_seconds: float = Field(
        30, ge=0, le=3600, description="How long calls in flight may continue after SIGTERM."
    )
    notify_private_addresses: bool = Field(
        False, description="Whether a team's notify_url may be a private or loopback address."
    )
    a2a_private_addresses: bool = Field(
        True, description="Whether a remote agent's address may be a private or loopback one."
    )
    program_environments: Path = Field(
        Path(".data/environments"),
        description="Directory for the Python environments of agents that are programs.",
    )
    log_format: Literal["json", "text"] | None = Field(
        None, description="json or text; left out: text on a terminal, json elsewhere."
    )


T = TypeVar("T", bound=BaseSettings)


def client_settings() -> ClientSettings:
    """Raises `SettingsError` with every problem, and `StackNotUp`."""
    settings = load(ClientSettings)
    require_meant_stack(ClientSettings.decides)
    return settings


def worker_settings() -> WorkerSettings:
    """Raises `SettingsError` with every problem."""
    return load(WorkerSettings)


def load(kind: type[T], root: Path = PROJECT_ROOT) -> T:
    """Settings of one kind from the stack that is up, `.env` in the root, and the environment."""
    chosen = given_values(root)
    for name, value in chosen.items():
        if name.startswith("OTEL_"):  # the exporters read only the environment
            os.environ.setdefault(name, value)
    forget_unused(os.environ)
    stack = stack_values(chosen, getattr(kind, "decides", ()), root)
    return made_of({**_stacks_address(chosen), **stack, **chosen}, kind)


def require_meant_stack(decides: tuple[str, ...], root: Path = PROJECT_ROOT) -> None:
    """Raises `StackNotUp` where the local stack is meant and not up: another Temporal may listen at
    the default port, and the default provider is a public one."""
    chosen = given_values(root)
    if any(name in chosen for name in decides):
        return
    folder = data_dir(chosen, root)
    if read_running(folder) is not None:
        return
    known = read_state(folder)
    if known is not None and known.supervisor.alive():
        raise StackNotUp(
            f"the local stack in {folder} is still starting: wait until `{START_STACK}` says that"
            " it is ready"
        )
    elsewhere = "" if IS_CHECKOUT else " set DATA_DIR to the folder of one that runs elsewhere,"
    raise StackNotUp(
        f"the local stack in {folder} is not running: start it with `{START_STACK}`,{elsewhere} or"
        " set TEMPORAL_ADDRESS and ATXP_LLM_URL to the services that you mean"
    )


def _stacks_address(chosen: Mapping[str, str]) -> dict[str, str]:
    """Where the local stack would be if it were up, rather than the default port, which another
    Temporal may use."""
    port = chosen.get("TEMPORAL_PORT", "")
    known = port.isascii() and port.isdigit() and int(port) > 0
    return {"TEMPORAL_ADDRESS": f"127.0.0.1:{port}"} if known else {}


def made_of(values: Mapping[str, str], kind: type[T]) -> T:
    """Settings of one kind from their values by name. Raises `SettingsError` with every problem."""
    known = {name: values[name.upper()] for name in kind.model_fields if name.upper() in values}
    wrong = [
        Problem(field=name, value=shown(part) if part else "", what=what, remedy=remedy)
        for name, part, what, remedy in (
            *proxy_problems(os.environ),
            *certificate_problems(os.environ),
            *otel_problems(os.environ),
        )
    ]
    if is_enabled(os.environ):
        wrong += _telemetry_packages()
    try:
        settings = kind(_env_file=None, **known)  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = [*(_problem(kind, line) for line in _of_fields(error.errors())), *wrong]
        raise SettingsError(wrong) from None
    if wrong:
        raise SettingsError(wrong)
    return settings


def _of_fields(errors: list[ErrorDetails]) -> Iterator[ErrorDetails]:
    """One of each setting: of one that may be a word or a URL, pydantic has one for either."""
    last = {error["loc"][:1]: error for error in errors}
    yield from last.values()


def _telemetry_packages() -> list[Problem]:
    try:
        require("telemetry")
    except MissingExtra as error:
        return [
            Problem(
                field="OTEL_*",
                what=f"telemetry is wanted, and {', '.join(error.missing)} cannot be imported",
                remedy=f"run `{install_command('telemetry')}`, or set OTEL_SDK_DISABLED=true",
            )
        ]
    return []


def given_values(root: Path = PROJECT_ROOT) -> dict[str, str]:
    """What the user set: `.env`, overridden by the environment. Empty values count as not set."""
    chosen = {**_env_file(root / ".env"), **os.environ}
    return {name.upper(): value for name, value in chosen.items() if value}


def env_file_names(root: Path = PROJECT_ROOT) -> list[str]:
    """The names that `.env` gives a value, as they are written."""
    return [name for name, value in _env_file(root / ".env").items() if value]


def _env_file(path: Path) -> dict[str, str | None]:
    """Empty if the file does not exist. Raises `SettingsError` if it cannot be read."""
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8") as file:
            bad = [each.original.line for each in parse_stream(file) if each.error]
        if not bad:
            return dotenv_values(path)
    except UnicodeDecodeError as error:
        what, remedy = f"is not UTF-8 text (byte {error.start})", "save it as plain text in UTF-8"
    except OSError as error:
        what, remedy = f"cannot be read ({error.strerror})", "make it readable for you: chmod u+r"
    else:
        what, remedy = "is not NAME=VALUE", "write one setting a line, and close its quotes"
        raise SettingsError(
            [Problem(field=f"{path}:{line}", what=what, remedy=remedy) for line in bad]
        )
    raise SettingsError([Problem(field=str(path), what=what, remedy=remedy)])


def stack_values(
    chosen: Mapping[str, str], decides: tuple[str, ...], root: Path = PROJECT_ROOT
) -> dict[str, str]:
    """The local stack's values, if it is up and nothing that the user set points elsewhere."""
    folder = data_dir(chosen, root)
    if not decides or read_running(folder) is None:
        return {}
    local = {k: v for k, v in dotenv_values(folder / LOCAL_ENV).items() if v}
    for name in decides:
        if name in chosen and _same(chosen[name]) != _same(local.get(name, "")):
            return {}
    return local


def _same(value: str) -> str:
    return value.rstrip("/").replace("localhost", "127.0.0.1")


def _problem(kind: type[BaseSettings], line: Any) -> Problem:
    """One of pydantic's errors, with the setting's name, a remedy, and its value unless secret."""
    name = str(line["loc"][0]) if line["loc"] else ""
    field = kind.model_fields.get(name)
    meaning = (field.description or "") if field else ""
    if line["type"] == "missing":
        remedy = f"set {name.upper()} in .env or the environment: {meaning}"
        return Problem(field=name.upper(), what="is not set", remedy=remedy)
    what, better = explain_error(line)
    hidden = line["input"] is None or "Secret" in str(field and field.annotation)
    value = "" if hidden else shown(without_url_secrets(str(line["input"])))
    remedy = f"{better or 'correct it'}, in .env or the environment: {meaning.rstrip('.')}"
    return Problem(field=name.upper(), value=value, what=what, remedy=remedy)
