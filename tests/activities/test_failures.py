"""What an HTTP answer becomes: type, retried or not, delay, figures, and never a key."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import pytest
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

from activities.error_translation import application_error, retry_delay
from durable_agent_team.atxp.exceptions import ProviderRefused
from durable_agent_team.contracts.call import AttemptSpend
from durable_agent_team.contracts.error_types import ERRORS, ErrorType, Outcome
from tests.activities.support import AGENT_KEY, Answer, agents_at, call, context, serving, spend_of


def error(**fields: Any) -> dict[str, Any]:
    return {"error": {"message": "said the server", **fields}}


def exhausted(**amounts: Any) -> dict[str, Any]:
    return error(type="insufficient_funds", code="budget_exhausted", **amounts)


FITS = {"remaining_usd": 0.1, "required_usd": 0.3, "reserved_usd": 0.2}
TOO_MUCH = {"remaining_usd": 0.1, "required_usd": 0.300001, "reserved_usd": 0.2}
E = ErrorType

TABLE: list[tuple[int, Any, ErrorType]] = [
    (400, error(type="invalid_request_error"), E.BAD_REQUEST),
    (400, error(code="unpriced_model"), E.UNPRICED_MODEL),
    (400, error(type="exceed_context_size_error"), E.CONTEXT_EXCEEDED),
    (400, error(code="context_length_exceeded"), E.CONTEXT_EXCEEDED),
    (400, {"error": {"message": "prompt is too long: 9 > 8"}}, E.CONTEXT_EXCEEDED),
    (401, error(), E.UNAUTHORIZED),
    (402, exhausted(remaining_usd=0.1, required_usd=0.2), E.BUDGET_EXHAUSTED),
    (402, exhausted(remaining_usd=0.1, required_usd=0.2, reserved_usd=0), E.BUDGET_EXHAUSTED),
    (402, exhausted(**FITS), E.BUDGET_RESERVED),
    (402, exhausted(**TOO_MUCH), E.BUDGET_EXHAUSTED),
    (402, error(code="account_disabled"), E.ACCOUNT_DISABLED),
    (402, error(type="insufficient_funds"), E.PAYMENT_REQUIRED),
    (402, {"restriction": {"error": "fraud_block", "message": "call us"}}, E.PAYMENT_REQUIRED),
    (402, {"accepts": [{"scheme": "exact"}]}, E.PAYMENT_REQUIRED),
    (402, "pay first", E.PAYMENT_REQUIRED),
    (403, error(), E.FORBIDDEN),
    (404, error(), E.BAD_REQUEST),
    (408, error(), E.UPSTREAM_UNAVAILABLE),
    (409, error(type="idempotency_conflict"), E.KEY_CONFLICT),
    (409, error(code="idempotency_conflict"), E.KEY_CONFLICT),
    (409, error(), E.UPSTREAM_UNAVAILABLE),
    (413, error(), E.BAD_REQUEST),
    (422, error(), E.BAD_REQUEST),
    (425, error(), E.UPSTREAM_UNAVAILABLE),
    (429, error(), E.RATE_LIMITED),
    (429, error(code="insufficient_quota"), E.UPSTREAM_OUT_OF_FUNDS),
    (400, error(type="billing_error"), E.UPSTREAM_OUT_OF_FUNDS),
    (503, error(code="upstream_out_of_funds", upstream_status=429), E.UPSTREAM_OUT_OF_FUNDS),
    (502, error(code="upstream_format"), E.UPSTREAM_REFUSED),
    *[(502, error(upstream_status=status), E.UPSTREAM_REFUSED) for status in (301, 308, 401, 403)],
    (499, error(code="upstream_499"), E.UPSTREAM_UNAVAILABLE),
    (502, error(upstream_status=402), E.UPSTREAM_OUT_OF_FUNDS),
    (307, "", E.BAD_REQUEST),
    (504, error(code="upstream_timeout", possibly_billed_usd=0.01), E.GATEWAY_LIMIT),
    (502, error(code="upstream_too_long", possibly_billed_usd=0), E.GATEWAY_LIMIT),
    (504, error(code="upstream_timeout"), E.UPSTREAM_UNAVAILABLE),
    (502, error(code="upstream_broke_off", possibly_billed_usd=0.01), E.UPSTREAM_UNAVAILABLE),
    *[(status, error(), E.UPSTREAM_UNAVAILABLE) for status in (500, 502, 503, 504, 529)],
    (500, "<html>not JSON</html>", E.UPSTREAM_UNAVAILABLE),
    (200, "not JSON", E.MALFORMED_ANSWER),
    (200, "[1, 2]", E.MALFORMED_ANSWER),
    (200, {"choices": []}, E.MALFORMED_ANSWER),
    (200, {"choices": [{"text": "an old shape"}]}, E.MALFORMED_ANSWER),
    (200, error(type="a kind of its own"), E.MALFORMED_ANSWER),
    (200, error(type="server_error"), E.UPSTREAM_UNAVAILABLE),
    (200, error(code=429), E.RATE_LIMITED),
    (200, error(code=400), E.BAD_REQUEST),
    (200, error(code="insufficient_quota"), E.UPSTREAM_OUT_OF_FUNDS),
    (200, {**error(code=429), "choices": [{"message": {"content": None}}]}, E.RATE_LIMITED),
]


def encode(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


async def failure(answer: Answer, *, details: tuple[Any, ...] = ()) -> ApplicationError:
    """The error of one call to a server that answers so."""
    policy = RetryPolicy(maximum_interval=timedelta(seconds=7))
    async with serving(answer) as server, agents_at(server.url) as agents:
        environment = context(policy=policy, attempt=2, details=details)
        with pytest.raises(ApplicationError) as caught:
            await environment.run(agents.call_agent, call())
        assert len(server.seen) == 1, "retries belong to Temporal alone"
    return caught.value


@pytest.mark.parametrize(("status", "body", "expected"), TABLE)
async def test_each_answer_has_its_type(status: int, body: Any, expected: ErrorType) -> None:
    raised = await failure((status, {}, encode(body)))
    assert raised.type == expected.value
    retried = ERRORS[expected].outcome in (Outcome.RETRIED, Outcome.OUTLASTED)
    assert raised.non_retryable != retried
    assert raised.__cause__ is None
    assert spend_of(raised).attempts == 2


async def test_the_servers_words_and_figures_are_kept() -> None:
    raised = await failure((402, {}, encode(exhausted(**TOO_MUCH))))
    assert "POST /v1/chat/completions answered 402: said the server" in raised.message
    spend = spend_of(raised)
    assert (spend.status, spend.required_usd, spend.remaining_usd) == (
        402,
        Decimal("0.300001"),
        Decimal("0.1"),
    )


async def test_a_fraud_block_says_what_the_server_said() -> None:
    body = {"restriction": {"error": "fraud_block", "message": "write to support"}}
    raised = await failure((402, {}, encode(body)))
    assert "write to support" in raised.message


async def test_no_key_in_an_error_even_if_the_server_repeats_it() -> None:
    said = f"the key {AGENT_KEY} (Authorization: Bearer {AGENT_KEY}) or sk-abcdefghijklmnop is bad"
    for status in (200, 401, 500):
        raised = await failure((status, {}, encode({"error": {"message": said}})))
        shown = f"{raised!r} {raised} {raised.details!r}"
        assert AGENT_KEY not in shown
        assert "sk-abcdefghijklmnop" not in shown
        assert len(raised.message) < 700


async def test_what_stands_around_a_key_stays() -> None:
    said = f"Send the key as `Authorization: Bearer {AGENT_KEY}`."
    raised = await failure((401, {}, encode({"error": {"message": said}})))
    assert "as `Authorization: Bearer [key]`." in raised.message


async def test_a_long_answer_is_cut_in_the_error() -> None:
    raised = await failure((500, {}, b"x" * 100_000))
    assert len(raised.message) < 700


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_honoured_however_long_it_is(status: int) -> None:
    """A short pause is made here; for a long one the workflow waits, without a slot."""
    short = await failure((status, {"Retry-After": "3"}, b"{}"))
    assert (short.next_retry_delay, short.non_retryable) == (timedelta(seconds=3), False)
    long = await failure((status, {"Retry-After": "3600"}, b"{}"))
    assert long.non_retryable
    assert spend_of(long).retry_after_seconds == 3600


@pytest.mark.parametrize(
    ("status", "fields", "counted"),
    [
        (429, {}, 0),
        (502, {"code": "upstream_unreachable"}, 0),
        (503, {"code": "upstream_circuit_open"}, 0),
        (502, {"code": "upstream_broke_off"}, 1),
        (502, {"code": "malformed_upstream"}, 1),
        (200, {}, 1),
    ],
)
async def test_attempts_that_may_be_billed_are_counted(
    status: int, fields: dict[str, Any], counted: int
) -> None:
    raised = await failure((status, {}, encode(error(**fields))))
    assert spend_of(raised).counted_attempts == counted
    assert spend_of(raised).task == call().task
    before = ({"spent_usd": "0", "attempts": 1, "counted_attempts": 2},)
    again = await failure((status, {}, encode(error(**fields))), details=before)
    assert spend_of(again).counted_attempts == 2 + counted


async def test_retry_after_means_nothing_for_what_is_not_retried() -> None:
    raised = await failure((403, {"Retry-After": "3"}, b"{}"))
    assert raised.next_retry_delay is None


async def test_a_wait_is_not_cut_to_the_agents_own_longest_pause() -> None:
    """The policy's `max_seconds` is 7. A pause that is cut burns attempts for nothing."""
    raised = await failure((429, {"retry-after-ms": "61500"}, b"{}"))
    assert raised.non_retryable
    assert spend_of(raised).retry_after_seconds == 61.5


