"""Texts from elsewhere, made safe for each place where they are shown."""

import html
import json
import re
import subprocess
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_agent_team.rules.safe_text import (
    html_text,
    is_blank,
    is_hidden,
    json_text,
    markdown_block,
    markdown_code,
    markdown_line,
    markdown_line_for_temporal,
    mermaid_text,
    one_line,
    readable_json,
    shell_command,
    shell_word,
    terminal_text,
    visible,
)
from tests.support.fuzzing import examples

ATTACKS = [
    "\x1b]52;c;cm0gLXJmIH4=\x07", "\x1b]0;title\x1b\\", "\x1b[2J\x1b[H", "\x9b31m", "\x08\x7f\r",
    "\u202etxt.exe", "\u2066a\u2069", "\u200b\u200d\ufeff", "\u2028\u2029\x85", "\ud800",
    "\U000e0041", "</pre><script>alert(1)</script>", "# Heading", "a\n# Heading", "a\n===",
    "1. x", "- [x](y)", "![a](http://b)", "| a | b |\n| --- | --- |", "```\nx", "~~~", "    code",
    "> quote", "`a`", "$x$", "; rm -rf ~", "`id`", "$(id)", "a b", "'", '"', "\\", "a'b\nc", "-x",
    "", "é市場", "*", "!!", "~", "#",
]  # fmt: skip
TEXTS = st.text() | st.lists(st.sampled_from(ATTACKS)).map("".join)
"""Any text, lone surrogates included, and texts made of attacks."""


@pytest.mark.fuzz
@settings(max_examples=examples(300), deadline=None)
@given(TEXTS)
def test_no_hidden_character_is_left(text: str) -> None:
    for safe in (terminal_text, one_line):
        shown = safe(text)
        assert _hidden(shown) <= {"\n", "\t"}
        assert safe(shown) == shown
    for flat in (one_line, markdown_line, markdown_code, mermaid_text):
        assert len(flat(text).splitlines()) <= 1
        assert not _hidden(flat(text))
    for strict in (one_line, markdown_code, mermaid_text):
        assert not any(map(is_hidden, strict(text)))
    for block in (html_text, markdown_block):
        assert _hidden(block(text)) <= {"\n", "\t"}


def _hidden(shown: str) -> set[str]:
    """Without joiners that are a part of letters."""
    return {each for each in _with_joiners_escaped(shown) if is_hidden(each)}


def _with_joiners_escaped(shown: str) -> str:
    joiner = "(?<=[^\\x00-\\x7f])[\\u200c\\u200d](?=[^\\x00-\\x7f])"
    return re.sub(joiner, lambda found: visible(found[0]), shown)


LETTERS = ("می\u200cخواهم", "क्\u200dष", "👩\u200d👩\u200d👧", "👩🏽\u200d🔬", "❤\ufe0f\u200d🔥")
HIDDEN = ("a\u200db", "pay\u200cpal", "\u200dخ", "خ\u200c", "1\u200d👧", "👧\u200c👧")


@pytest.mark.parametrize("text", LETTERS)
def test_joiners_stay_where_letters_need_them(text: str) -> None:
    """Without them Persian and Hindi are misspelt, and a family is three people."""
    for shown in (terminal_text, html_text, markdown_line, markdown_block):
        assert shown(text) == text
    assert "\\u200" in one_line(text), "a name or a cell has none"


@pytest.mark.parametrize("text", HIDDEN)
def test_joiners_that_are_hidden_are_escaped(text: str) -> None:
    for shown in (terminal_text, html_text, markdown_line, markdown_block):
        assert not any(map(is_hidden, shown(text)))


@pytest.mark.parametrize("text", ["❤\ufe0f", "©\ufe0f", "1\ufe0f\u20e3", "葛\U000e0100", "ᠠ\u180b"])
def test_selectors_stay_where_they_are_seen(text: str) -> None:
    for shown in (terminal_text, html_text, markdown_line, one_line):
        assert shown(text) == text
    assert shell_word(text) == f"'{text}'"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("A-17\u3164", "A-17\\u3164"),
        ("DE\u034f89", "DE\\u034f89"),
        ("pay\ufe0f \U000e0100me", "pay\\ufe0f \\U000e0100me"),
        ("👧\ufe0f\U000e0101", "👧\ufe0f\\U000e0101"),
        ("\u2003\ufe0f", "\u2003\\ufe0f"),
        ("\U000e0fff", "\\U000e0fff"),
    ],
)
def test_what_is_not_drawn_is_escaped(text: str, shown: str) -> None:
    """It is neither a control nor a format: an account with one looks like another account."""
    for safe in (terminal_text, one_line, visible):
        assert safe(text).lower() == shown.lower()
        assert safe(safe(text)) == safe(text)
    written = json.dumps(text)
    assert json.loads(readable_json(written)) == text
    assert readable_json(written).isascii() or text[0] in "👧\u2003"


def test_what_a_reader_needs_stays() -> None:
    text = "Grüße,\tmit 市場 und 🎉:\n\n  eingerückt"
    assert terminal_text(text) == text
    assert terminal_text("a\r\nb") == "a\nb"
    assert one_line("F\x13. \x1b[31mred\x1b[0m end \u202etxt.exe") == (
        "F\\x13. \\x1b[31mred\\x1b[0m end \\u202etxt.exe"
    )


