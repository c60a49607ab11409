"""Routes for accounts: open, read, change, transfer, ledger. All need the parent key."""

import hashlib
import json
import math
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from aiohttp import web

from durable_agent_team.gateway.amounts import MAX_MICRO, is_number, parse_usd, usd, usd_text
from durable_agent_team.gateway.api.gateway_context import GATEWAY, GatewayContext
from durable_agent_team.gateway.api.http_bodies import (
    idempotency_key,
    json_object,
    query_value,
    respond_shape,
    without_keys,
)
from durable_agent_team.gateway.api.request_shapes import (
    ACCOUNT_CHANGE,
    CHARGE,
    MAX_AFTER,
    MAX_DIGITS,
    MAX_NAME,
    MAX_PAGE,
    MAX_WAIT_SECONDS,
    NEW_ACCOUNT,
    PAGE,
    POSSIBLY_BILLED,
    TOOL,
    TRANSFER,
    Schema,
)
from durable_agent_team.gateway.api.response_shapes import (
    CAPABILITIES,
    AccountJson,
    AccountState,
    LedgerEntry,
    LedgerPage,
    OpenedAccount,
    PossiblyBilled,
    Transferred,
)
from durable_agent_team.gateway.api_error import (
    ApiError,
    conflict,
    invalid,
    not_found,
    shown,
    shown_name,
)
from durable_agent_team.gateway.keys import hash_key
from durable_agent_team.gateway.stores.account_records import Account
from durable_agent_team.gateway.stores.store import (
    LedgerLine,
    NewAccount,
    PossiblyBilledCall,
    RefusalReason,
    StoreRefusal,
)


def account_fields(account: Account) -> dict[str, Any]:
    """Those of `AccountJson`."""
    return {
        "id": account.id,
        "name": account.name,
        "status": account.status,
        "budget": usd(account.budget),
        "spent": usd(account.spent),
        "balance": usd(account.budget - account.spent),
        "reserved": usd(account.reserved),
        "charges": account.charges,
    }


async def open_account(request: web.Request) -> web.Response:
    """POST /v1/agents `{name, budget}`: 201. The same Idempotency-Key returns the same account."""
    gateway = request.app[GATEWAY]
    await gateway.require_parent(request)
    data = await json_object(request)
    refuse_unknown(data, NEW_ACCOUNT)
    account, key = await open_one(gateway, new_account(request, data, idempotency_key(request)))
    gateway.label_accounts(account)
    answer = OpenedAccount(**account_fields(account), api_key=key, capabilities=CAPABILITIES)
    return respond_shape(answer, 201)


def new_account(
    request: web.Request, data: dict[str, Any], key: str | None, path: str = ""
) -> NewAccount:
    """Checks `name` and `budget` of what is to be opened; `path` is where they are in the body."""
    gateway = request.app[GATEWAY]
    name = data.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise invalid(
            f"`{path}name` must be a string of 1 to {MAX_NAME} characters; got {shown(name)}"
        )
    name = without_keys(gateway, request, name)
    budget = _usd(data.get("budget"), f"`{path}budget`")
    account_id = "agt_" + uuid.uuid4().hex
    return NewAccount(
        account_id,
        name,
        hash_key(gateway.keys.agent_key(account_id)),
        budget,
        key,
        hashlib.sha256(json.dumps([name, budget]).encode()).hexdigest(),
    )


async def open_one(gateway: GatewayContext, new: NewAccount) -> tuple[Account, str]:
    """The account and its key. Raises ApiError."""
    opened = await gateway.store.open_account(new)
    if isinstance(opened, StoreRefusal):
        message = "This Idempotency-Key opened an account with another name or budget"
        raise conflict(message, "idempotency_conflict")
    account, _ = opened
    key = gateway.keys.agent_key(account.id)
    if not await gateway.store.find_account(hash_key(key)):
        raise ApiError(
            409,
            "conflict",
            "secret_changed",
            "The account was opened under another GATEWAY_SECRET: its key cannot be derived again",
        )
    return account, key


async def read_account(request: web.Request) -> web.Response:
    gateway = request.app[GATEWAY]
    await gateway.require_parent(request)
    account_id = request.match_info["id"]
    return await _respond_account(request, await gateway.store.account(account_id))


async def _respond_account(request: web.Request, account: Account | None) -> web.Response:
    if account is None:
        raise _unknown_account(request.match_info["id"])
    gateway = request.app[GATEWAY]
    gateway.label_accounts(account)
    return respond_shape(await account_state(gateway, account))