async def test_reset_headers_are_waited_for() -> None:
    headers = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m0s"}
    assert spend_of(await failure((429, headers, b"{}"))).retry_after_seconds == 60


async def test_only_a_gateway_that_did_not_ask_is_asked_again_for_the_operators_money() -> None:
    asked = error(code="upstream_out_of_funds", upstream_status=402)
    raised = await failure((503, {}, encode(asked)))
    assert raised.non_retryable
    waits = await failure((503, {"Retry-After": "2"}, encode(error(code="upstream_out_of_funds"))))
    assert (waits.non_retryable, waits.next_retry_delay) == (False, timedelta(seconds=2))


NOW = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (" 5 ", 5),
        ("0.5", 0.5),
        (format_datetime(NOW + timedelta(seconds=9), usegmt=True), 9),
        (format_datetime(NOW - timedelta(seconds=9), usegmt=True), None),
        (format_datetime(NOW + timedelta(days=9), usegmt=True), 30),
        ("1e300", 30),
        ("inf", None),
        ("nan", None),
        ("-3", None),
        ("0", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_in_all_its_forms(text: str, seconds: float | None) -> None:
    headers = {"retry-after": text}
    refused = ProviderRefused(what="POST /x", status=429, message="", headers=headers)
    delay = retry_delay(refused, timedelta(seconds=30), NOW)
    assert delay == (timedelta(seconds=seconds) if seconds is not None else None)


def test_the_unforeseen_is_named_by_its_type_alone() -> None:
    earlier = AttemptSpend(spent_usd=Decimal("0.5"))
    raised = application_error(RuntimeError(f"boom {AGENT_KEY}"), earlier, timedelta(seconds=30))
    assert raised.type == ErrorType.INTERNAL.value
    assert not raised.non_retryable
    assert "RuntimeError" in raised.message
    assert AGENT_KEY not in raised.message


async def test_what_earlier_attempts_spent_is_carried_and_added_to() -> None:
    billed = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 1, "cost": 0.25}}
    raised = await failure(
        (200, {}, encode(billed)), details=({"spent_usd": "1.5", "attempts": 1},)
    )
    assert spend_of(raised).spent_usd == Decimal("1.75")


