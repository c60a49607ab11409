"""Keys are derived, never stored: the database contains only their hashes."""

import hashlib
import hmac

PREFIX = "atxp-agent-"


class KeyMaker:
    """Derives an account's key from the gateway's secret, always the same one."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def agent_key(self, account_id: str) -> str:
        digest = hmac.new(self._secret, b"agent-key:" + account_id.encode(), hashlib.sha256)
        return PREFIX + digest.hexdigest()


def hash_key(key: str) -> str:
    """A plain hash suffices, since keys have 128 bits of entropy or more."""
    return hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()


class Scrubber:
    """Removes secrets from text of others, such as an upstream's error, before it is passed on."""

    def __init__(self, *secrets: str) -> None:
        self._secrets = tuple(secret for secret in secrets if secret)

    def __call__(self, text: str, *more: str) -> str:
        for secret in (*self._secrets, *more):
            if secret:
                text = text.replace(secret, "[removed]")
        return text
