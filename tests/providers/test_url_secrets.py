"""Addresses as they may be shown."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_agent_team.providers.url_secrets import without_url_secrets
from tests.support.fuzzing import examples

SECRET = "S3CRET"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (f"https://me:{SECRET}@host/v1", "https://***@host/v1"),
        (f"https://{SECRET}@host", "https://***@host"),
        (f"https://me@x:{SECRET}@[::1]:8/v1", "https://***@[::1]:8/v1"),
        (f"https://me:a/{SECRET}@host/v1", "https://***@host/v1"),
        (f"https://me:a?{SECRET}#@host/v1", "https://***@host/v1"),
        (f"me:{SECRET}@host:7233", "***@host:7233"),
        (f"https://host/v1?key={SECRET}&page=2#x", "https://host/v1?key=***&page=***#x"),
        (
            f"with url: /v1/traces?api-key={SECRET} (Caused",
            "with url: /v1/traces?api-key=*** (Caused",
        ),
        (f"{{'url': 'https://me:{SECRET}@host?a={SECRET}'}}", "{'url': 'https://***@host?a=***'}"),
        ("https://host:8402/@org/agent", "https://host:8402/@org/agent"),
        ("https://host/@org/agent", "https://host/@org/agent"),
        ("Is a = b? Write to me@example.com", "Is a = b? Write to me@example.com"),
    ],
)
def test_secrets_are_hidden_and_the_rest_stays(address: str, shown: str) -> None:
    assert without_url_secrets(address) == shown
    assert without_url_secrets(shown) == shown


@pytest.mark.fuzz
@settings(max_examples=examples(300), deadline=None)
@given(
    st.sampled_from(["https://{}@host/v1", "https://me:{}@host:80/v1", "http://host/?key={}&b=1"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=8),
)
def test_no_password_is_left(form: str, around: str) -> None:
    """Whatever is around it, where it was encoded as a URL wants it or not."""
    if "?key" in form:
        around = "".join(char for char in around if char not in "&#'\"")
    else:
        around = "".join(char for char in around if char not in "/?#")
    assert SECRET not in without_url_secrets(form.format(around + SECRET))