@pytest.mark.parametrize("seen_usd", ["0", "0.25"])
@pytest.mark.parametrize("status", [200, 500])
async def test_a_stored_unusable_answer_goes_back_for_a_new_call(
    status: int, seen_usd: str
) -> None:
    """Sent again, the same call would get it again. One charge, whoever saw it come in first."""
    billed = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 1, "cost": 0.25}}
    answer = (status, {"X-Idempotent-Replay": "true"}, encode(billed))
    async with serving(answer) as server, agents_at(server.url) as agents:
        details = ({"spent_usd": seen_usd, "attempts": 1},)
        environment = context(attempt=2, details=details)
        result = await environment.run(agents.call_agent, call())
    assert "There was no answer" in result.reasons[0]
    assert (result.cost_usd, result.failed_attempts_usd) == (Decimal("0.25"), Decimal(0))
    assert (result.usage.prompt_tokens, result.replayed) == (5, True)


async def test_a_stored_refusal_stays_a_refusal() -> None:
    body = {**error(), "usage": {"prompt_tokens": 5, "completion_tokens": 1, "cost": 0.25}}
    raised = await failure((400, {"X-Idempotent-Replay": "true"}, encode(body)))
    assert raised.type == ErrorType.BAD_REQUEST.value
    assert raised.non_retryable


async def test_an_error_that_used_tokens_was_billed() -> None:
    body = {**error(), "usage": {"prompt_tokens": 5, "completion_tokens": 1, "cost": 0.25}}
    raised = await failure((500, {}, encode(body)))
    assert spend_of(raised).spent_usd == Decimal("0.25")


async def test_heartbeat_details_that_nobody_understands_cost_nothing() -> None:
    raised = await failure((500, {}, b""), details=("nonsense",))
    assert spend_of(raised).spent_usd == 0
