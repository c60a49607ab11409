"""The formats of JSON Schema: examples of the standards and of JSON-Schema-Test-Suite's kinds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_agent_team.contracts.schema_formats import FORMATS
from tests.support.cpu_time import cpu_within


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date", ["2024-02-29"],
         ["2023-02-29", "2024-2-1", "20240201", "２024-02-01", "2024-13-01"]),
        ("time", ["08:30:06Z", "08:30:06.28+02:00", "23:59:60Z", "15:59:60-08:00"],
         ["08:30:06", "24:00:00Z", "12:00:60Z", "8:30:06Z", "08:30:06+24:00"]),
        ("date-time", ["1990-12-31T23:59:60Z", "1963-06-19t08:30:06.283185z"],
         ["1963-06-19 08:30:06Z", "1963-06-19", "2024-02-30T00:00:00Z", "1963-06-19T08:30:06"]),
        ("duration", ["P4DT12H30M5S", "P2W", "PT36H", "P1Y", "P1M2D"],
         ["P", "PT", "4D", "P1D2H", "P1Y2W", "P٢Y", "PT1D"]),
        ("email", ["joe@example.com", "te~st+x@example.com", '"joe b"@example.com',
                   "joe@[127.0.0.1]", "joe@[IPv6:::1]"],
         ["joe", "@x", "a@b@c", ".joe@example.com", "joe..b@example.com", "joe@-x.com",
          "jöe@x.de"]),
        ("idn-email", ["jöe@bücher.de"], ["joe", "jo e@x.de"]),
        ("hostname", ["www.example.com", "a-b.de", "xn--bcher-kva.de", "localhost"],
         ["-a.de", "a_b.de", "a..b", "a" * 64 + ".de", "", "bücher.de"]),
        ("idn-hostname", ["bücher.de"], ["-bücher.de", "a b.de"]),
        ("ipv4", ["192.168.0.1"], ["256.0.0.1", "1.2.3", "01.2.3.4", "1.2.3.4/8", "１.2.3.4"]),
        ("ipv6", ["::1", "1:2::8", "::ffff:1.2.3.4"], ["1::2::3", "12345::", "fe80::1%eth0", "x"]),
        ("uri", ["http://foo.bar/?baz=qux#quux", "urn:oasis:names", "http://[::1]:80/",
                 "mailto:a@b.c"],
         ["//foo", "/abc", "http:// x", "http://a b.c", "http://x/%zz", "bar,\\baz:x", "http://[::1",
          "http://x/[a]", "http://ü.de", "http://x#a#b", "http://x:port/", ""]),
        ("uri-reference", ["/abc", "#a", "abc", ""], ["\\\\WINDOWS", "#a\\b"]),
        ("iri", ["http://ƒøø.ßår/?∂=π"], ["/âππ", "http:// ü"]),
        ("iri-reference", ["/âππ"], ["/â ππ"]),
        ("uri-template", ["http://x/{term:1}/{?q*,r}", "a"], ["http://x/{term", "{a b}"]),
        ("uuid", ["2EB8AA08-AA98-11EA-B4AA-73B441D16380"],
         ["2eb8aa08aa9811eab4aa73b441d16380", "2eb8aa08-aa98-11ea-b4aa-73b441d1638", "xyz"]),
        ("json-pointer", ["", "/a~0b/~1/0"], ["a", "/a~", "#/a", "/a~2"]),
        ("relative-json-pointer", ["0", "1/a", "0#"], ["/a", "-1/a", "01/a", "0##", ""]),
        ("regex", [r"^\p{L}(?<a>x)$"], ["^(abc]", r"\p{Nonsense}"]),
    ],
)  # fmt: skip
def test_a_format_tells_good_texts_from_bad_ones(
    name: str, good: list[str], bad: list[str]
) -> None:
    check = FORMATS[name]
    assert [text for text in good if not check(text)] == []
    assert [text for text in bad if check(text)] == []


@given(st.sampled_from(sorted(FORMATS)), st.text() | st.text("0123456789-:TZ.@/[]%+P"))
def test_any_text_has_a_format_or_not(name: str, text: str) -> None:
    assert FORMATS[name](text) in (True, False)


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"regex"}))
@pytest.mark.parametrize("piece", ["a", "1", ".", "a.", "%20", "{a}", "~0", "/", ":", '"', "1Y"])
def test_it_is_linear(name: str, piece: str) -> None:
    with cpu_within(seconds=1):
        FORMATS[name](piece * 30_000 + "\n")