async def account_state(gateway: GatewayContext, account: Account) -> AccountState:
    interrupted = await gateway.store.interrupted(account.id)
    return AccountState(
        **account_fields(account),
        interrupted=interrupted,
        possibly_billed_calls=account.possibly_billed_calls,
        possibly_billed=usd(account.possibly_billed),
    )


async def change_account(request: web.Request) -> web.Response:
    """PATCH `{budget?, status?, wait_seconds?}`. With `wait_seconds`, waits until no money is
    reserved."""
    gateway = request.app[GATEWAY]
    await gateway.require_parent(request)
    data = await json_object(request)
    refuse_unknown(data, ACCOUNT_CHANGE)
    status = new_status(data)
    budget = _usd(data["budget"], "`budget`") if "budget" in data else None
    if budget is None and status is None:
        raise invalid("Nothing to change: send `budget`, `status`, or both")
    wait = wait_seconds(request, data)
    changed = await gateway.store.change_account(request.match_info["id"], budget, status)
    if isinstance(changed, StoreRefusal):
        gateway.label_accounts(changed.account)
        raise change_error(changed, request.match_info["id"], budget or 0)
    if wait and status == "disabled":
        return await _respond_account(
            request, await gateway.calls.wait_until_settled(changed.id, wait)
        )
    return await _respond_account(request, changed)


def new_status(data: dict[str, Any]) -> str | None:
    status = data.get("status")
    if "status" in data and status not in ("active", "disabled"):
        raise invalid(f"`status` must be active or disabled; got {shown(status)}")
    return status


def change_error(refusal: StoreRefusal, account_id: str, budget: int) -> ApiError:
    account = refusal.account
    if account is None:
        return _unknown_account(account_id)
    return conflict(
        f"The budget of {account.name!r} cannot be {usd_text(budget)} USD:"
        f" {usd_text(account.spent)} are spent and {usd_text(account.reserved)} reserved",
        "budget_below_spent",
        spent_usd=usd(account.spent),
        reserved_usd=usd(account.reserved),
    )


async def transfer(request: web.Request) -> web.Response:
    """POST /v1/transfers `{from, to, amount}`: moves unspent money in one transaction."""
    gateway = request.app[GATEWAY]
    await gateway.require_parent(request)
    data = await json_object(request)
    refuse_unknown(data, TRANSFER)
    from_id, to_id = data.get("from"), data.get("to")
    if not isinstance(from_id, str) or not isinstance(to_id, str) or from_id == to_id:
        raise invalid("`from` and `to` must be the ids of two different accounts")
    amount = _usd(data.get("amount"), "`amount`")
    if amount == 0:
        raise invalid("`amount` must be more than 0")
    moved = await gateway.store.transfer(from_id, to_id, amount, idempotency_key(request))
    if isinstance(moved, StoreRefusal):
        gateway.label_accounts(moved.account)
        raise _transfer_error(moved, from_id, to_id, amount)
    source, target = moved
    gateway.label_accounts(source, target)
    return respond_shape(
        Transferred(
            amount=usd(amount),
            source=AccountJson(**account_fields(source)),
            target=AccountJson(**account_fields(target)),
        )
    )


def _transfer_error(refusal: StoreRefusal, from_id: str, to_id: str, amount: int) -> ApiError:
    account = refusal.account
    if refusal.reason is RefusalReason.CONFLICT:
        return conflict("This Idempotency-Key made another transfer", "idempotency_conflict")
    if refusal.reason is RefusalReason.NOT_FOUND or account is None:
        return _unknown_account(from_id if account is None else to_id)
    if refusal.reason is RefusalReason.DISABLED:
        message = f"The account {account.name!r} is disabled; PATCH its `status` to `active` first"
        return conflict(message, "account_disabled")
    if refusal.reason is RefusalReason.TOO_LARGE:
        return conflict(
            f"The budget of {account.name!r} is {usd_text(account.budget)} USD and cannot exceed"
            f" {usd_text(MAX_MICRO)}; transfer less",
            "budget_too_large",
        )
    return conflict(
        f"{account.name!r} has {usd_text(account.remaining)} USD unspent and unreserved, less than"
        f" {usd_text(amount)}",
        "insufficient_funds",
        remaining_usd=usd(account.remaining),
        required_usd=usd(amount),
        reserved_usd=usd(account.reserved),
    )


