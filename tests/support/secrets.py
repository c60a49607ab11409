"""Searches a run's artefacts for keys, in every form in which one could be written by mistake."""

import base64
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

MIN_KEY = 12
"""Characters. The encodings of a shorter text would be found everywhere."""


def contents(folder: Path) -> dict[str, bytes]:
    """Each file under the folder, by its name."""
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def found(keys: Mapping[str, str], places: Mapping[str, bytes]) -> list[str]:
    """`KEY in PLACE` for each key, by its name, in each file, log, history or output."""
    assert all(len(key) >= MIN_KEY for key in keys.values()), "too short to be searched for"
    pieces = {name: encodings(key) | _rarer(key) for name, key in keys.items()}
    return [
        f"{name} in {place}"
        for place, data in places.items()
        for name, forms in pieces.items()
        if any(piece in data for piece in forms)
    ]


def encodings(key: str) -> set[bytes]:
    """Plain, hex, URL, and base64 at each alignment, without the ends that neighbours change."""
    raw = key.encode()
    forms = {raw, raw.hex().encode(), raw.hex().upper().encode(), quote(key, safe="").encode()}
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + raw)[4:-4]
        forms |= {coded, coded.replace(b"+", b"-").replace(b"/", b"_")}
    return forms


def _rarer(key: str) -> set[bytes]:
    """In another case, spaced hex, and the URL encodings that few programs write."""
    raw, url = key.encode(), quote(key, safe="")
    head, *escaped = url.split("%")
    lower = "".join([head, *(f"%{each[:2].lower()}{each[2:]}" for each in escaped)])
    every = "".join(f"%{byte:02X}" for byte in raw)
    texts = {key.upper(), key.lower(), key.swapcase(), raw.hex(" "), lower, every, quote(url)}
    return {text.encode() for text in texts}
