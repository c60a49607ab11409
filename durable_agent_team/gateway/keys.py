"""Keys are derived, never stored: the database contains only their hashes. What could contain a
key by mistake is scrubbed."""

import base64
import hashlib
import hmac
import re
from typing import Any
from urllib.parse import quote

PREFIX = "atxp-agent-"
REMOVED = "[removed]"
MIN_SECRET = 8
"""A shorter key of an upstream is a placeholder, such as `none`, and a common word."""
MAX_ENCODED = 20_000
"""In a longer text, only whole keys are looked for: percent signs make the search slow."""

_KEY_FORM = re.compile(r"[A-Za-z0-9._~+/=:-]{16,256}")
_AGENT_KEY = re.compile(PREFIX + "[0-9a-f]{64}")
_PERCENT = "%(?:25)*"
"""A percent sign, also if it was itself encoded, any number of times."""

_ENCODED_CHARACTER = re.compile(rf"{_PERCENT}[0-9a-f]{{2}}|\\u00[0-9a-f]{{2}}", re.IGNORECASE)


class KeyMaker:
    """Derives an account's key from the gateway's secret, always the same one."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def agent_key(self, account_id: str) -> str:
        digest = hmac.new(self._secret, b"agent-key:" + account_id.encode(), hashlib.sha256)
        return PREFIX + digest.hexdigest()

    def fingerprint(self) -> str:
        """Tells two secrets apart, and nothing about either."""
        return hmac.new(self._secret, b"fingerprint", hashlib.sha256).hexdigest()[:32]


def hash_key(key: str) -> str:
    """A plain hash suffices, since keys have 128 bits of entropy or more."""
    return hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()


class Scrubber:
    """Removes keys from text that is logged, stored or sent: the secrets that it was created with,
    and everything in the form of an agent's key. Case and encoding (URL, JSON, hex, base64) do not
    matter."""

    def __init__(self, *secrets: str) -> None:
        known = [secret for secret in secrets if len(secret) >= MIN_SECRET]
        digit = rf"(?:[0-9a-f]|{_PERCENT}[0-9a-f]{{2}}|\\u00[0-9a-f]{{2}})"
        plain = [PREFIX + "[0-9a-f]{16,}", PREFIX.encode().hex() + "[0-9a-f]{32,}"]
        plain += [re.escape(each) + "[a-z0-9+/_=-]{16,}" for each in _base64(PREFIX)]
        plain += [re.escape(form) for each in known for form in sorted(_forms(each), key=len)[::-1]]
        encoded = [_any_encoding(PREFIX) + digit + "{16,}", *map(_any_encoding, known)]
        self._plain = re.compile("|".join(plain), re.IGNORECASE)
        self._encoded = re.compile("|".join(encoded), re.IGNORECASE)
        self._hints = [form.lower() for each in (PREFIX, *known) for form in _forms(each)]
        self._last = ("", "", "")

    def __call__(self, text: str, presented: str = "") -> str:
        """`presented` is a key that came with a request; it is removed if it has a key's form. A
        header is read for the log and for the request: the second time costs nothing."""
        last_text, last_presented, last_clean = self._last
        if text is last_text and presented == last_presented:
            return last_clean
        given, lower = text, text.lower()
        for hint in self._hints:  # most texts contain none, and are done after this look
            if hint in lower:
                text = self._plain.sub(REMOVED, text)
                break
        suspicious = "%" in lower or "\\u" in lower
        # "10 %" is not an encoding, and to look for one is faster than to look for keys.
        if suspicious and len(text) <= MAX_ENCODED and _ENCODED_CHARACTER.search(text):
            text = self._encoded.sub(REMOVED, text)
        if presented and _has_form_of_key(presented):
            forms = sorted(_forms(presented), key=len, reverse=True)
            text = re.sub("|".join(map(re.escape, forms)), REMOVED, text, flags=re.IGNORECASE)
        self._last = (given, presented, text)
        return text

    def values(self, data: Any, presented: str = "") -> Any:
        """JSON data with keys removed from its texts, so that it stays JSON."""
        if isinstance(data, str):
            return self(data, presented)
        if isinstance(data, list):
            return [self.values(item, presented) for item in data]
        if isinstance(data, dict):
            return {name: self.values(value, presented) for name, value in data.items()}
        return data


def _has_form_of_key(text: str) -> bool:
    """An agent's key is found by its prefix already. A word such as `message` is not a key."""
    return (
        not _AGENT_KEY.fullmatch(text)
        and _KEY_FORM.fullmatch(text) is not None
        and any(each.isdigit() for each in text)
    )


def _any_encoding(secret: str) -> str:
    """A pattern for the secret, each character of it plain, percent-encoded or JSON-escaped."""
    return "".join(
        rf"(?:{re.escape(each)}|{_PERCENT}{ord(each):02x}|\\u00{ord(each):02x})" for each in secret
    )


def _forms(secret: str) -> set[str]:
    return {secret, quote(secret, safe=""), secret.encode().hex(), *_base64(secret)}


def _base64(secret: str) -> set[str]:
    """At each alignment, without the ends that neighbouring bytes change; both alphabets."""
    found = set()
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + secret.encode())[4:-4].decode()
        found |= {text, text.replace("+", "-").replace("/", "_")}
    return found
