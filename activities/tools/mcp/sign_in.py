"""What a server wants that answers 401 or 403: who issues a token for it, and where to put one.

By MCP ("Authorization Server Discovery") and RFC 9728: the `resource_metadata` of the challenge is
the address of a document that names the authorization servers; without it, the document is at a
well-known address of the server.
"""

import re
from typing import Final
from urllib.parse import urlsplit

from durable_agent_team.contracts.tool_kinds import UrlServer

_PARAMETER: Final = re.compile(r'\b(resource_metadata|scope|error)="([^"\\\x00-\x1f\x7f]{1,500})"')
_URL: Final = re.compile(r"https?://[^\s\"'<>\\]{1,500}")


def token_remedy(server: UrlServer) -> str:
    """Where the worker takes the token from."""
    names = list(dict.fromkeys(re.findall(r"\$(\w+)", " ".join(server.headers.values()))))
    if not names:
        return (
            "write `headers: {Authorization: Bearer $NAME}`, and set NAME where the worker starts"
        )
    return f"set {' and '.join(names)} where the worker is started, and start it again"


def issuer_text(challenge: str, url: str) -> str:
    """Who issues tokens, as far as the challenge says so; else empty."""
    given = dict(_PARAMETER.findall(challenge))
    address = given.get("resource_metadata", "")
    if not _URL.fullmatch(address):
        address = _well_known(url) if challenge.lower().startswith("bearer") else ""
    scope = f" (scope: {given['scope']})" if "scope" in given else ""
    return f"; {address} says who issues tokens{scope}" if address else scope


def _well_known(url: str) -> str:
    """RFC 9728, section 3.1: between the host and the path."""
    parts = urlsplit(url)
    if not parts.netloc:
        return ""
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{path}"