@pytest.mark.fuzz
@settings(max_examples=examples(300), deadline=None)
@given(TEXTS.filter(lambda text: text.isprintable() or not _has_surrogate(text)))
def test_json_stays_the_same_json(text: str) -> None:
    printed = json_text(json.dumps({"text": text}, ensure_ascii=False))
    assert json.loads(printed) == {"text": text}
    assert not any(map(is_hidden, printed))


def _has_surrogate(text: str) -> bool:
    return any(unicodedata.category(each) == "Cs" for each in text)


@pytest.mark.fuzz
@settings(max_examples=examples(300), deadline=None)
@given(TEXTS)
def test_html_and_markdown_have_no_markup_of_the_text(text: str) -> None:
    assert html.unescape(html_text(text)) == html.unescape(html.escape(terminal_text(text)))
    for marked in (html_text(text), markdown_line(text), markdown_block(text)):
        assert "<" not in marked
        assert ">" not in marked
    for line in markdown_block(text).split("\n"):
        plain = re.sub(r"\\[!-/:-@\[-`{-~]|&\w+;", "", line.strip())
        assert not re.search(r"[\\`*_\[\]~|$<>]", plain)
        assert not re.match(r"\s*(#|=|-+(\s|$)|\+(\s|$)|[0-9]+[.)](\s|$))", line)
        assert not line.startswith("    ")


@pytest.mark.fuzz
@settings(max_examples=examples(300), deadline=None)
@given(TEXTS)
def test_a_line_in_temporals_ui_is_the_text_and_nothing_of_it_is_markup(text: str) -> None:
    """The UI shows entities as they are written, and takes `<b>` for HTML."""
    marked = markdown_line_for_temporal(text)
    escaped = re.compile(r"\\([!-/:-@\[-`{-~])")
    assert not re.search(r"[\\`*_\[\]~|$<>&]", escaped.sub("", marked))
    shown = _with_joiners_escaped(escaped.sub(r"\1", marked))
    assert shown == one_line(" ".join(text.splitlines())).strip()


@pytest.mark.fuzz
@settings(max_examples=examples(300), deadline=None)
@given(TEXTS)
def test_a_code_span_cannot_be_ended(text: str) -> None:
    shown = markdown_code(text)
    fence = re.match("`+", shown)
    assert fence is not None
    inside = shown[len(fence[0]) : -len(fence[0])]
    assert fence[0] not in re.findall("`+", inside)


@pytest.mark.fuzz
@settings(max_examples=examples(300), deadline=None)
@given(TEXTS)
def test_a_mermaid_label_is_one_quoted_string(text: str) -> None:
    assert not set(mermaid_text(text)) & set('"<>&[]{}|`\\\n')


PASTABLE = TEXTS.filter(lambda text: not _has_surrogate(text) and "\x00" not in text)


@settings(max_examples=20, deadline=None)
@given(st.lists(PASTABLE, min_size=1, max_size=30))
def test_a_shell_passes_every_argument_on_as_it_was(arguments: list[str]) -> None:
    words = [shell_word(each) for each in arguments]
    assert not any(map(is_hidden, "".join(words)))
    line = "printf '%s\\0' " + " ".join(words)
    printed = subprocess.run(["bash", "-c", line], capture_output=True, check=True).stdout
    assert printed.decode().split("\x00")[:-1] == arguments


def test_a_command_quotes_its_arguments_and_ends_its_options(tmp_path: Path) -> None:
    assert shell_command("starter.py", "watch", "brief-1") == "starter.py watch brief-1"
    evil = f"x; touch {tmp_path}/pwned `id` $(id)"
    assert shell_command("starter.py", "retry", evil, "a") == f"starter.py retry '{evil}' a"
    assert shell_command("starter.py", "retry", "--json", "a") == "starter.py retry -- --json a"


@given(TEXTS, st.booleans())
def test_readable_json_is_the_same_json_and_shows_letters_as_they_are(
    text: str, escaped: bool
) -> None:
    written = json.dumps({text: [text, 1.50]}, ensure_ascii=escaped)
    shown = readable_json(written)
    assert json.loads(shown) == json.loads(written)
    if escaped:
        assert not any(is_hidden(char) for char in shown)


def test_readable_json_reads_letters_and_leaves_what_only_looks_like_one() -> None:
    assert readable_json(r'{"to": "\u5e02\u5834 \ud83d\ude80"}') == '{"to": "市場 🚀"}'
    for same in (r'"\\u5e02"', r'"\u202e\u00a0\ud83d"', r'"\n"', "{", r"\u12"):
        assert readable_json(same) == same


@pytest.mark.parametrize(
    "text",
    ["", " \n\t\u00a0\u3000", "\u200b\u200c\u200d\u2060\ufeff", "\u034f\ufe0f\u0301",
     "\u3164\u2800", "\U000e0041\U000e007f", "\u202e \x00"],
)  # fmt: skip
def test_a_text_of_which_nothing_is_seen_is_blank(text: str) -> None:
    assert is_blank(text)
    for seen in ("a", "0", ".", "é", "한", "😀", "\ufffd"):
        assert not is_blank(text + seen + text)
