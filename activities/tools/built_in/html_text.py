"""The text of an HTML page, in a time that is linear in its length, whatever it contains. Pure.

Not a parser of HTML 5: it drops tags, scripts and styles, keeps line breaks and the addresses of
links. Python's own `html.parser` takes quadratic time for crafted pages (CVE-2025-6069).
"""

import html
import re
from typing import Final
from urllib.parse import urljoin

MAX_TAGS: Final = 60_000
"""Large pages have some 30,000."""
MAX_TAG: Final = 4_000
"""Characters of a tag in which an address is looked for."""
DROPPED: Final = frozenset({"script", "style", "noscript", "template", "svg", "iframe", "object"})
BLOCKS: Final = frozenset(
    {
        *("address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "fieldset"),
        *("figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header"),
        *("hr", "li", "main", "nav", "ol", "option", "p", "pre", "section", "table", "title", "tr"),
        *("ul", "body", "head", "html"),
    }
)
_TAG = re.compile(r"<[A-Za-z/!?]")
_NAME = re.compile(r"/?[A-Za-z][A-Za-z0-9]{0,20}")
_HREF = re.compile(
    r"""\shref\s{0,20}=\s{0,20}(?:"([^"]{1,2000})"|'([^']{1,2000})'|([^\s"'>]+))""", re.I
)
_LONG_REFERENCE = re.compile(r"&#[xX]?[0-9a-fA-F]{9,};?")
_SPACES = re.compile(r"[ \t\r\f\v\u00a0]+")


class _Scanner:
    """Walks through a page once. What was not found ahead is not looked for again."""

    def __init__(self, page: str, base: str) -> None:
        self._page = page
        self._lower = page.lower() if len(page.lower()) == len(page) else _ascii_lower(page)
        self._base = base
        self._parts: list[str] = []
        self._absent: set[str] = set()
        self._href = ""

    def text(self) -> str:
        position = 0
        for _ in range(MAX_TAGS):
            found = _TAG.search(self._page, position)
            if found is None:
                self._parts.append(self._page[position:])
                break
            self._parts.append(self._page[position : found.start()])
            position = self._after(found.start())
        else:
            self._parts.append(f"\n[more than {MAX_TAGS:,} tags: the rest of the page is left out]")
        return "".join(self._parts)

    def _after(self, tag: int) -> int:
        """The position of the first character after a tag."""
        if self._page.startswith("<!--", tag):
            return self._behind("-->", tag + 4)
        end = self._behind(">", tag)
        found = _NAME.match(self._page, tag + 1)
        name = found[0].lower() if found else ""
        if name in DROPPED:
            return self._behind(">", self._behind(f"</{name}", end))
        self._tag(name, self._page[tag : min(end, tag + MAX_TAG)])
        return end

    def _tag(self, name: str, tag: str) -> None:
        plain = name.removeprefix("/")
        if plain in BLOCKS:
            self._parts.append("\n- " if name == "li" else "\n")
        elif plain in ("td", "th"):
            self._parts.append(" | " if name == plain else "")
        elif name == "a":
            found = _HREF.search(tag)
            self._href = next((each for each in found.groups() if each), "") if found else ""
        elif name == "/a" and self._href:
            self._parts.append(self._link())
            self._href = ""

    def _link(self) -> str:
        try:
            address = urljoin(self._base, html.unescape(_without_long_references(self._href)))
        except ValueError:
            return ""
        return f" ({address})" if address.startswith(("http://", "https://")) else ""

    def _behind(self, wanted: str, position: int) -> int:
        """Behind the next one of a text; the end of the page where there is none."""
        found = -1 if wanted in self._absent else self._lower.find(wanted, position)
        if found < 0:
            self._absent.add(wanted)
            return self._size
        return found + len(wanted)

    @property
    def _size(self) -> int:
        return len(self._page)


def text_of(page: str, base: str = "") -> str:
    """The text of a page, its links followed by their addresses.

    >>> text_of("<h1>Tea</h1><p>Hot &amp; black, <a href='/m'>menu</a>", "https://tea.example")
    'Tea\\nHot & black, menu (https://tea.example/m)'
    """
    text = html.unescape(_without_long_references(_Scanner(page, base).text()))
    lines = (_SPACES.sub(" ", line).strip(" ") for line in text.split("\n"))
    return "\n".join(line for line in lines if line and line != "-")


def _without_long_references(text: str) -> str:
    """`html.unescape` takes quadratic time for a number with very many digits, or refuses it."""
    return _LONG_REFERENCE.sub("\ufffd", text)


def _ascii_lower(text: str) -> str:
    return text.translate({each: each + 32 for each in range(ord("A"), ord("Z") + 1)})
