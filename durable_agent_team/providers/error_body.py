"""Finds the error in a provider's response: beside an answer, instead of one, or in a choice.

The shapes are those that the providers document:

- OpenAI, DeepSeek, xAI, Groq, Azure: `{"error": {"message", "type", "param", "code"}}`
- OpenRouter: `{"error": {"code": 429, "message", "metadata"}}`, also as `choices[0].error`
  (https://openrouter.ai/docs/api-reference/errors)
- Anthropic: `{"type": "error", "error": {"type": "overloaded_error", "message"}}`
- Google: `[{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [...]}}]`
- Mistral, vLLM: `{"object": "error", "message", "type", "code"}`
- ATXP: `{"restriction": {"error", "message"}}`
- Baidu: `{"error_code", "error_msg"}`
- Gemini, of a prompt that it does not answer: `{"promptFeedback": {"blockReason"}}`, no candidates
- others: `{"errors": [...]}`, `{"detail": ...}`, `{"code", "message"}`, a bare text
- proxies: the provider's error as JSON in the `message` of one of their own, after LiteLLM's names
  for it (`litellm.BadRequestError: AnthropicException - {…}`) too, or, as OpenRouter has it, as
  JSON, an object or words in `metadata.raw`
- Groq: `{"x_groq": {"error": "over_capacity"}}`, in a chunk of a stream
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

CODE_FIELDS = (
    "code",
    "type",
    "status",
    "reason",
    "error_code",
    "errorCode",
    "error_type",
    "__type",  # Amazon's, with a namespace before it
)
STATUS_FIELDS = (
    "originalStatusCode",  # of the model behind Amazon Bedrock, whose own status is 424
    "http_status",
    "httpStatus",
    "http_code",
    "status_code",
    "statusCode",
    "status",
    "code",
)
TEXT_FIELDS = ("message", "detail", "msg", "error_description", "title", "status_msg", "error_msg")
MARKS = ("code", "error_code", "errorCode", "statusCode", "status_code")
"""What makes an object with a text an error where it is all of a response."""
SUCCESS = frozenset({"0", "200", "ok", "success"})
WAITS = {
    "estimated_time": "retry-after",  # Hugging Face, while a model is loaded
    "resets_at": "retry-after",
    "resets_in_seconds": "retry-after",
    "retry_after_ms": "retry-after-ms",
    "retryAfterMs": "retry-after-ms",
    "retry_after": "retry-after",
    "retryAfter": "retry-after",
    "retry_after_seconds": "retry-after",
    "retryAfterSeconds": "retry-after",
}
"""Fields of an error that say how long to wait, and the header that says the same. Of several for
one header, the last one counts."""
WRAPPED = re.compile(r"(?:litellm\.\w{1,60}: )?(?:\w{1,60}Error: )?\w{1,60}Exception - (?=\{)")
MAX_CODES = 20
MAX_INNER = 20_000
MAX_ITEMS = 20
"""At most this many entries of a list in an error are read."""
FAILED = frozenset({"error", "insufficient_system_resource", "network_error"})
"""As a `finish_reason`: the provider failed in the middle of the answer (OpenRouter, Mistral; the
others are DeepSeek's and GLM's). OpenRouter also has it as the provider's own word alone."""
OBJECT = (dict, Mapping)
"""To ask whether a value is an object: a `dict` is known at once."""
MINIMAX = {
    "1001": "timeout",
    "1002": "rate_limit",
    "1004": "invalid_api_key",
    "1008": "insufficient_balance",
    "1026": "content_filter",
    "1027": "content_filter",
    "1039": "rate_limit",
    "1041": "rate_limit",
    "1042": "invalid_request",
    "2013": "invalid_request",
    "2045": "rate_limit",
    "2049": "invalid_api_key",
    "2056": "rate_limit",
}
"""The `status_code` of its `base_resp`, which is in a response with the status 200. Its reference,
"Error Codes"."""


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """An error as its response has it."""

    code: str | None = None
    """Its `code`, if that is a text that is not blank."""
    codes: tuple[str, ...] = ()
    """All texts that may be a code: of the error, of its details, of what is around it."""
    status: int | None = None
    """The status of an HTTP error that is in it, as a number or as digits."""
    message: str | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)
    """Those of the provider behind a router (OpenRouter's `metadata.headers`), and what the error
    itself says of how long to wait."""
    details: tuple[Mapping[str, Any], ...] = ()
    """Google's `details`."""