async def transactions(request: web.Request) -> web.Response:
    """GET /v1/agents/{id}/transactions?kind=&limit=&after=&idempotency_key=&scope=: the ledger,
    newest last; with `kind=tool` only the charges of tools; with `kind=possibly_billed` the calls
    that were given up, which the account does not pay."""
    gateway = request.app[GATEWAY]
    await gateway.require_parent(request)
    account_id = request.match_info["id"]
    limit = whole(request, "limit", PAGE, 1, MAX_PAGE)
    after = whole(request, "after", 0, 0, MAX_AFTER)
    account = await gateway.store.account(account_id)
    if account is None:
        raise _unknown_account(account_id)
    gateway.label_accounts(account)
    key, scope = query_value(request, "idempotency_key"), query_value(request, "scope")
    kind = query_value(request, "kind") or CHARGE
    page: list[LedgerEntry | PossiblyBilled]
    if kind in (CHARGE, TOOL):
        lines = await gateway.store.ledger_lines(
            account_id, after, limit + 1, key, scope, TOOL if kind == TOOL else None
        )
        page = [_ledger_entry(line) for line in lines]
    elif kind == POSSIBLY_BILLED:
        calls = await gateway.store.possibly_billed(account_id, after, limit + 1, key, scope)
        page = [_possibly_billed(call) for call in calls]
    else:
        raise invalid(f"`kind` must be {CHARGE}, {TOOL} or {POSSIBLY_BILLED}; got {shown(kind)}")
    return respond_shape(LedgerPage(data=page[:limit], has_more=len(page) > limit))


def _ledger_entry(line: LedgerLine) -> LedgerEntry:
    return LedgerEntry(
        id=line.id,
        created_at=datetime.fromtimestamp(line.created_at, UTC).isoformat(),
        idempotency_key=line.idempotency_key,
        model=line.model,
        prompt_tokens=line.prompt_tokens,
        completion_tokens=line.completion_tokens,
        amount=usd(line.amount),
        estimated=line.estimated,
        overrun=usd(line.overrun),
        cached_tokens=line.cached_tokens,
        cache_write_tokens=line.cache_write_tokens,
        reasoning_tokens=line.reasoning_tokens,
        saved_usd=usd(line.saved),
        price_source=line.price_source,
        scope=line.scope,
        attempt=line.attempt,
        kind="tool" if line.kind == TOOL else None,
        what=line.what,
    )


def _possibly_billed(call: PossiblyBilledCall) -> PossiblyBilled:
    return PossiblyBilled(
        kind=POSSIBLY_BILLED,
        id=call.id,
        created_at=datetime.fromtimestamp(call.created_at, UTC).isoformat(),
        idempotency_key=call.idempotency_key,
        model=call.model,
        amount=0,
        bound=None if call.bound is None else usd(call.bound),
        cause=call.cause,
        scope=call.scope,
        attempt=call.attempt,
    )


def refuse_unknown(data: dict[str, Any], shape: Schema) -> None:
    known = set(shape["properties"])
    if unknown := sorted(set(data) - known):
        name = shown_name(unknown[0])
        raise invalid(f"`{name}` is not known here; known: {', '.join(sorted(known))}")


def _usd(value: object, field: str) -> int:
    try:
        return parse_usd(value, field)
    except ValueError as error:
        raise invalid(str(error)) from None


def wait_seconds(request: web.Request, data: dict[str, Any]) -> float:
    value = data.get("wait_seconds", query_value(request, "wait_seconds") or 0)
    # A Decimal becomes infinity where `float` of an int would raise OverflowError.
    seconds = float(Decimal(value)) if is_number(value) else math.nan
    if not 0 <= seconds <= MAX_WAIT_SECONDS:
        raise invalid(
            f"`wait_seconds` must be between 0 and {MAX_WAIT_SECONDS}; got {shown(value)}"
        )
    return seconds


def whole(request: web.Request, field: str, default: int, least: int, most: int) -> int:
    text = query_value(request, field)
    if text is None:
        return default
    digits = text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
    if not digits or not least <= int(text) <= most:
        raise invalid(f"`{field}` must be a whole number from {least} to {most}; got {shown(text)}")
    return int(text)


def _unknown_account(account_id: str) -> ApiError:
    return not_found(f"There is no account {shown(account_id)}")
