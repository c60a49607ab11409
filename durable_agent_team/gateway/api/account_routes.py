"""Routes for accounts: open, read, change, transfer. All need the parent key."""

import hashlib
import json
import uuid
from typing import Any

from aiohttp import web

from durable_agent_team.gateway.amounts import MAX_MICRO, usd, usd_text
from durable_agent_team.gateway.api.gateway_context import GATEWAY, GatewayContext
from durable_agent_team.gateway.api.http_bodies import (
    idempotency_key,
    json_object,
    respond_shape,
    without_keys,
)
from durable_agent_team.gateway.api.request_shapes import (
    ACCOUNT_CHANGE,
    MAX_NAME,
    NEW_ACCOUNT,
    TRANSFER,
)
from durable_agent_team.gateway.api.request_values import (
    expected_revision,
    micro_usd,
    refuse_revision,
    refuse_unknown,
    wait_seconds,
)
from durable_agent_team.gateway.api.response_shapes import (
    CAPABILITIES,
    AccountJson,
    AccountState,
    OpenedAccount,
    Transferred,
)
from durable_agent_team.gateway.api.scoped_calls import require_client
from durable_agent_team.gateway.api_error import (
    ApiError,
    changed_since,
    conflict,
    invalid,
    not_found,
    shown,
)
from durable_agent_team.gateway.keys import hash_key
from durable_agent_team.gateway.stores.account_records import Account
from durable_agent_team.gateway.stores.store import NewAccount, RefusalReason, StoreRefusal


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
        "revision": account.revision,
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
    budget = micro_usd(data.get("budget"), f"`{path}budget`")
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
        raise unknown_account(request.match_info["id"])
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
    reserved. With `If-Match`, changes only an account that still has this `revision`."""
    gateway = request.app[GATEWAY]
    await gateway.require_parent(request)
    data = await json_object(request)
    refuse_unknown(data, ACCOUNT_CHANGE)
    status = new_status(data)
    budget = micro_usd(data["budget"], "`budget`") if "budget" in data else None
    if budget is None and status is None:
        raise invalid("Nothing to change: send `budget`, `status`, or both")
    wait = wait_seconds(request, data)
    revision = expected_revision(request)
    require_client(request)
    account_id = request.match_info["id"]
    changed = await gateway.store.change_account(account_id, budget, status, revision)
    if isinstance(changed, StoreRefusal):
        gateway.label_accounts(changed.account)
        raise change_error(changed, account_id, budget or 0)
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
        return unknown_account(account_id)
    if refusal.reason is RefusalReason.CHANGED:
        return changed_since(f"The account {account.name!r}", account.revision)
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
    amount = micro_usd(data.get("amount"), "`amount`")
    if amount == 0:
        raise invalid("`amount` must be more than 0")
    refuse_revision(request)
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
        return unknown_account(from_id if account is None else to_id)
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


def unknown_account(account_id: str) -> ApiError:
    return not_found(
        f"There is no account {shown(account_id)}. This gateway does not know accounts that were"
        " opened at another gateway, or after its restored backup was made"
    )
