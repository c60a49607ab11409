"""Payloads that no client of the project would send: raw bytes, as any other client can."""

import json
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue


def raw(data: str | bytes, encoding: str = "json/plain") -> RawValue:
    """An argument with these bytes as its payload."""
    content = data.encode() if isinstance(data, str) else data
    return RawValue(Payload(metadata={"encoding": encoding.encode()}, data=content))


def without_encoding() -> RawValue:
    return RawValue(Payload(data=b"{}"))


def reference(driver: str, **claim: str) -> RawValue:
    """What the SDK writes for a payload in external storage."""
    content = {"driver_name": driver, "driver_claim": {"claim_data": claim}}
    return raw(json.dumps(content), "json/external-storage-reference")


def new_reference(content: bytes) -> RawValue:
    """The same as newer SDKs write it."""
    name = b"temporal.api.sdk.v1.ExternalStorageReference"
    metadata = {"encoding": b"json/protobuf", "messageType": name}
    return RawValue(Payload(metadata=metadata, data=content))


UNDECODABLE: dict[str, Any] = {
    "5,000 levels": raw('{"reason":' * 5_000 + "1" + "}" * 5_000),
    "5,000 levels of lists": raw("[" * 5_000 + "]" * 5_000),
    "5,000 digits": raw('{"reason": ' + "9" * 5_000 + "}"),
    "half a surrogate": raw('{"reason": "\\ud800"}'),
    "half a surrogate in a key": raw('{"\\udfff": 1}'),
    "not UTF-8": raw(b'{"reason": "\xff\xfe"}'),
    "a surrogate in UTF-8": raw(b'{"reason": "\xed\xa0\x80"}'),
    "cut off": raw('{"reason": "a'),
    "empty": raw(b""),
    "another encoding": raw(b"x", "binary/encrypted"),
    "a protobuf message": raw(b"{}", "json/protobuf"),
    "no encoding": without_encoding(),
    "another program's reference": reference("s3", key="a/b"),
    "a reference to nothing": reference("agent-team"),
    "a reference to no hash": reference("agent-team", sha256="../../etc/passwd"),
    "half a reference": raw('{"driver_name": ', "json/external-storage-reference"),
    "a reference of another shape": raw("[1]", "json/external-storage-reference"),
    "a newer reference": new_reference(b'{"driverName": "s3"}'),
    "half of a newer reference": new_reference(b"{"),
}
"""Payloads that the data converter cannot decode, by what is wrong with them."""

WRONG: dict[str, Any] = {
    "400 digits": raw('{"reason": ' + "9" * 400 + "}"),
    "an infinite number": raw('{"reason": 1e999999}'),
    "not a number": raw('{"reason": NaN}'),
    "100 levels": raw('{"reason":' * 100 + "1" + "}" * 100),
    "many values": raw('{"reason": [' + "0," * 20_000 + "0]}"),
    "a long text": raw('{"reason": "' + "x" * 300_000 + '"}'),
    "a long key": raw('{"' + "k" * 100_000 + '": 1}'),
    "many keys": raw("{" + ",".join(f'"k{n}": 1' for n in range(9_000)) + "}"),
    "bytes": raw(b"\x00\xff", "binary/plain"),
}
"""Payloads that can be decoded, and are refused by their values."""
