"""The formats of JSON Schema, checked without other packages: each of linear cost.

Sources: JSON Schema 2020-12, section 7.3; RFC 3339 (dates, times, durations), RFC 5321 (e-mail),
RFC 1123 (host names), RFC 3986 and 3987 (URIs, IRIs), RFC 4122 (UUIDs), RFC 6901 (JSON Pointer).
A format that is not in the list is not checked, as the standard wants it.
"""

import ipaddress
import re
from collections.abc import Callable
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from durable_agent_team.contracts.ecma_patterns import PatternError, python_pattern

_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIME = re.compile(
    r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]+)?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_CLOCK = r"(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)"
_DAYS = r"(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)"
_DURATION = re.compile(rf"P(?:[0-9]+W|{_DAYS}(?:T{_CLOCK})?|T{_CLOCK})")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
_IDN_LABEL = re.compile(r"[^\W_](?:[\w-]{0,61}[\w])?")
_ATOMS = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.I)
_QUOTED = re.compile(r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"')
_URI = re.compile(r"(?:[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")
_IRI = re.compile(r"(?:[^\x00-\x20\x7f\"#%<>\\^`{|}\u0080-\u009f]|%[0-9A-Fa-f]{2})*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_TEMPLATE = re.compile(
    r"(?:[^\x00-\x20\"'%<>\\^`{|}]|%[0-9A-Fa-f]{2}|\{[+#./;?&=,!@|]?[\w.%]+(?::[0-9]{1,4}|\*)?"
    r"(?:,[\w.%]+(?::[0-9]{1,4}|\*)?)*\})*"
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
_RELATIVE = re.compile(r"(?:0|[1-9][0-9]*)(?:#|((?:/(?:[^~/]|~[01])*)*))")


def _is_date(text: str) -> bool:
    found = _DATE.fullmatch(text)
    if found is None:
        return False
    try:
        date(*map(int, found.groups()))
    except ValueError:
        return False
    return True


def _is_time(text: str) -> bool:
    found = _TIME.fullmatch(text)
    if found is None:
        return False
    hour, minute, second = map(int, found.group(1, 2, 3))
    ahead = int(found[5] or 0) * 60 + int(found[6] or 0)
    if (
        hour > 23
        or minute > 59
        or second > 60
        or int(found[5] or 0) > 23
        or int(found[6] or 0) > 59
    ):
        return False
    utc = hour * 60 + minute - (ahead if found[4] == "+" else -ahead)
    return second < 60 or utc % 1440 == 1439  # a leap second


def _is_date_time(text: str) -> bool:
    return text[10:11] in ("T", "t") and _is_date(text[:10]) and _is_time(text[11:])


def _is_hostname(text: str, label: re.Pattern[str] = _LABEL) -> bool:
    return len(text) <= 253 and all(label.fullmatch(each) for each in text.split("."))


def _is_email(text: str, label: re.Pattern[str] = _LABEL) -> bool:
    local, at, domain = text.rpartition("@")
    plain = local if label is _LABEL else "".join(each if each.isascii() else "x" for each in local)
    if not at or len(local) > 64 or not (_ATOMS.fullmatch(plain) or _QUOTED.fullmatch(plain)):
        return False
    if domain.startswith("[") and domain.endswith("]"):
        address = domain[1:-1]
        return _is_ipv6(address[5:]) if address.startswith("IPv6:") else _is_ipv4(address)
    return _is_hostname(domain, label)


def _is_ipv4(text: str) -> bool:
    try:
        return bool(text.isascii() and ipaddress.IPv4Address(text))
    except ValueError:
        return False


def _is_ipv6(text: str) -> bool:
    try:
        return bool("%" not in text and ipaddress.IPv6Address(text) is not None)
    except ValueError:
        return False


def _is_reference(text: str, characters: re.Pattern[str] = _URI) -> bool:
    """A URI or a relative reference: at most one fragment, and a valid host."""
    address, _, fragment = text.partition("#")
    if not characters.fullmatch(address) or not characters.fullmatch(fragment):
        return False
    if any(bracket in fragment for bracket in "[]"):
        return False
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return False
    beyond_host = parts.path + parts.query
    return (port is None or port >= 0) and not any(each in beyond_host for each in "[]")


def _is_uri(text: str, characters: re.Pattern[str] = _URI) -> bool:
    return _SCHEME.match(text) is not None and _is_reference(text, characters)


def _is_regex(text: str) -> bool:
    try:
        python_pattern(text)
    except PatternError:
        return False
    return True


def _matches(expression: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: expression.fullmatch(text) is not None


def _is_relative_pointer(text: str) -> bool:
    return _RELATIVE.fullmatch(text) is not None


FORMATS: dict[str, Callable[[str], bool]] = {
    "date": _is_date,
    "time": _is_time,
    "date-time": _is_date_time,
    "duration": _matches(_DURATION),
    "email": _is_email,
    "idn-email": lambda text: _is_email(text, _IDN_LABEL),
    "hostname": _is_hostname,
    "idn-hostname": lambda text: _is_hostname(text, _IDN_LABEL),
    "ipv4": _is_ipv4,
    "ip-address": _is_ipv4,
    "ipv6": _is_ipv6,
    "uri": _is_uri,
    "uri-reference": _is_reference,
    "iri": lambda text: _is_uri(text, _IRI),
    "iri-reference": lambda text: _is_reference(text, _IRI),
    "uri-template": _matches(_TEMPLATE),
    "uuid": _matches(_UUID),
    "json-pointer": _matches(_POINTER),
    "relative-json-pointer": _is_relative_pointer,
    "regex": _is_regex,
}
"""By their names in any draft."""


def format_checker() -> Any:
    """These checks for jsonschema, which is imported when it is needed."""
    from jsonschema import FormatChecker  # noqa: PLC0415

    checker = FormatChecker(formats=())
    for name, is_valid in FORMATS.items():
        checker.checkers = {**checker.checkers, name: (_for_texts(is_valid), ())}
    return checker


def _for_texts(is_valid: Callable[[str], bool]) -> Callable[[object], bool]:
    """A format says nothing about what is no text."""
    return lambda value: not isinstance(value, str) or is_valid(value)
