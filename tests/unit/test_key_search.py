"""The search for keys finds them in every form that it promises."""

import base64
import json
from urllib.parse import quote

import pytest

from tests.support.secrets import found

KEY = "atxp-Key:+/=-0123456789abc"
RAW = KEY.encode()

FORMS = {
    "plain": RAW,
    "JSON": json.dumps({"key": KEY}).encode(),
    "hex": RAW.hex().encode(),
    "upper hex": RAW.hex().upper().encode(),
    "spaced hex": RAW.hex(" ").encode(),
    "URL": quote(KEY, safe="").encode(),
    "lower URL": quote(KEY, safe="").replace("%2B", "%2b").replace("%2F", "%2f")
    .replace("%3A", "%3a").replace("%3D", "%3d").encode(),
    "URL twice": quote(quote(KEY, safe=""), safe="").encode(),
    "every byte": "".join(f"%{byte:02X}" for byte in RAW).encode(),
    "upper case": KEY.upper().encode(),
    "lower case": KEY.lower().encode(),
    "other case": KEY.swapcase().encode(),
    **{f"base64 after {n}": base64.b64encode(b"x" * n + RAW + b"yz") for n in range(3)},
    **{f"base64url after {n}": base64.urlsafe_b64encode(b"x" * n + RAW) for n in range(3)},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_key_is_found(form: bytes) -> None:
    places = {"log": b"before " + form + b" after", "other": b"nothing"}
    assert found({"agent": KEY}, places) == ["agent in log"]


def test_a_part_of_a_key_or_another_key_is_not_found() -> None:
    assert found({"agent": KEY}, {"log": RAW[:-6] + b"another", "empty": b""}) == []


def test_a_key_too_short_to_search_for_is_an_error() -> None:
    with pytest.raises(AssertionError, match="too short"):
        found({"agent": "short"}, {"log": b""})
