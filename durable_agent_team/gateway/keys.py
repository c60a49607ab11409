"""Keys: derived, never stored. The database holds their hashes alone."""

import hashlib
import hmac

PREFIX = "atxp-agent-"


class KeyMaker:
    """Derives an account's key from the gateway's secret, the same one each time."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def agent_key(self, account_id: str) -> str:
        digest = hmac.new(self._secret, b"agent-key:" + account_id.encode(), hashlib.sha256)
        return PREFIX + digest.hexdigest()


def hash_key(key: str) -> str:
    """Keys have 128 bits of entropy or more, so a plain hash is enough."""
    return hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()


class Scrubber:
    """Takes secrets out of text that somebody else wrote before it is passed on."""

    def __init__(self, *secrets: str) -> None:
        self._secrets = tuple(secret for secret in secrets if secret)

    def __call__(self, text: str, *more: str) -> str:
        for secret in (*self._secrets, *more):
            if secret:
                text = text.replace(secret, "[removed]")
        return text
