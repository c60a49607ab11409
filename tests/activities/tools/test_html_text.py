"""A page becomes text without scripts, and no page takes long."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.tools.built_in.html_text import text_of
from tests.support.cpu_time import cpu_within
from tests.support.fuzzing import examples

PAGE = """<!doctype html><html><head><title>Tea &amp; more</title><style>p {color: red}</style>
<script>if (1 < 2) document.write("<p>no</p>")</script></head><body><!-- <p>hidden</p> -->
<h1>Menu</h1><ul><li>Black<li>Green &#8364;3</ul><p>See <A HREF='/all?a=1&amp;b=2'>all of
it</A>, <a href="javascript:alert(1)">not this</a>.<table><tr><td>1<td>2</table>1 < 2</body>"""


def test_a_page_becomes_text_with_its_links() -> None:
    assert text_of(PAGE, "https://tea.example/menu").splitlines() == [
        "Tea & more",
        "Menu",
        "- Black",
        "- Green €3",
        "See all of",
        "it (https://tea.example/all?a=1&b=2), not this.",
        "| 1 | 2",
        "1 < 2",
    ]


@pytest.mark.parametrize(
    "page",
    [
        "<" * 10**6,
        "<!--" * 250_000,
        "<script>" * 120_000,
        "<script></script " * 60_000,
        "<a href='" * 110_000,
        "<a " + 'href="x' * 140_000,
        "&#" + "1" * 10**6,
        "&#x" + "f" * 10**6 + ";",
        "&" * 10**6,
        "</" * 500_000,
        "<p>" * 300_000,
        "<a href=/>x</a>" * 60_000,
        " " * 10**6,
        "İ<p>" * 200_000,
    ],
    ids=lambda page: page[:9],
)
def test_crafted_pages_take_a_bounded_time(page: str) -> None:
    with cpu_within(seconds=6):
        assert len(text_of(page, "https://x.example")) <= 3_000_000


@settings(max_examples=examples(200))
@given(st.lists(st.sampled_from([*"<>/!-?&#;'\" ax", "script", "<!--", "href="])).map("".join))
def test_any_text_is_a_page(page: str) -> None:
    assert "<script>" not in text_of(page)
