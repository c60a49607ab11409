"""Sealed keys: only the right sealing key, for the right account, opens them."""

import base64
import re

import pytest
from pydantic import SecretStr

from durable_agent_team.atxp.exceptions import SealingKeyMismatch
from durable_agent_team.atxp.sealing import Sealer, generate_sealing_key
from tests.activities.support import AGENT_KEY, SEALER

SECRET = SecretStr(AGENT_KEY)


def test_a_sealed_key_opens_again_and_shows_nothing() -> None:
    sealed = SEALER.seal(SECRET, "a1")
    assert re.fullmatch(r"v1\.[0-9a-f]{8}\.[A-Za-z0-9_\-=]+", sealed)
    assert sealed.split(".")[1] == SEALER.fingerprint
    assert SEALER.unseal(sealed, "a1") == SECRET
    assert AGENT_KEY not in sealed
    assert AGENT_KEY.encode() not in base64.urlsafe_b64decode(sealed.split(".")[2])
    assert SEALER.seal(SECRET, "a1") != sealed, "a fresh nonce each time"


def test_another_sealing_key_is_told_by_its_fingerprint() -> None:
    other = Sealer(generate_sealing_key())
    with pytest.raises(SealingKeyMismatch, match=other.fingerprint) as caught:
        other.unseal(SEALER.seal(SECRET, "a1"), "a1")
    assert "same SEALING_KEY" in str(caught.value)


def test_it_belongs_to_its_account_and_to_nobody_else() -> None:
    with pytest.raises(SealingKeyMismatch, match="another account"):
        SEALER.unseal(SEALER.seal(SECRET, "a1"), "a2")


@pytest.mark.parametrize(
    "change", [lambda s: s[:-6] + "AAAAAA", lambda s: s[:30], lambda s: s + "!"]
)
def test_a_changed_one_does_not_open(change: object) -> None:
    assert callable(change)
    with pytest.raises(SealingKeyMismatch):
        SEALER.unseal(change(SEALER.seal(SECRET, "a1")), "a1")


@pytest.mark.parametrize("sealed", ["", "v1", "v2.00000000.AAAA", "plain-key"])
def test_another_form_is_another_version(sealed: str) -> None:
    with pytest.raises(SealingKeyMismatch, match="one version"):
        SEALER.unseal(sealed, "a1")


@pytest.mark.parametrize(
    "key", ["", "short", "not base64 at all!", base64.urlsafe_b64encode(bytes(31)).decode()]
)
def test_a_malformed_sealing_key_says_the_remedy_and_not_the_key(key: str) -> None:
    with pytest.raises(ValueError, match="SEALING_KEY must be 32 random bytes") as caught:
        Sealer(key)
    assert not key or key not in str(caught.value)


def test_a_generated_key_is_accepted_with_and_without_padding() -> None:
    key = generate_sealing_key()
    assert Sealer(key).fingerprint == Sealer(key.rstrip("=")).fingerprint
    assert key not in repr(Sealer(key))
