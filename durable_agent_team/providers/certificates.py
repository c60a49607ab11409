"""Which certificates a client of HTTPS trusts: those of SSL_CERT_FILE, or the bundled ones."""

import os
import ssl
from collections.abc import Iterator, Mapping

NAME = "SSL_CERT_FILE"


def certificate_problems(environment: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """The variable, if no client can be made with it, as `proxy_problems` reports one."""
    file = environment.get(NAME, "")
    problem = _problem(file) if file else None
    if problem is not None:
        yield NAME, file[:300], problem, "name a file of certificates in PEM, or leave it out"


def _problem(file: str) -> str | None:
    if not os.path.isfile(file):  # a pipe would be waited for
        return "is no file"
    try:
        ssl.create_default_context(cafile=file)
    except ssl.SSLError:
        return "contains no certificate that can be read"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None
