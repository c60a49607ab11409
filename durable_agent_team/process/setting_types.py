"""Types of settings, with their validation: addresses, URLs, keys and the patches of the SDK.

Messages start with a verb: `SettingsError` puts the setting's name before them, and its value
unless it is a secret.
"""

import base64
import binascii
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

ALL_SDK_PATCHES: Final = frozenset(
    {
        "cold_queries",
        "deadlock_timeout",
        "idle_eviction",
        "payload_visits",
        "result_throttle",
        "serialization_context",
        "settle_at_exit",
        "shared_sandbox",
        "waiting_queries",
    }
)
"""The names in `worker_sdk.patches`, which this package may not import; a test compares them."""


def _sealing_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("is not base64url") from error
    if len(raw) != 32:
        raise ValueError(f"contains {len(raw)} bytes, 32 are needed")
    return key


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 0
    is_host = not set(host) & set("/?#@\\") and not _has_gaps(text)
    is_bracketed = host.startswith("[") and host.endswith("]")  # an IPv6 address
    if not host or not is_host or (":" in host) != is_bracketed or not 0 < number < 65536:
        raise ValueError("is not HOST:PORT")
    return text


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is not a number, half an IPv6 address
        good = None
    if not good or not text.isascii() or _has_gaps(text):
        raise ValueError("is not an http:// or https:// URL")
    if "?" in text or "#" in text:
        raise ValueError("contains a query or a fragment: paths are added to it")
    return text.rstrip("/")


def _keyed_url(text: str) -> str:
    """Of a service that is called with keys of its own, which are sent in place of a password."""
    url = _url(text)
    if "@" in urlsplit(url).netloc:
        raise ValueError("contains a user name or a password, which is not sent: keys are")
    return url


def _key(key: SecretStr) -> SecretStr:
    """A key is sent in an HTTP header."""
    text = key.get_secret_value()
    if not text.isascii() or _has_gaps(text):
        raise ValueError("contains something other than printable ASCII without spaces")
    return key


def _has_gaps(text: str) -> bool:
    return any(each.isspace() or not each.isprintable() for each in text)


def _sdk_patches(value: Any) -> Any:
    """`all`, `none`, or a comma-separated list of names."""
    if not isinstance(value, str):
        return value
    names = {name.strip() for name in value.split(",") if name.strip()}
    if names == {"all"}:
        return ALL_SDK_PATCHES
    if names == {"none"}:
        return frozenset()
    if unknown := sorted(names - ALL_SDK_PATCHES):
        known = ", ".join(sorted(ALL_SDK_PATCHES))
        raise ValueError(
            f"{', '.join(unknown)!r} is not a known patch:"
            f" use all, none, or a comma-separated list of {known}"
        )
    return frozenset(names)


def _external_storage(text: str) -> str:
    """`none`, `gateway`, or where the store is."""
    if text in ("none", "gateway"):
        return text
    try:
        parts = urlsplit(text)
        folder = parts.scheme == "file" and not parts.netloc and len(parts.path) > 1
        bucket = parts.scheme in ("s3", "gs") and bool(parts.netloc)
    except ValueError:
        folder = bucket = False
    if not (folder or bucket):
        raise ValueError(
            "is not none, gateway, file:///FOLDER, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX"
        )
    return text


ExternalStorage = Annotated[str, AfterValidator(_external_storage)]
Address = Annotated[str, AfterValidator(_address)]
Url = Annotated[str, AfterValidator(_url)]
KeyedUrl = Annotated[str, AfterValidator(_keyed_url)]
Key = Annotated[SecretStr, Field(min_length=1), AfterValidator(_key)]
SealingKey = Annotated[SecretStr, Field(min_length=1), AfterValidator(_sealing_key)]
SdkPatches = Annotated[frozenset[str], NoDecode, BeforeValidator(_sdk_patches)]
