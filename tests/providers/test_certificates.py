"""SSL_CERT_FILE: what no client could be made with is named, and nothing is waited for."""

import os
from pathlib import Path

import certifi
import pytest

from durable_agent_team.providers.certificates import NAME, certificate_problems


def test_certificates_that_can_be_read_are_no_problem() -> None:
    assert list(certificate_problems({NAME: certifi.where()})) == []
    assert list(certificate_problems({NAME: ""})) == []
    assert list(certificate_problems({})) == []


@pytest.mark.parametrize("kind", ["missing", "empty", "key", "folder", "pipe", "/dev/zero"])
def test_what_cannot_be_used_is_named_with_a_remedy(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    if kind == "empty":
        path.touch()
    elif kind == "key":
        path.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    [(name, value, what, remedy)] = certificate_problems({NAME: str(path)})
    assert (name, value) == (NAME, str(path))
    assert what in ("is no file", "contains no certificate that can be read")
    assert "PEM" in remedy
