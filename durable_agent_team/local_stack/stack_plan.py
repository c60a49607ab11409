"""Plans the local stack: its settings, ports and secrets, and the command line of each part."""

import base64
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dotenv import dotenv_values
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from durable_agent_team.contracts import names
from durable_agent_team.contracts.plan import Problem
from durable_agent_team.local_stack.disk_space import require_room
from durable_agent_team.process.extras import MissingExtra, install_command, require
from durable_agent_team.process.project_root import IS_CHECKOUT, PROJECT_ROOT, WORKER_SCRIPT
from durable_agent_team.process.setting_types import Url
from durable_agent_team.process.settings import (
    SettingsError,
    WorkerSettings,
    given_values,
    load,
    made_of,
)
from durable_agent_team.process.stack_state import LOCAL_ENV, data_dir

HOST = "127.0.0.1"
SQLITE_PRAGMAS = (
    "journal_mode=wal",
    "synchronous=1",
    "cache_size=-65536",  # 64 MB instead of 2
    "temp_store=2",  # in memory
    "mmap_size=268435456",
    "wal_autocheckpoint=4000",  # pages: a checkpoint every 16 MB instead of 4
)
"""For the local Temporal server's database."""
LOCAL_MODEL = "smollm2-135m"
Upstream = Literal["local"] | Url
_INSTALL = f"run `{'make install' if IS_CHECKOUT else install_command('local')}`"


