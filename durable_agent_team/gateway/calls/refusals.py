"""The errors that a refused call is answered with."""

from durable_agent_team.gateway.amounts import usd, usd_text
from durable_agent_team.gateway.api_error import ApiError, conflict, invalid, unauthorized
from durable_agent_team.gateway.calls.answer import possibly_billed
from durable_agent_team.gateway.calls.chat_request import ChatRequest
from durable_agent_team.gateway.calls.time_limit import KNOWN_LIMITS_HEADER
from durable_agent_team.gateway.stores.account_records import Account
from durable_agent_team.gateway.stores.scope_records import Place
from durable_agent_team.gateway.stores.store import RefusalReason, StoreRefusal


def refusal_error(
    refusal: StoreRefusal, request: ChatRequest, place: Place | None = None
) -> ApiError:
    """`place`: of a call in a scope."""
    account = refusal.account
    if place is not None and refusal.reason is RefusalReason.SUPERSEDED:
        return superseded(place, refusal.newest_attempt)
    if refusal.reason is RefusalReason.REPEATED:
        message = "The client has sent this request again, and the later one makes the call"
        return conflict(message, "request_repeated")
    if refusal.reason is RefusalReason.CLIENT_LEFT:
        return invalid("The client left before its call was begun", "client_left")
    if refusal.reason is RefusalReason.CONFLICT:
        message = "This Idempotency-Key was used with another body. Use a new key for a new call."
        return conflict(message, "idempotency_conflict")
    if refusal.reason is RefusalReason.ANSWER_DROPPED:
        message = (
            "This call was made and paid before; its answer was dropped when the account was"
            f" disabled. Use a new {'Idempotency-Key' if place is None else 'scope'} to pay for a"
            " new one."
        )
        return ApiError(410, "conflict", "answer_dropped", message)
    if refusal.reason is RefusalReason.LIMIT_REACHED:
        again = KNOWN_LIMITS_HEADER
        if place is not None:
            again += ", or the next attempt of the scope"
        message = (
            "The gateway ended this call before, at its limit of time or of size, and does not"
            f" repeat it unasked ({again})"
        )
        error = ApiError(504, "upstream_error", "limit_reached", message)
        return possibly_billed(error, request.bound)
    if account is None:
        return unauthorized()
    if refusal.reason is RefusalReason.DISABLED:
        return account_disabled(account)
    return budget_exhausted(account, request.bound)


def account_disabled(account: Account) -> ApiError:
    message = (
        f"The account {account.name!r} is disabled; PATCH its `status` to `active` with the"
        " parent key, and it can pay again"
    )
    return ApiError(402, "account_disabled", "account_disabled", message)


def budget_exhausted(account: Account, required: int, tool: str | None = None) -> ApiError:
    """`tool`: what does not fit is its charge, not a call of a model."""
    held = (
        f" ({usd_text(account.reserved)} USD held by calls in flight)" if account.reserved else ""
    )
    needs = (
        f"this call may cost up to {usd_text(required)} USD. Raise the budget or lower max_tokens"
    )
    if tool is not None:
        needs = f"a call of {tool!r} costs {usd_text(required)} USD. Raise the budget"
    return ApiError(
        402,
        "insufficient_funds",
        "budget_exhausted",
        f"The account {account.name!r} has {usd_text(account.remaining)} USD left{held}; {needs}.",
        {
            "remaining_usd": usd(account.remaining),
            "required_usd": usd(required),
            "reserved_usd": usd(account.reserved),
        },
    )


def superseded(place: Place, newest: int) -> ApiError:
    message = (
        f"Attempt {newest} of the scope {place.scope} has begun, so attempt {place.attempt} gets"
        " nothing any more. Stop this client, or send its calls as a newer attempt."
    )
    return conflict(message, "attempt_superseded", scope=place.scope, attempt=newest)


def model_refused(model: str, overrun: int) -> ApiError:
    return invalid(
        f"The model {model!r} cost {usd_text(overrun)} USD more than the upper"
        " bound that its price entry gives. Correct the entry (prices, message_tokens,"
        " request_tokens) and start the gateway again.",
        "model_refused",
    )
