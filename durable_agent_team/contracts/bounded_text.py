"""Text that leaves the process in a message: cut, and without half a surrogate."""


def is_storable(text: str) -> bool:
    """Whether it can be encoded: half of a surrogate pair cannot, and nothing can store it."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def cut(text: str, characters: int, encoded: int | None = None) -> str:
    """The text with at most this many characters, and bytes of UTF-8; an ellipsis marks the cut.

    Half a surrogate, which cannot be encoded, becomes U+FFFD.

    >>> cut("a long text", 7)
    'a long…'
    """
    whole = len(text) <= characters
    kept = text if whole else f"{text[: characters - 1]}…"
    if not kept.isascii():
        kept = kept.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        kept = kept if len(kept) <= characters else f"{kept[: characters - 1]}…"
    if encoded is None or len(kept.encode()) <= encoded:
        return kept
    return kept.encode()[: encoded - 3].decode("utf-8", "ignore") + "…"
