"""The errors of this package. `activities/error_translation.py` maps them to error types."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

MAX_TEXT = 500
"""Characters of a server's own message in an error."""

_BEARER = re.compile(r"""(?i)\bbearer\s+[^\s`"']+""")
_KEY_LIKE = re.compile(r"\b(?:sk|ak|atxp|key)[-_][A-Za-z0-9_\-]{12,}")


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """The text on one bounded line, without these secrets or anything that looks like a key."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[key]")
    text = _KEY_LIKE.sub("[key]", _BEARER.sub("Bearer [key]", text))
    text = " ".join(text.split())
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


class AtxpError(Exception):
    """Base. The text is already scrubbed and bounded."""


@dataclass(eq=False, repr=False)
class ProviderRefused(AtxpError):
    """The server answered with another status than 2xx."""

    what: str
    """Such as `POST /chat/completions`."""
    status: int
    message: str
    """The server's own message."""
    kind: str = ""
    """`error.type`, where the body has one."""
    code: str = ""
    restriction: str = ""
    """ATXP's `restriction.error`: a payment challenge or a fraud block."""
    headers: dict[str, str] = field(default_factory=dict)
    """Those that may say how long to wait, with names in lower case."""
    amounts: dict[str, Decimal] = field(default_factory=dict)
    """`remaining_usd`, `required_usd`, `reserved_usd`, `possibly_billed_usd`, where the body has
    them."""
    body: Any = None
    replayed: bool = False
    billed_usd: Decimal = Decimal(0)
    """An error response may have used tokens, which were billed."""

    @property
    def is_changed(self) -> bool:
        """It was to change what has this revision, and another change came first."""
        return self.status == 412 and self.code == "changed_since"

    def __str__(self) -> str:
        return f"{self.what} answered {self.status}: {self.message or 'no reason given'}"


class NoAnswer(AtxpError):
    """There was no complete answer from `url`; `reason` is only the cause."""

    def __init__(self, text: str, url: str = "", reason: str = "") -> None:
        super().__init__(text)
        self.url = url
        self.reason = reason


class Unreachable(NoAnswer):
    """No connection, or it broke before an answer was complete."""


class TimedOut(NoAnswer):
    """No complete answer in time. The gateway may still finish the call and store its answer."""


@dataclass(eq=False)
class MalformedAnswer(AtxpError):
    """A 200 that is not a chat completion. It may have been billed anyway."""

    message: str
    billed_usd: Decimal = Decimal(0)
    body: Any = None
    replayed: bool = False

    def __str__(self) -> str:
        return self.message


class LimitRefused(AtxpError):
    """The provider did not set the requested limit."""


class ProtocolBroken(AtxpError):
    """The account API did not answer with an account."""


class SealingKeyMismatch(AtxpError):
    """The key was sealed with another sealing key than this worker has, or was tampered with."""


def error_fields(body: Any) -> dict[str, Any]:
    """The `error` object of an OpenAI-compatible body, or the closest equivalent."""
    if not isinstance(body, dict):
        return {}
    error = body.get("error")
    if isinstance(error, dict):
        return error
    if isinstance(error, str):
        return {"message": error}
    return {key: body[key] for key in ("message", "detail", "type", "code") if key in body}
