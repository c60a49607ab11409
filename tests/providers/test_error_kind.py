"""What an error means, in the spelling of each provider."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_agent_team.providers.error_body import error_of
from durable_agent_team.providers.error_kind import (
    ErrorKind,
    error_inside,
    provider_error,
)

WAIT, FUNDS, FINAL = ErrorKind.WAIT, ErrorKind.OUT_OF_FUNDS, ErrorKind.FINAL


def error(**fields: Any) -> dict[str, Any]:
    return {"error": {"message": "said the provider", **fields}}


def choice(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": ""}, **fields}]}


def quoted(*arounds: str, **fields: Any) -> dict[str, Any]:
    """An error in the message of an error, as JSON, in that of another, and so on."""
    found = error(**fields)
    for around in arounds:
        found = {"error": {"message": json.dumps(found), "type": around}}
    return found


def behind(raw: Any) -> dict[str, Any]:
    """As OpenRouter passes on the error of the provider behind it."""
    metadata = {"raw": raw, "provider_name": "X"}
    return error(message="Provider returned error", code=400, metadata=metadata)


def sentence(message: str, **fields: Any) -> dict[str, Any]:
    return error(message=message, **fields)


LOW = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."
LIMITS = "You have reached your specified API usage limits. You will regain access on 2026-12-01."
DEPLETED = "Your prepayment credits are depleted. Please go to AI Studio to manage your project."
XAI = "Your team 0a-1b has either used all available credits or reached its monthly spending limit."
NO_CREDITS = "Your newly created team doesn't have any credits or licenses yet."
BAD_REQUEST = {"type": "invalid_request_error"}
LITELLM = "litellm.BadRequestError: AnthropicException - "
SUSPENDED = "Account x is suspended, possibly due to reaching the monthly spending limit."

BY_PROVIDER: list[tuple[str, int, Any, ErrorKind]] = [
    ("OpenAI", 429, error(type="requests", code="rate_limit_exceeded"), WAIT),
    ("OpenAI", 429, error(type="insufficient_quota", code="insufficient_quota"), FUNDS),
    ("OpenAI", 429, error(type="insufficient_quota", code=None), FUNDS),
    ("OpenAI", 400, error(code="billing_hard_limit_reached"), FUNDS),
    ("OpenAI", 429, error(code="billing_not_active"), FUNDS),
    ("OpenAI", 503, error(type="server_error", code=None), WAIT),
    ("OpenAI", 400, error(type="invalid_request_error", code="context_length_exceeded"), FINAL),
    ("OpenAI", 401, error(code="invalid_api_key"), FINAL),
    ("OpenRouter", 402, error(code=402), FUNDS),
    ("OpenRouter", 402, error(code=402, metadata={"limit_source": "openrouter_credits"}), FUNDS),
    (
        "OpenRouter",
        402,
        error(code=402, metadata={"limit_source": "openrouter_in_flight_budget"}),
        WAIT,
    ),
    ("OpenRouter", 502, error(code=429, metadata={"provider_name": "x"}), WAIT),
    ("OpenRouter", 403, error(code=403, metadata={"reasons": ["violence"]}), FINAL),
    ("Anthropic", 529, {"type": "error", "error": {"type": "overloaded_error"}}, WAIT),
    ("Anthropic", 429, {"type": "error", "error": {"type": "rate_limit_error"}}, WAIT),
    ("Anthropic", 402, {"type": "error", "error": {"type": "billing_error"}}, FUNDS),
    ("Anthropic", 400, {"type": "error", "error": {"type": "invalid_request_error"}}, FINAL),
    ("Google", 429, [error(code=429, status="RESOURCE_EXHAUSTED")], WAIT),
    ("Google", 400, [error(code=400, status="FAILED_PRECONDITION")], FINAL),
    ("Google", 503, [error(code=503, status="UNAVAILABLE")], WAIT),
    (
        "Google",
        403,
        error(code=403, status="PERMISSION_DENIED", details=[{"reason": "BILLING_DISABLED"}]),
        FUNDS,
    ),
    ("Azure", 429, error(code="429"), WAIT),
    ("Azure", 429, error(code="too_many_requests"), WAIT),
    ("Azure", 429, {"statusCode": 429, "message": "Try again in 5 seconds."}, WAIT),
    ("Azure", 400, error(code="content_filter", innererror={"code": "Policy"}), FINAL),
    ("DeepSeek", 402, error(type="unknown_error", code="invalid_request_error"), FUNDS),
    ("Mistral", 429, {"object": "error", "type": "rate_limited", "code": "1300"}, WAIT),
    ("Mistral", 402, {"detail": "Payment Required"}, FUNDS),
    ("Moonshot", 429, error(type="exceeded_current_quota_error"), FUNDS),
    ("Moonshot", 429, error(type="engine_overloaded_error"), WAIT),
    ("Groq", 498, error(type="capacity_exceeded"), WAIT),
    ("xAI", 403, {"code": "personal-team-blocked:spending-limit", "error": "x"}, FUNDS),
    ("Alibaba", 400, {"code": "Arrearage", "message": "Access denied."}, FUNDS),
    ("Alibaba", 429, {"code": "Throttling.RateQuota", "message": "slow"}, WAIT),
    ("Z.ai", 429, error(code="1113"), FUNDS),
    ("Z.ai", 429, error(code="1302"), WAIT),
    ("New API", 403, error(type="new_api_error", code="insufficient_user_quota"), FUNDS),
    ("LiteLLM", 400, error(type="budget_exceeded", code="400"), FUNDS),
    ("xAI", 429, {"code": "Some resource has been exhausted", "error": "no credits"}, WAIT),
    ("ATXP", 402, {"restriction": {"error": "fraud_block", "message": "call us"}}, FUNDS),
    ("a gateway of ours", 503, error(code="upstream_out_of_funds"), FUNDS),
    ("a gateway of ours", 402, error(type="insufficient_funds", code="budget_exhausted"), FUNDS),
    ("Groq", 400, error(type="invalid_request_error", code="blocked_api_access"), FUNDS),
    ("Together", 402, error(type="credit_limit", code=None), FUNDS),
    ("Novita", 403, {"code": 403, "reason": "NOT_ENOUGH_BALANCE", "message": "x"}, FUNDS),
    ("xAI", 403, {"code": "personal-team-blocked:spending-limit", "error": "x"}, FUNDS),
    ("Volcengine", 403, error(type="Forbidden", code="AccountOverdueError"), FUNDS),
    ("Alibaba", 403, error(type="AllocationQuota.FreeTierOnly"), FUNDS),
    ("Alibaba", 403, error(code="PostpaidBillOverdue"), FUNDS),
    ("Z.ai", 429, error(code=1113), FUNDS),
    ("Baidu", 429, {"error_code": 18, "error_msg": "Open api qps request limit reached"}, WAIT),
    ("Fireworks", 412, error(code="PRECONDITION_FAILED", message=SUSPENDED), FUNDS),
    ("Fireworks", 412, error(code="PRECONDITION_FAILED", message="It has not loaded."), FINAL),
    ("SiliconFlow", 403, {"code": 30001, "message": "x", "data": None}, FUNDS),
    ("Portkey", 412, {"status": "failure", "message": "You have exceeded the budget"}, FUNDS),
    ("Google", 499, error(code=499, status="CANCELLED"), WAIT),
    ("Google", 403, error(code=403, errors=[{"reason": "rateLimitExceeded"}]), WAIT),
    ("Amazon", 400, {"__type": "com.amazon.coral.service#ThrottlingException"}, WAIT),
    ("Amazon", 400, {"__type": "ValidationException", "message": "x"}, FINAL),
    ("Amazon", 424, {"message": "x", "originalStatusCode": 429}, WAIT),
    ("Amazon", 424, {"message": "x", "originalStatusCode": 400}, FINAL),
    ("Groq", 413, error(type="tokens", code="rate_limit_exceeded"), FINAL),
    ("Cloudflare", 424, {"success": False, "error": [{"code": 2016, "message": "x"}]}, FINAL),
    ("OpenRouter", 400, behind('{"error": {"code": "insufficient_quota"}}'), FUNDS),
    ("OpenRouter", 400, behind('{"error": {"type": "invalid_request_error"}}'), FINAL),
    ("OpenRouter", 400, behind({"error": {"code": "insufficient_quota"}}), FUNDS),
    ("OpenRouter", 400, behind("insufficient_quota"), FINAL),
    ("OpenRouter", 400, behind(7), FINAL),
    ("a proxy", 400, error(code="rate_limit_exceeded"), WAIT),
    ("a proxy", 500, quoted("upstream_error", code="insufficient_quota"), FUNDS),
    ("a proxy", 502, quoted("proxy", "proxy", type="InsufficientBalance"), FUNDS),
    ("a proxy", 400, quoted("proxy", code=429, status="RESOURCE_EXHAUSTED"), WAIT),
    ("a proxy", 400, error(message='{"error": {"code": "insufficient_quota"'), FINAL),
    ("a proxy", 400, error(message="[" * 10_000), FINAL),
    ("a proxy", 502, "<html>Bad Gateway</html>", WAIT),
    ("a proxy", 403, None, FINAL),
    ("Anthropic", 400, {"type": "error", **sentence(LOW, **BAD_REQUEST)}, FUNDS),
    ("Anthropic", 400, {"type": "error", **sentence(LIMITS, **BAD_REQUEST)}, FUNDS),
    ("Anthropic", 400, sentence(f"messages.0: {LOW}", **BAD_REQUEST), FINAL),
    ("LiteLLM", 400, sentence(LITELLM + json.dumps(error(message=LOW)) + " None"), FUNDS),
    ("LiteLLM", 400, sentence(LITELLM + json.dumps(error(**BAD_REQUEST))), FINAL),
    ("LiteLLM", 400, sentence(LITELLM + '{"error": {"code"'), FINAL),
    ("Google", 429, [sentence(DEPLETED, code=429, status="RESOURCE_EXHAUSTED")], FUNDS),
    ("xAI", 429, {"code": "Some resource has been exhausted", "error": XAI}, FUNDS),
    ("xAI", 403, {"code": "The caller does not have permission", "error": NO_CREDITS}, FUNDS),
    ("xAI", 500, {"code": "Internal", "error": XAI}, WAIT),
    ("New API", 403, error(code="pre_consume_token_quota_failed"), FUNDS),
    ("Tencent", 400, error(code="FailedOperation.ResourcePackExhausted"), FUNDS),
]


@pytest.mark.parametrize(("who", "status", "body", "kind"), BY_PROVIDER)
def test_each_provider_is_understood(who: str, status: int, body: Any, kind: ErrorKind) -> None:
    assert provider_error(status, body).kind is kind, who


INSIDE: list[tuple[Any, ErrorKind, int]] = [
    (error(code=402), FUNDS, 402),
    (error(code="insufficient_quota"), FUNDS, 429),
    (error(type="InsufficientBalance"), FUNDS, 429),
    (error(code=429), WAIT, 429),
    (error(code="429"), WAIT, 429),
    (error(code="rateLimitExceeded"), WAIT, 429),
    (error(code=503), WAIT, 503),
    (error(code="image_too_large"), FINAL, 400),
    (error(code="bio_policy"), FINAL, 400),
    (error(code="image_content_policy_violation"), FINAL, 400),
    (error(code="vector_store_timeout"), WAIT, 504),
    (error(code=400), FINAL, 400),
    (error(code="model_not_found"), FINAL, 404),
    (error(code=401), FINAL, 401),
    (error(), WAIT, 502),
    ({"error": "boom"}, WAIT, 502),
    ({"error": "rate_limit_exceeded"}, WAIT, 429),
    ({"error": "Insufficient credits, please pay"}, WAIT, 502),
    ({"error": 429}, WAIT, 429),
    ({"type": "error", "error": {"type": "overloaded_error"}}, WAIT, 529),
    ({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {}}, FINAL, 400),
    ({"choices": [], "prompt_feedback": {"block_reason": "OTHER"}}, FINAL, 400),
    ([error(code=429, status="RESOURCE_EXHAUSTED")], WAIT, 429),
    ({"errors": [{"code": 3036, "message": "x"}]}, WAIT, 502),
    ({"object": "error", "message": "no", "code": 400}, FINAL, 400),
    ({"code": "Arrearage", "message": "Access denied."}, FUNDS, 429),
    ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, FUNDS, 429),
    ({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, WAIT, 429),
    ({"base_resp": {"status_code": 1041, "status_msg": "conn limit"}}, WAIT, 429),
    ({"base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}}, FINAL, 400),
    ({"base_resp": {"status_code": 2013, "status_msg": "invalid params"}}, FINAL, 400),
    ({"base_resp": {"status_code": 1024, "status_msg": "internal error"}}, WAIT, 502),
    ({"choices": [], "x_groq": {"error": "over_capacity"}}, WAIT, 503),
    ({"choices": [], "x_groq": {"error": "rate_limit_exceeded"}}, WAIT, 429),
    ({**choice(), **error(code=429)}, WAIT, 429),
    (choice(error={"code": 402, "message": "x"}), FUNDS, 402),
    ({"error": [{"code": 429, "message": "x"}]}, WAIT, 429),
    ({"errors": {"code": 429, "message": "x"}}, WAIT, 429),
    ({"errors": [{"message": "x", "extensions": {"code": "RATE_LIMITED"}}]}, WAIT, 429),
    ({"success": False, "errors": ["insufficient_quota"]}, FUNDS, 429),
    ({"error_code": "insufficient_quota", "error_msg": "x"}, FUNDS, 429),
    ({"error_code": 17, "error_msg": "Open api daily request limit reached"}, WAIT, 502),
    ({"statusCode": 429, "message": "Try again in 5 seconds."}, WAIT, 429),
    ({"status": 429, "title": "Too Many Requests", "detail": "slow"}, WAIT, 429),
    ({"detail": [{"type": "rate_limit", "msg": "slow"}]}, WAIT, 429),
    ({"code": 1113, "message": "no balance"}, FUNDS, 429),
    ({"code": 402, "msg": "pay"}, FUNDS, 402),
    (choice(message={"content": "", "error": {"code": 429, "message": "x"}}), WAIT, 429),
    ({"choices": [{"message": None, "error": {"code": 503}}]}, WAIT, 503),
    ({"choices": None, "error": {"http_code": 429, "message": "x"}}, WAIT, 429),
    (choice(finish_reason="ERROR"), WAIT, 502),
    (choice(finish_reason="error"), WAIT, 502),
    (choice(finish_reason="insufficient_system_resource"), WAIT, 502),
    (choice(finish_reason="stop", native_finish_reason="network_error"), WAIT, 502),
    (choice(finish_reason=None, native_finish_reason="error"), WAIT, 502),
    (sentence(LOW, **BAD_REQUEST), FUNDS, 400),
]


@pytest.mark.parametrize(("body", "kind", "status"), INSIDE)
def test_an_error_inside_a_200(body: Any, kind: ErrorKind, status: int) -> None:
    found = error_inside(body)
    assert found is not None
    assert (found.kind, found.status) == (kind, status)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ('{"error": {"message": "at most 1 image"}}', "at most 1 image"),
        ({"error": {"message": "at most 1 image"}}, "at most 1 image"),
        ('{"message": "at most 1 image", "code": 400}', "at most 1 image"),
        ("is temporarily rate-limited upstream", "is temporarily rate-limited upstream"),
        ("  ", "Provider returned error"),
        (None, "Provider returned error"),
        ({}, "Provider returned error"),
    ],
)
def test_what_the_provider_behind_a_router_said_is_shown(raw: Any, message: str) -> None:
    assert error_of(behind(raw)).message == message


@pytest.mark.parametrize(
    "nothing", [None, {}, "", " ", [], False, 0, {"message": "", "code": None}]
)
def test_an_error_that_says_nothing_is_none(nothing: Any) -> None:
    assert error_inside({**choice(), "error": nothing}) is None
    assert error_inside({"choices": [], "error": nothing}) is None


@pytest.mark.parametrize(
    "body",
    [
        choice(finish_reason="stop"),
        {"object": "list", "data": []},
        {**choice(), "base_resp": {"status_code": 0, "status_msg": "success"}},
        {"usage": {"prompt_tokens": 1}},
        {"code": 200, "message": "ok", "data": {}},
        {"code": 0, "msg": "success"},
        {"status_code": 200, "message": "ok"},
        {**choice(), "detail": "with care", "code": 7, "message": "x"},
        [],
        None,
    ],
)
def test_what_has_no_error(body: Any) -> None:
    assert error_inside(body) is None


WORDS = ["You exceeded your current quota, please check your plan and billing details."]
WORDS += ["Your credit balance is too low: insufficient_quota", "Insufficient credits"]


@pytest.mark.parametrize("text", WORDS)
@pytest.mark.parametrize(("status", "kind"), [(429, WAIT), (400, FINAL), (403, FINAL), (500, WAIT)])
def test_a_text_alone_never_means_that_the_money_is_gone(
    text: str, status: int, kind: ErrorKind
) -> None:
    bodies: list[Any] = [{"error": {"message": text, "type": text}}, {"error": text}, text]
    for body in (*bodies, {"message": text}, {"detail": text}):
        assert provider_error(status, body).kind is kind


NOT_ABOUT_MONEY = [
    "insufficient_permissions",
    "InsufficientInstanceCapacity",
    "insufficient_scope",
    "quota_exceeded",
    "token_limit_exceeded",
    "max_tokens_exceeded",
    "invalid_payment_method",
    "not_found",
    "no_capacity",
    "low_quality",
    "token_budget_exceeded",
    "thinking_budget_exceeded",
    "usage_limit_reached",
    "tokens_per_day_limit",
    "Some_error",
]


@pytest.mark.parametrize("code", NOT_ABOUT_MONEY)
def test_codes_that_are_not_about_money(code: str) -> None:
    assert provider_error(400, error(code=code)).kind is FINAL
    assert provider_error(429, error(code=code)).kind is WAIT


NAMES = [
    "error",
    "code",
    "type",
    "status",
    "message",
    "details",
    "choices",
    "errors",
    "metadata",
    "headers",
    "finish_reason",
    "base_resp",
    "restriction",
    "detail",
    "object",
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(st.integers(100, 599), json_values)
def test_any_body_is_read(status: int, body: Any) -> None:
    read = provider_error(status, body)
    assert read.kind in ErrorKind
    inside = error_inside(body)
    assert inside is None or 400 <= inside.status < 600
    found = error_of(body)
    assert all(isinstance(each, str) for each in found.codes)
    assert found.message is None or isinstance(found.message, str)


@given(st.sampled_from([400, 403, 429, 500]), st.lists(st.text(max_size=60), max_size=4))
def test_the_kind_does_not_depend_on_the_message(status: int, texts: Sequence[str]) -> None:
    kinds = {provider_error(status, error(message=text)).kind for text in [*texts, *WORDS]}
    assert len(kinds) == 1