class StackSettings(BaseSettings):
    """The settings of `make up`. Port 0 means any free port."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    data_dir: str = Field(".data", description="Folder of the local stack, beside the project.")
    temporal_port: int = Field(7233, ge=0, le=65535, description="Port of the local Temporal.")
    temporal_ui_port: int = Field(8233, ge=0, le=65535, description="Port of Temporal's UI.")
    gateway_port: int = Field(8402, ge=0, le=65535, description="Port of the local gateway.")
    upstream_url: Upstream = Field(
        "local", description="OpenAI-compatible endpoint behind the gateway, or `local`: bundled."
    )
    default_model: str | None = Field(
        None, min_length=1, max_length=200, description="For agents that name no model."
    )


@dataclass(frozen=True)
class Part:
    """One process of the stack: its command line and environment, and its time to stop."""

    name: str
    command: tuple[str, ...]
    env: dict[str, str]
    stop_seconds: float
    gets_provider_keys: bool = False
    directory: Path = PROJECT_ROOT
    """Where it is started."""


@dataclass(frozen=True)
class StackPlan:
    """Everything that is decided before the first process starts."""

    folder: Path
    temporal_port: int
    ui_port: int
    gateway_port: int
    parts: tuple[Part, ...]
    default_model: str | None = None

    @property
    def temporal_address(self) -> str:
        return f"{HOST}:{self.temporal_port}"

    @property
    def ui_url(self) -> str:
        return f"http://{HOST}:{self.ui_port}"

    @property
    def gateway_url(self) -> str:
        return f"http://{HOST}:{self.gateway_port}"


def stack_settings() -> StackSettings:
    """Raises `SettingsError` with every problem."""
    return load(StackSettings)


def make_plan(settings: StackSettings) -> StackPlan:
    """Chooses ports, creates or keeps the secrets, writes `local.env`. Raises `SettingsError`."""
    _require_packages()
    folder = data_dir({"DATA_DIR": settings.data_dir}, PROJECT_ROOT)
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    require_room(folder)
    ports = _ports(settings)
    secret = _secrets(folder)
    url = f"http://{HOST}:{ports['GATEWAY_PORT']}"
    local = {
        "TEMPORAL_ADDRESS": f"{HOST}:{ports['TEMPORAL_PORT']}",
        "TEMPORAL_NAMESPACE": "default",
        "ATXP_API_URL": f"{url}/v1",
        "ATXP_LLM_URL": f"{url}/v1",
        "EXTERNAL_STORAGE": "gateway",
        **secret,
    }
    model = settings.default_model or (LOCAL_MODEL if settings.upstream_url == "local" else None)
    if model:
        local["DEFAULT_MODEL"] = model
    made_of({**given_values(), **local}, WorkerSettings)  # before anything is started
    write_private(folder / LOCAL_ENV, local)
    return StackPlan(
        folder=folder,
        temporal_port=ports["TEMPORAL_PORT"],
        ui_port=ports["TEMPORAL_UI_PORT"],
        gateway_port=ports["GATEWAY_PORT"],
        default_model=model,
        parts=(
            _temporal(folder, ports),
            _gateway(folder, ports["GATEWAY_PORT"], secret, settings.upstream_url),
            _worker(folder, local),
        ),
    )


def _require_packages() -> None:
    try:
        require("local")
    except MissingExtra as error:
        packages = ", ".join(error.missing)
        raise SettingsError(
            [Problem(field="packages", value=packages, what="not installed", remedy=_INSTALL)]
        ) from None


def _ports(settings: StackSettings) -> dict[str, int]:
    """The three ports. Raises `SettingsError` with every taken port and its setting."""
    chosen: dict[str, int] = {}
    problems = []
    open_sockets = []
    for name in ("TEMPORAL_PORT", "TEMPORAL_UI_PORT", "GATEWAY_PORT"):
        wanted = getattr(settings, name.lower())
        if wanted in chosen.values():
            twin = next(other for other, port in chosen.items() if port == wanted)
            remedy = f"set {name} to another port (0: any free one)"
            what = f"this is {twin} already"
            problems.append(Problem(field=name, value=str(wanted), what=what, remedy=remedy))
            continue
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, wanted))
            chosen[name] = listener.getsockname()[1]
        except OSError as error:
            problems.append(
                Problem(
                    field=name,
                    value=str(wanted),
                    what=f"this port of {HOST} cannot be used ({error.strerror})",
                    remedy=f"end what uses it, or set {name} to another port (0: any free one)",
                )
            )
        open_sockets.append(listener)
    for listener in open_sockets:
        listener.close()
    if problems:
        raise SettingsError(problems)
    return chosen


def _secrets(folder: Path) -> dict[str, str]:
    """Creates secrets once and keeps them. A SEALING_KEY that the user set takes precedence."""
    kept = dotenv_values(folder / LOCAL_ENV)
    made = {
        "ATXP_API_KEY": "local-parent-" + secrets.token_urlsafe(24),
        "GATEWAY_SECRET": secrets.token_urlsafe(48),
        "SEALING_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    }
    values = {name: kept.get(name) or fresh for name, fresh in made.items()}
    values["SEALING_KEY"] = given_values().get("SEALING_KEY") or values["SEALING_KEY"]
    return values


def write_private(path: Path, values: Mapping[str, str]) -> None:
    """Writes an env file that only its owner can read, from the first byte on."""
    lines = ["# Written by the local stack and read by commands that use it. Keep it private."]
    lines += [f"{name}={value}" for name, value in values.items()]
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(lines) + "\n")
    fresh.replace(path)


def _temporal(folder: Path, ports: Mapping[str, int]) -> Part:
    binary = shutil.which("temporal", path=str(Path(sys.executable).parent)) or shutil.which(
        "temporal"
    )
    if binary is None:
        problem = Problem(
            field="temporal", what="the Temporal CLI is not installed", remedy=_INSTALL
        )
        raise SettingsError([problem])
    command = [binary, "server", "start-dev", "--ip", HOST, "--log-level", "warn"]
    command += ["--port", str(ports["TEMPORAL_PORT"])]
    command += ["--ui-port", str(ports["TEMPORAL_UI_PORT"]), "--ui-disable-news-fetch"]
    # Without its folder, whose name may have a `#` or `?`: Temporal reads this as part of a URL.
    command += ["--db-filename", "temporal.db"]
    # Measured: without the first, a task waits up to 50 ms; the others reduce 651 to 373 ms.
    command += ["--dynamic-config-value", "history.transferProcessorMaxPollRPS=5000"]
    # Measured: without it, a timer of 50 ms takes a second, for the clocks of several hosts.
    command += ["--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"']
    for pragma in SQLITE_PRAGMAS:
        command += ["--sqlite-pragma", pragma]
    for name, kind in (
        (names.ATTRIBUTE_TEAM, "Keyword"),
        (names.ATTRIBUTE_STATUS, "Keyword"),
        (names.ATTRIBUTE_SPENT, "Double"),
    ):
        command += ["--search-attribute", f"{name}={kind}"]
    return Part("temporal", tuple(command), {}, stop_seconds=5, directory=folder)


def _gateway(folder: Path, port: int, secret: Mapping[str, str], upstream: str) -> Part:
    env = {
        "GATEWAY_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "GATEWAY_DATABASE": str(folder / "gateway.db"),
        "GATEWAY_PARENT_KEY": secret["ATXP_API_KEY"],
        "GATEWAY_SECRET": secret["GATEWAY_SECRET"],
        "GATEWAY_SHUTDOWN_SECONDS": "4",
        "UPSTREAM_URL": upstream,
    }
    command = (sys.executable, "-m", "durable_agent_team.gateway")
    return Part("gateway", command, env, stop_seconds=6, gets_provider_keys=True)


def _worker(folder: Path, local: Mapping[str, str]) -> Part:
    env = {
        **{name: value for name, value in local.items() if name != "GATEWAY_SECRET"},
        "DATA_DIR": str(folder),
        # A stopping stack takes no more calls; the gateway finishes those in flight.
        "GRACEFUL_SHUTDOWN_SECONDS": "3",
    }
    command = (sys.executable, str(WORKER_SCRIPT))
    return Part("worker", command, env, stop_seconds=6)
