"""The optional dependencies of the package, checked before a part starts that needs them."""

import sys
from importlib.util import find_spec
from typing import Final

_TELEMETRY: Final = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
_EVENT_LOOP: Final = () if sys.platform == "win32" else ("uvloop",)
_GATEWAY: Final = (*_TELEMETRY, *_EVENT_LOOP, "aiohttp", "httpx_aiohttp")
_WORKER: Final = (*_GATEWAY, "cryptography")

MODULES: Final = {
    "telemetry": _TELEMETRY,
    "gateway": _GATEWAY,
    "worker": _WORKER,
    "local": _WORKER,
    "mcp": ("mcp.server.mcpserver", "uvicorn"),
}
"""For each extra of pyproject.toml, the modules that must be importable. The local stack finds out
itself whether the Temporal server and the small model are there: both can come from elsewhere."""


class MissingExtra(Exception):
    """A part cannot run with what is installed. The text names the extra to install."""

    def __init__(self, extra: str, missing: list[str]) -> None:
        super().__init__(f"not installed: {', '.join(missing)}; run `{install_command(extra)}`")
        self.missing = tuple(missing)


def install_command(extra: str) -> str:
    return f"pip install 'durable-agent-team[{extra}]'"


def require(extra: str) -> None:
    """Raises `MissingExtra` unless everything that the extra installs can be imported."""
    missing = [name for name in MODULES[extra] if not _is_installed(name)]
    if missing:
        raise MissingExtra(extra, missing)


def _is_installed(name: str) -> bool:
    """Looks for the module without importing it; its parent packages are imported."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # a parent package is missing
        return False
