"""The agent card: where a remote agent listens, and in which form of the protocol. Pure.

A2A 1.0, section 4.4 (`supportedInterfaces`); A2A 0.3, section 5.5 (`url`, `preferredTransport`,
`additionalInterfaces`, `protocolVersion`). Some servers give both forms in one card.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urljoin, urlsplit, urlunsplit

from activities.programs.remote.remote_errors import RemoteFailed

CARD_PATHS: Final = ("/.well-known/agent-card.json", "/.well-known/agent.json")
"""Since 0.3.0, and before."""

Version = Literal["1.0", "0.3"]
Binding = Literal["JSONRPC", "HTTP+JSON"]

PREFERENCE: Final[tuple[tuple[Binding, Version], ...]] = (
    ("JSONRPC", "1.0"),
    ("JSONRPC", "0.3"),
    ("HTTP+JSON", "1.0"),
    ("HTTP+JSON", "0.3"),
)


@dataclass(frozen=True, slots=True)
class Interface:
    """One way to call the agent."""

    url: str
    binding: Binding
    version: Version
    tenant: str = ""
    takes_json: bool = False
    """Whether a message may have data parts."""


def card_urls(address: str) -> tuple[str, ...]:
    """Where the card may be: at the address itself if it ends in `.json`, else below it.

    >>> card_urls("https://example.com/agents/crew")[0]
    'https://example.com/agents/crew/.well-known/agent-card.json'

    Raises `RemoteFailed`.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        raise RemoteFailed("its address is not an HTTP URL", permanent=True) from None
    if parts.path.endswith(".json"):
        return (address,)
    base = parts.path.rstrip("/")
    return tuple(urlunsplit(parts._replace(path=base + path, fragment="")) for path in CARD_PATHS)


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what may see the same headers. Raises ValueError for a bad port."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, (parts.hostname or "").rstrip("."), port


def chosen_interface(card: Any, card_url: str) -> Interface:
    """The first of `PREFERENCE` that the card offers. Raises `RemoteFailed`."""
    if not isinstance(card, dict):
        raise _bad_card("is not a JSON object")
    offered = list(_offered(card))
    takes_json = _takes_json(card)
    for binding, version in PREFERENCE:
        for url, named_binding, named_version, tenant in offered:
            if (named_binding, _version(named_version)) == (binding, version):
                return Interface(_absolute(url, card_url), binding, version, tenant, takes_json)
    if not offered:
        raise _bad_card("names no address: neither `supportedInterfaces` nor `url`")
    named = ", ".join(sorted({f"{each[1]} {each[2]}"[:60] for each in offered})[:5])
    raise _bad_card(f"offers {named}; this client speaks JSONRPC and HTTP+JSON, 1.0 and 0.3")


def _offered(card: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Address, binding, version and tenant, as the card has them."""
    for each in _objects(card.get("supportedInterfaces")):
        url, binding = each.get("url"), each.get("protocolBinding")
        if isinstance(url, str) and isinstance(binding, str):
            version = _text(each.get("protocolVersion")) or "1.0"
            yield url, binding.upper(), version, _text(each.get("tenant"))
    version = _text(card.get("protocolVersion")) or "0.3.0"
    if isinstance(card.get("url"), str):
        yield card["url"], (_text(card.get("preferredTransport")) or "JSONRPC").upper(), version, ""
    for each in _objects(card.get("additionalInterfaces")):
        if isinstance(each.get("url"), str):
            yield each["url"], _text(each.get("transport")).upper(), version, ""


def _version(named: str) -> Version | None:
    """Versions before 0.3 have the same three operations."""
    major, _, rest = named.strip().partition(".")
    if major == "1":
        return "1.0"
    return "0.3" if major == "0" and rest.partition(".")[0] in ("2", "3") else None


def _absolute(url: str, card_url: str) -> str:
    absolute = urljoin(card_url, url)
    try:
        scheme, host, _ = origin(absolute)
    except ValueError:
        scheme = host = ""
    if scheme not in ("http", "https") or not host:
        raise _bad_card("has an address that is not an HTTP URL")
    return absolute


def _takes_json(card: dict[str, Any]) -> bool:
    """Whether the input modes of the agent and its skills have JSON beside text. One that names
    JSON alone may mean text: fasta2a does, and its tasks fail at a data part."""
    listed = [card.get("defaultInputModes")]
    listed += [skill.get("inputModes") for skill in _objects(card.get("skills"))]
    modes = {str(mode) for each in listed if isinstance(each, list) for mode in each}
    return "application/json" in modes and any(mode.startswith("text") for mode in modes)


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _bad_card(what: str) -> RemoteFailed:
    return RemoteFailed(f"the agent card {what}", permanent=True)