def error_in(body: Any) -> ErrorBody | None:
    """The error of a response with the status 200; None if there is none. Where a choice only ends
    with a `finish_reason` that says so, the error is empty."""
    found = stated_error(body)
    if found is None and isinstance(body, Mapping) and ends_badly(body):
        return ErrorBody()
    return found


def stated_error(body: Any) -> ErrorBody | None:
    """The error that is in a response or in a chunk of one. An `error` that says nothing (null,
    false, an empty text or object) is none."""
    if isinstance(body, list):
        return next((found for each in _dicts(body) if (found := stated_error(each))), None)
    if not isinstance(body, Mapping):
        return None
    for around, inner in _candidates(body):
        if _says_something(inner):
            return _read(inner, around)
    return None


def error_of(body: Any) -> ErrorBody:
    """The error of a response with the status of an error, as much of it as the body says."""
    found = stated_error(body)
    if found is None and isinstance(body, Mapping):
        return _read(body, {})
    return found or ErrorBody()


def failed_choice(body: Mapping[str, Any]) -> bool:
    """Whether a choice says that the provider failed while it made the answer."""
    for choice in _choices(body):
        if _ends_badly(choice) or _says_something(choice.get("error")):
            return True
    return False


def ends_badly(body: Mapping[str, Any]) -> bool:
    """Whether the `finish_reason` of a choice is one of FAILED."""
    return any(map(_ends_badly, _choices(body)))


def _ends_badly(choice: Mapping[str, Any]) -> bool:
    reasons = (choice.get(name) for name in ("finish_reason", "native_finish_reason"))
    return any(isinstance(each, str) and each.lower() in FAILED for each in reasons)


def _candidates(body: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Any]]:
    """What may be the error, with what is around it."""
    yield body, _first(body.get("error"))
    yield body, _first(body.get("errors"))
    for choice in _choices(body):
        yield choice, choice.get("error")
        message = choice.get("message")
        if isinstance(message, OBJECT):
            yield choice, message.get("error")
    yield {}, body.get("restriction")
    groq = body.get("x_groq")
    yield {}, groq.get("error") if isinstance(groq, Mapping) else None
    if "error" in (body.get("object"), body.get("type")):
        yield {}, body
    result = body.get("base_resp")
    if isinstance(result, Mapping) and result.get("status_code") not in (None, 0, "0"):
        code = MINIMAX.get(str(result["status_code"]), str(result["status_code"]))
        yield {}, {**result, "status_code": None, "code": code}
    if _choices(body):
        return
    if reason := _block_reason(body):
        yield {}, {"code": "content_filter", "message": f"The prompt was blocked: {reason}"}
    marked = any(str(body.get(name) or "0").lower() not in SUCCESS for name in MARKS)
    if marked and any(isinstance(body.get(name), str) for name in TEXT_FIELDS):
        yield {}, body
    if isinstance(body.get("detail"), str) and _as_status(body.get("status")):
        yield {}, body  # RFC 9457
    yield {}, _first(body.get("detail"))


def _block_reason(body: Mapping[str, Any]) -> str | None:
    feedback = body.get("promptFeedback") or body.get("prompt_feedback")
    if not isinstance(feedback, Mapping):
        return None
    return _text(feedback.get("blockReason") or feedback.get("block_reason"))


def _first(error: Any) -> Any:
    """The first of a list of errors."""
    return error[0] if isinstance(error, list) and error else error


