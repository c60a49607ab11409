"""Checks of an answer. They return the reasons for a rejection, which the agent gets back."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing.exceptions import Unresolvable
from referencing.jsonschema import EMPTY_REGISTRY

from activities.calls.output_formats import output_schema
from activities.error_translation import InvalidSchema
from durable_agent_team.contracts.call import MAX_ANSWER, CallRequest, Source

MAX_REASONS = 10
MAX_REASON = 300
MAX_EXCERPT = 80
MAX_CHECKED_PASSAGE = 2_000

_FENCE = re.compile(
    r"\A\s*```(?:[a-z]*[ \t]*\n|(?:json)?[ \t]*(?=[\[{]))(.*?)\n?[ \t]*```\s*\Z",
    re.DOTALL | re.IGNORECASE,
)
_PASSAGE = re.compile(r"“([^“”]+)”|„([^„“”]+)[“”]|«([^«»]+)»|\"([^\"]+)\"")
_TYPOGRAPHY = str.maketrans(
    {"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "‚": "'"}
)


def unfenced(text: str) -> str:
    """The text without the Markdown fence that models like to put around JSON."""
    fenced = _FENCE.match(text)
    return fenced.group(1) if fenced else text


def prepare(call: CallRequest) -> None:
    """Compiles the output's schema before anything is paid. Raises `InvalidSchema`."""
    schema = output_schema(call.output, call.sources)
    if schema is not None:
        _validator(json.dumps(schema, sort_keys=True))


def check(call: CallRequest, answer: str) -> tuple[str, ...]:
    """Why this answer may not be handed on; empty if it may. Raises `InvalidSchema`."""
    return tuple(_cut(reason, MAX_REASON) for reason in _reasons(call, answer))[:MAX_REASONS]


def _reasons(call: CallRequest, answer: str) -> Iterator[str]:
    if not answer.strip():
        yield "The answer is empty. Answer the request."
        return
    yield from _length(call, answer)
    schema = output_schema(call.output, call.sources)
    value: Any = None
    if schema is not None:
        validator = _validator(json.dumps(schema, sort_keys=True))
        try:
            value = json.loads(answer, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            yield f"The answer is not JSON ({_cut(str(error), 120)}). Answer with JSON alone."
            return
        yield from _schema(validator, value)
    if call.checks.quotes_exist_in == "inputs":
        quotes = _json_quotes(value) if schema is not None else _text_quotes(answer)
        yield from _quotes(quotes, call.sources)


def _length(call: CallRequest, answer: str) -> Iterator[str]:
    least, most = call.checks.min_length, call.checks.max_length
    if len(answer) > MAX_ANSWER:
        yield f"The answer has more than {MAX_ANSWER} characters. Answer far more briefly."
    if least is not None and len(answer) < least:
        yield f"The answer has {len(answer)} characters; at least {least} are asked for."
    if most is not None and len(answer) > most:
        yield f"The answer has {len(answer)} characters; at most {most} are allowed. Shorten it."


@lru_cache(maxsize=256)
def _validator(schema_text: str) -> Draft202012Validator:
    """Compiled once for each schema. References outside the schema are never fetched."""
    schema = json.loads(schema_text)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise InvalidSchema(
            f"the task's `output` is not a valid JSON Schema at {error.json_path}:"
            f" {_cut(error.message, 200)}; correct it in the team file"
        ) from None
    return Draft202012Validator(schema, registry=EMPTY_REGISTRY)


def _schema(validator: Draft202012Validator, value: Any) -> Iterator[str]:
    try:
        found = [_in_words(error) for error in validator.iter_errors(value)]
    except Unresolvable as error:
        raise InvalidSchema(
            f"the task's `output` refers to {error.ref!r}, which is not in the schema itself;"
            " put it under `$defs` in the team file"
        ) from None
    except RecursionError:
        found = ["The answer is nested too deeply. Answer with the shape that is asked for."]
    except re.error as error:
        raise InvalidSchema(f"a `pattern` in the task's `output` is no regex: {error}") from None
    yield from found


def _in_words(error: ValidationError) -> str:
    where = error.json_path.removeprefix("$").removeprefix(".") or "the whole answer"
    return f"At {where}: {_cut(error.message, 200)}"


def _json_quotes(value: Any) -> Iterator[str]:
    """Every text under a key `quote` or `quotes`, at any depth."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in ("quote", "quotes"):
                yield from _texts(inner)
            else:
                yield from _json_quotes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _json_quotes(inner)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _text_quotes(answer: str) -> Iterator[str]:
    """Passages in double quotes of three words or more: shorter ones are names and irony."""
    for match in _PASSAGE.finditer(answer):
        passage = next(group for group in match.groups() if group is not None)
        if len(passage.split()) >= 3 and len(passage) <= MAX_CHECKED_PASSAGE:
            yield passage.strip().rstrip(",.;")  # Their comma may belong to the quoting sentence.


def _quotes(quotes: Iterator[str], sources: Sequence[Source]) -> Iterator[str]:
    texts: list[str] | None = None
    for quote in quotes:
        if texts is None:
            texts = [normalised(text) for source in sources for text in _readings(source.text)]
        wanted = normalised(quote)
        if not wanted:
            yield "A quote is empty. Copy a sentence from the inputs word for word."
        elif not any(wanted in text for text in texts):
            excerpt = _cut(wanted, MAX_EXCERPT)
            yield (
                f'The quote "{excerpt}" is in none of the inputs.'
                " Copy quotes word for word, or leave them out."
            )


def _readings(text: str) -> Iterator[str]:
    """The source as it is, and where it is JSON also the texts in it, without their escapes."""
    yield text
    if text.lstrip()[:1] in ("{", "["):
        try:
            yield from _texts(json.loads(text))
        except (ValueError, RecursionError):
            return


def normalised(text: str) -> str:
    """One kind of quotation mark and single spaces: what a faithful copy may change."""
    return " ".join(text.translate(_TYPOGRAPHY).split())


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
