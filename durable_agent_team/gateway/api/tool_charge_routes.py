"""Routes for charges of tools: reserved before a tool runs, settled after it, or released."""

from typing import Any

from aiohttp import web

from durable_agent_team.gateway.amounts import parse_usd, usd, usd_text
from durable_agent_team.gateway.api.gateway_context import GATEWAY
from durable_agent_team.gateway.api.http_bodies import (
    json_object,
    refuse_keys,
    respond_account,
    respond_shape,
)
from durable_agent_team.gateway.api.request_values import (
    expected_revision,
    refuse_revision,
    refuse_unknown,
)
from durable_agent_team.gateway.api.scope_routes import scope_account
from durable_agent_team.gateway.api.scoped_calls import require_client
from durable_agent_team.gateway.api.tool_charge_shapes import (
    CHARGE_KEY,
    MAX_WHAT,
    NEW_TOOL_CHARGE,
    ToolChargeJson,
)
from durable_agent_team.gateway.api_error import (
    ApiError,
    changed_since,
    conflict,
    invalid,
    not_found,
    shown,
    unauthorized,
)
from durable_agent_team.gateway.calls.refusals import account_disabled, budget_exhausted
from durable_agent_team.gateway.stores.tool_charge_store import (
    ToolCharge,
    ToolChargeKey,
    ToolChargeRefusal,
    ToolChargeReply,
)


async def reserve_charge(request: web.Request) -> web.Response:
    """POST /v1/charges `{key, amount_usd, what}`: 201 if it is reserved now, 200 if the key was
    before; `state` says whether it is settled already."""
    gateway = request.app[GATEWAY]
    account_id = await gateway.require_agent(request)
    data = await json_object(request)
    refuse_unknown(data, NEW_TOOL_CHARGE)
    key = ToolChargeKey(account_id, _checked(request, data.get("key"), "`key`"))
    asked = ToolCharge(_amount(data.get("amount_usd")), _what(request, data.get("what")))
    revision = expected_revision(request)
    reply = await gateway.store.tool_charges.reserve(key, asked, revision)
    return _respond(key, reply, asked, 201 if reply.changed else 200)


async def settle_charge(request: web.Request) -> web.Response:
    """POST /v1/charges/{key}/settle: the tool has run."""
    key = await _key(request)
    refuse_revision(request)
    return _respond(key, await request.app[GATEWAY].store.tool_charges.settle(key))


async def release_charge(request: web.Request) -> web.Response:
    """POST /v1/charges/{key}/release: the tool did not run."""
    key, revision = await _key(request), expected_revision(request)
    require_client(request)
    return _respond(key, await request.app[GATEWAY].store.tool_charges.release(key, revision))


async def read_charge(request: web.Request) -> web.Response:
    """GET /v1/charges/{key} with the agent's key, or with the parent key and `?agent=ID`."""
    account_id = await scope_account(request)
    key = ToolChargeKey(account_id, _checked(request, request.match_info["key"], "The key"))
    charge = await request.app[GATEWAY].store.tool_charges.read(key)
    if charge is None:
        raise _missing(key)
    return respond_shape(_shape(key, charge))


async def _key(request: web.Request) -> ToolChargeKey:
    account_id = await request.app[GATEWAY].require_agent(request)
    return ToolChargeKey(account_id, _checked(request, request.match_info["key"], "The key"))


def _checked(request: web.Request, key: Any, where: str) -> str:
    if not isinstance(key, str) or not CHARGE_KEY.fullmatch(key):
        raise invalid(
            f"{where} of a charge must have 1 to 200 letters, digits and the characters . _ ~ : -,"
            f" and begin with a letter or a digit; got {shown(key)}"
        )
    refuse_keys(request, key, where)
    return key


def _amount(value: object) -> int:
    try:
        amount = parse_usd(value, "`amount_usd`")
    except ValueError as error:
        raise invalid(str(error)) from None
    if amount == 0:
        raise invalid("`amount_usd` must be more than 0: a tool without a price needs no charge")
    return amount


def _what(request: web.Request, value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_WHAT or not value.isprintable():
        raise invalid(
            f"`what` must be 1 to {MAX_WHAT} printable characters, such as the tool's name;"
            f" got {shown(value)}"
        )
    refuse_keys(request, value, "`what`")
    return value


def _respond(
    key: ToolChargeKey, reply: ToolChargeReply, asked: ToolCharge | None = None, status: int = 200
) -> web.Response:
    if reply.refusal is not None or reply.charge is None:
        raise _refused(key, reply, asked)
    return respond_account(_shape(key, reply.charge), reply.account, status)


def _shape(key: ToolChargeKey, charge: ToolCharge) -> ToolChargeJson:
    return ToolChargeJson(
        key=key.key,
        amount_usd=usd(charge.amount),
        what=charge.what,
        state=charge.state.value,
        revision=charge.revision,
    )


def _refused(key: ToolChargeKey, reply: ToolChargeReply, asked: ToolCharge | None) -> ApiError:
    account, charge = reply.account, reply.charge
    if account is None:
        return unauthorized()
    match reply.refusal:
        case ToolChargeRefusal.EXHAUSTED if asked is not None:
            return budget_exhausted(account, asked.amount, asked.what)
        case ToolChargeRefusal.DISABLED:
            return account_disabled(account)
        case ToolChargeRefusal.OTHER_AMOUNT if charge is not None:
            message = (
                f"The charge {shown(key.key)} is one of {usd_text(charge.amount)} USD for"
                f" {charge.what!r}. Use a new key for another amount"
            )
            return conflict(message, "idempotency_conflict")
        case ToolChargeRefusal.SETTLED:
            message = (
                f"The charge {shown(key.key)} is settled and stays in the ledger. Closing the"
                " account settles what is still reserved"
            )
            return conflict(message, "charge_settled")
        case ToolChargeRefusal.RELEASED:
            message = (
                f"The charge {shown(key.key)} was released: reserve it again before its tool runs"
            )
            return conflict(message, "charge_released")
        case ToolChargeRefusal.CHANGED:
            revision = 0 if charge is None else charge.revision
            return changed_since(f"The charge {shown(key.key)}", revision)
        case _:
            return _missing(key)


def _missing(key: ToolChargeKey) -> ApiError:
    return not_found(f"There is no charge {shown(key.key)} in this account")
