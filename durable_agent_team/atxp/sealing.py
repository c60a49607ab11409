"""Sealing of agents' keys: what is in Temporal's history is useless without SEALING_KEY."""

import base64
import binascii
import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from durable_agent_team.atxp.exceptions import SealingKeyMismatch

VERSION = "v1"
KEY_BYTES = 32
NONCE_BYTES = 12

_REMEDY = (
    "SEALING_KEY must be 32 random bytes in base64url; make one with"
    ' `python -c "import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())"`'
)


def generate_sealing_key() -> str:
    """A new SEALING_KEY: 32 random bytes in base64url."""
    return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()


class Sealer:
    """AES-256-GCM under one sealing key.

    A sealed key reads `v1.<fingerprint of the sealing key>.<nonce and ciphertext>` and is bound to
    its account: put beside another account's id it does not open.
    """

    def __init__(self, key: str) -> None:
        """Raises ValueError, with the remedy and without the key, where it is malformed."""
        try:
            raw = base64.b64decode(_padded(key.strip()), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(f"it is not base64url. {_REMEDY}") from None
        if len(raw) != KEY_BYTES:
            raise ValueError(f"it has {len(raw)} bytes, not {KEY_BYTES}. {_REMEDY}")
        self._cipher = AESGCM(raw)
        self.fingerprint = hashlib.sha256(b"sealing key fingerprint\0" + raw).hexdigest()[:8]

    def seal(self, secret: SecretStr, account_id: str) -> str:
        nonce = os.urandom(NONCE_BYTES)
        plain = secret.get_secret_value().encode()
        sealed = nonce + self._cipher.encrypt(nonce, plain, account_id.encode())
        return f"{VERSION}.{self.fingerprint}.{base64.urlsafe_b64encode(sealed).decode()}"

    def unseal(self, sealed: str, account_id: str) -> SecretStr:
        """Raises `SealingKeyMismatch`, saying which of the possible reasons it is."""
        version, _, rest = sealed.partition(".")
        fingerprint, _, text = rest.partition(".")
        if version != VERSION or not text:
            raise SealingKeyMismatch(
                f"the key of account {account_id} is not sealed in the form {VERSION} that this"
                " worker reads: let workers of one version finish the run"
            )
        if fingerprint != self.fingerprint:
            raise SealingKeyMismatch(
                f"the key of account {account_id} was sealed under SEALING_KEY {fingerprint}…, and"
                f" this worker has {self.fingerprint}…: give every worker of the task queue the"
                " same SEALING_KEY"
            )
        try:
            raw = base64.b64decode(text, altchars=b"-_", validate=True)
            plain = self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], account_id.encode())
        except (InvalidTag, binascii.Error, ValueError):
            raise SealingKeyMismatch(
                f"the sealed key of account {account_id} was changed, or belongs to another account"
            ) from None
        return SecretStr(plain.decode())

    def __repr__(self) -> str:
        return f"Sealer({self.fingerprint})"


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)