def _choices(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    choices = body.get("choices")
    return _dicts(choices) if isinstance(choices, list) else []


def _dicts(items: list[Any]) -> list[Mapping[str, Any]]:
    return [each for each in items[:MAX_ITEMS] if isinstance(each, OBJECT)]


def _says_something(error: Any) -> bool:
    if error is None:
        return False
    if isinstance(error, OBJECT):
        return any(each not in (None, "", False, 0, {}, []) for each in error.values())
    if isinstance(error, str):
        return bool(error.strip())
    return error is True or _as_status(error) is not None


def _read(error: Any, around: Mapping[str, Any]) -> ErrorBody:
    if not isinstance(error, Mapping):
        text = error if isinstance(error, str) else None
        code = around.get("code")
        codes = [*_texts(around, CODE_FIELDS), *([text] if text else [])]
        status = _as_status(error) or _status(around)
        waits = _told_waits((around, {}, {}))
        return ErrorBody(_text(code), tuple(codes[:MAX_CODES]), status, text, waits)
    inner = error.get("error")
    if isinstance(inner, Mapping) and _says_something(inner) and not error.get("code"):
        return _read(inner, error)
    metadata = error.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    details = error.get("details")
    listed = _dicts(details) if isinstance(details, list) else []
    more = error.get("errors")
    parts = [error, metadata, error.get("innererror"), error.get("extensions"), *listed]
    parts += _dicts(more) if isinstance(more, list) else []
    codes = [code for part in (*parts, around) for code in _texts(part, CODE_FIELDS)]
    if isinstance(inner, str):  # ATXP's `restriction.error`
        codes.append(inner)
    message = next((each for each in _texts(error, TEXT_FIELDS)), None)
    if message is None and around:
        message = next((each for each in _texts(around, TEXT_FIELDS)), None)
    quoted = _behind(metadata.get("raw")) or _quoted(message) or ErrorBody()
    return ErrorBody(
        code=_text(error.get("code")) or quoted.code,
        codes=tuple([*codes, *_texts(metadata, ("limit_source",)), *quoted.codes][:MAX_CODES]),
        status=_status(error) or _status(around) or quoted.status,
        message=quoted.message or message,
        headers={**quoted.headers, **_told_waits((error, metadata, around))},
        details=(*listed, *quoted.details),
    )


def _quoted(message: str | None) -> ErrorBody | None:
    """The error that a message is, as JSON."""
    if message is None or len(message) > MAX_INNER:
        return None
    try:
        if wrapped := WRAPPED.match(message):  # words of its own may follow
            return stated_error(json.JSONDecoder().raw_decode(message, wrapped.end())[0])
        is_json = message.lstrip()[:1] in ("{", "[")
        return stated_error(json.loads(message)) if is_json else None
    except (ValueError, RecursionError):
        return None


def _behind(raw: Any) -> ErrorBody | None:
    """The error of the provider behind a router, whose own words ("Provider returned error") say
    nothing."""
    if isinstance(raw, str):
        return _quoted(raw) or (ErrorBody(message=raw) if raw.strip() else None)
    return stated_error(raw) if isinstance(raw, OBJECT) else None


def _told_waits(parts: tuple[Mapping[str, Any], ...]) -> Mapping[str, Any]:
    """Of an error, of its `metadata`, and of what is around it."""
    said = {
        header: part[name]
        for part in parts
        for name, header in WAITS.items()
        if isinstance(part.get(name), int | float | str)
    }
    headers = parts[1].get("headers")
    return {**said, **headers} if isinstance(headers, Mapping) else said


def _texts(part: Any, names: tuple[str, ...]) -> list[str]:
    """Those that are texts, and codes that are numbers but no status."""
    if not isinstance(part, Mapping):
        return []
    found = (part.get(name) for name in names)
    return [text for each in found if (text := _text(_number_as_text(each)))]


def _number_as_text(value: Any) -> Any:
    is_code = isinstance(value, int) and not isinstance(value, bool) and 1_000 <= value < 10**9
    return str(value) if is_code else value


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _status(part: Mapping[str, Any]) -> int | None:
    found = (_as_status(part.get(name)) for name in STATUS_FIELDS)
    return next((status for status in found if status is not None), None)


def _as_status(value: Any) -> int | None:
    """The status of an HTTP error, as a number or as digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
        value = int(value)
    is_status = isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600
    return value if is_status else None
