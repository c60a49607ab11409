"""A key in every form in which it could be written somewhere by mistake."""

import base64
from urllib.parse import quote


def encodings(key: str) -> set[bytes]:
    """Plain, hex, URL, and base64 at each alignment, without the ends that neighbours change."""
    raw = key.encode()
    found = {raw, raw.hex().encode(), raw.hex().upper().encode(), quote(key, safe="").encode()}
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + raw)[4:-4]
        found |= {text, text.replace(b"+", b"-").replace(b"/", b"_")}
    return found
