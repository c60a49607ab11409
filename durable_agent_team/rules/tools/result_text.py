"""Cuts a result to what the model gets: the beginning and the end."""

from typing import Final

HEAD_SHARE: Final = 0.7
_MARK: Final = "\n[… {left_out} of {whole} bytes are left out here …]\n"
_MARK_BYTES: Final = len(_MARK.format(left_out=10**12, whole=10**12).encode())


def head_and_tail(text: str, max_bytes: int, left_out: int = 0) -> str:
    """The text in at most `max_bytes` bytes of UTF-8, of which at least 200 are needed: itself, or
    its beginning and its end with a mark between them. `left_out` bytes of the whole are missing
    in the middle already, of a text that is longer than `max_bytes`."""
    data = text.encode()
    if len(data) <= max_bytes:
        return text
    room = max_bytes - _MARK_BYTES
    head = data[: int(room * HEAD_SHARE)].decode(errors="ignore")
    tail = data[len(data) - (room - int(room * HEAD_SHARE)) :].decode(errors="ignore")
    whole = len(data) + left_out
    missing = whole - len(head.encode()) - len(tail.encode())
    return head + _MARK.format(left_out=missing, whole=whole) + tail


def ends(text: str, most: int) -> str:
    """The beginning and the end of a text of more than `most` characters."""
    if len(text) <= most:
        return text
    head = int(most * HEAD_SHARE)
    return text[:head] + text[head - most :]


def bytes_of(text: str) -> int:
    """The length in UTF-8. The text may have halves of surrogate pairs."""
    return len(text.encode(errors="surrogatepass"))
