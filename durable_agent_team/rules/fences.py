"""Takes the Markdown fence off an answer. String operations only, each of linear cost."""

FENCE = "```"


def unfenced(text: str) -> str:
    """The text without the Markdown fence that models like to put around JSON."""
    stripped = text.strip()
    if len(stripped) < 2 * len(FENCE) or not stripped.startswith(FENCE):
        return text
    if not stripped.endswith(FENCE):
        return text
    inner = _without_language(stripped[len(FENCE) : -len(FENCE)])
    if inner is None:
        return text
    return inner.rstrip(" \t").removesuffix("\n")


def _without_language(inner: str) -> str | None:
    """What follows the opening fence's language; None if this is not the fence of one block."""
    head, newline, body = inner.partition("\n")
    language = head.rstrip(" \t")
    if newline and (not language or (language.isascii() and language.isalpha())):
        return body
    on_the_line = inner[4:] if inner[:4].lower() == "json" else inner
    on_the_line = on_the_line.lstrip(" \t")
    return on_the_line if on_the_line[:1] in ("{", "[") else None
