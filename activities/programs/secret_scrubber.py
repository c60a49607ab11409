"""Removes keys from what a program says, before it is kept, shown or judged."""

import base64
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

REPLACEMENT = "[key]"
LEAST_LENGTH = 8
"""Characters of a value that is searched for. A shorter one would be found everywhere."""
SECRET_NAME = re.compile(r"(?i)key|token|secret|passw|credential|auth")
"""Names of variables whose values are secrets."""
_LIKE_A_KEY = re.compile(r"(?i)\b(bearer)\s+[\w.~+/-]{8,}=*|\b(?:sk|ak|atxp)[-_][\w-]{12,}")


class SecretScrubber:
    """Finds secrets plain, in either case, as hex, URL-encoded, and as base64 at each alignment."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {
            form for secret in secrets if len(secret) >= LEAST_LENGTH for form in _forms(secret)
        }
        longest_first = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)), re.I) if forms else None

    def scrub(self, text: str) -> str:
        """The text without these secrets."""
        return text if self._pattern is None else self._pattern.sub(REPLACEMENT, text)

    def scrub_message(self, text: str) -> str:
        """Also without what looks like a key of somebody: for logs and errors, not for answers."""
        return _LIKE_A_KEY.sub(_replaced, self.scrub(text))


def secrets_of(variables: Mapping[str, str]) -> list[str]:
    """The values of variables whose names say that they are secrets."""
    return [value for name, value in variables.items() if SECRET_NAME.search(name)]


def _replaced(match: re.Match[str]) -> str:
    return f"{match[1]} {REPLACEMENT}" if match[1] else REPLACEMENT


def _forms(secret: str) -> set[str]:
    raw = secret.encode()
    forms = {secret, raw.hex(), raw.hex(" "), quote(secret, safe="")}
    forms.add("".join(f"%{byte:02X}" for byte in raw))
    for shift in range(3):  # without the characters at the ends, which depend on their neighbours
        inner = base64.b64encode(b"\0" * shift + raw)[4:-4].decode()
        forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {form for form in forms if len(form) >= LEAST_LENGTH}
