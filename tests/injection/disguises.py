"""How an order can be written so that people do not see it: each has the model's own reading in
`tests.support.obedient_model.readings`."""

import base64
import html
import urllib.parse
from collections.abc import Callable


def _tags(text: str) -> str:
    return "".join(chr(0xE0000 + ord(each)) for each in text)


def _full_width(text: str) -> str:
    return "".join(chr(ord(each) + 0xFEE0) if "!" <= each <= "~" else each for each in text)


def _between(mark: str) -> Callable[[str], str]:
    return lambda text: "".join(each + mark for each in text)


def _mathematical(text: str) -> str:
    """Letters of the block of mathematical symbols, which look like others in bold."""
    bold = dict(zip(range(ord("a"), ord("z") + 1), range(0x1D41A, 0x1D434), strict=True))
    return text.translate(bold)


DISGUISES: dict[str, Callable[[str], str]] = {
    "tags": _tags,
    "zero_width": _between("\u200b"),
    "full_width": _full_width,
    "reversed": lambda text: "\u202e" + text[::-1],
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "html": lambda text: "".join(f"&#{ord(each)};" for each in html.escape(text, quote=False)),
    "percent": lambda text: urllib.parse.quote(text, safe=""),
    "variation": _between("\ufe0f"),
    "combining": _between("\u0336"),
    "isolates": _between("\u2066"),
    "soft_hyphens": _between("\u00ad"),
    "mathematical": _mathematical,
}
