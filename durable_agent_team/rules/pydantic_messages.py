"""pydantic's errors in plain English: what is wrong with a value, and how to correct it."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError

from durable_agent_team.contracts.names import IDENTIFIER
from durable_agent_team.contracts.text_ref import SHA256

_KINDS: Final = MappingProxyType(
    {
        "string_type": "a text is needed here",
        "int_type": "a whole number is needed here",
        "int_parsing": "a whole number is needed here",
        "int_parsing_size": "a whole number of fewer digits is needed here",
        "int_from_float": "a whole number is needed here",
        "float_type": "a number is needed here",
        "float_parsing": "a number is needed here",
        "decimal_type": "an amount in US dollars is needed here",
        "decimal_parsing": "an amount in US dollars is needed here",
        "bool_type": "true or false is needed here",
        "bool_parsing": "true or false is needed here",
        "dict_type": "keys and values are needed here",
        "model_type": "keys and values are needed here",
        "tuple_type": "a list is needed here",
        "missing": "is missing",
        "extra_forbidden": "is not known",
        "decimal_max_places": "an amount has at most six decimal places",
        "finite_number": "this is not a finite number",
        "string_unicode": "this is not text: it contains half of a character",
        "path_not_file": "there is no such file",
        "no_amount": "an amount in US dollars is needed here",
        "invalid_key": "a key is a text",
    }
)
_REMEDIES: Final = MappingProxyType(
    {
        "decimal_type": "write it like 0.25",
        "decimal_parsing": "write it like 0.25",
        "decimal_max_places": "round it",
        "finite_number": "write it like 0.25",
        "string_unicode": "write the character itself",
        "no_amount": "write it like 0.25",
        "invalid_key": "put it in quotes, or leave it out",
    }
)
NAME_REMEDY = "use a small letter, then up to 39 small letters, digits, `-` or `_`"


def explain_error(line: Any) -> tuple[str, str]:
    """The problem and its remedy (empty if the problem implies it) of one pydantic error."""
    kind, context = line["type"], line.get("ctx", {})
    if found := _bound(kind, context):
        return found
    if kind == "string_pattern_mismatch":
        if context.get("pattern") == IDENTIFIER:
            return "this is not a name", NAME_REMEDY
        if context.get("pattern") == SHA256:
            return "this is not a SHA-256", "copy all 64 characters, as `approvals` prints them"
        if str(context.get("pattern")).startswith("^https?"):
            return (
                "this is not an http:// or https:// URL",
                "write it like https://example.com/hook",
            )
        return "this has characters that cannot be here", f"it must match {context.get('pattern')}"
    if kind in ("literal_error", "enum"):
        return "this is not one of the choices", f"one of {context.get('expected', '')}"
    if kind in _KINDS:
        return _KINDS[kind], _REMEDIES.get(kind, "")
    what = str(line["msg"]).removeprefix("Value error, ")
    return what[:1].lower() + what[1:], ""


def in_lines(error: ValidationError) -> str:
    """A line for each wrong value, under its name."""
    return "\n".join(map(_line, error.errors()))


def _line(error: Any) -> str:
    what, remedy = explain_error(error)
    field = ".".join(map(str, error["loc"]))
    if error["type"] not in ("missing", "extra_forbidden"):
        field += f" = {shown(str(error['input']), 60)}"
    return f"{field}: {what} ({remedy})" if remedy else f"{field}: {what}"


def _bound(kind: str, context: Mapping[str, Any]) -> tuple[str, str] | None:
    match kind:
        case "greater_than":
            return "is too small", f"use more than {_number(context['gt'])}"
        case "greater_than_equal":
            return "is too small", f"use {_number(context['ge'])} or more"
        case "less_than":
            return "is too large", f"use less than {_number(context['lt'])}"
        case "less_than_equal":
            return "is too large", f"use {_number(context['le'])} or less"
        case "string_too_short":
            return _short(context["min_length"], "characters")
        case "string_too_long":
            return f"more than {_number(context['max_length'])} characters", "shorten it"
        case "too_short":
            return _short(context["min_length"], "entries")
        case "too_long":
            return f"more than {_number(context['max_length'])} entries", "take some out"
    return None


def _short(least: int, of: str) -> tuple[str, str]:
    if least == 1:
        return "is empty", "fill it in, or leave the key out"
    return "is too short", f"use {least} {of} or more"


def _number(value: Any) -> str:
    """Without an exponent: 1,000,000 and 0.5."""
    exact = Decimal(str(value))
    return f"{int(exact):,}" if exact == exact.to_integral_value() else f"{exact:f}"


def shown(text: str, most: int = 80) -> str:
    """A value as one line of a message, with control characters escaped."""
    plain = "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
    return plain if len(plain) <= most else f"{plain[: most - 1]}… ({len(text):,} characters)"
