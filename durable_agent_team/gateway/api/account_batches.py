"""Routes that open or change many accounts in one request, which a run with many agents does twice.
Both need the parent key. ATXP does not have them; clients use the single routes there."""

import asyncio
from typing import Any

from aiohttp import web

from durable_agent_team.gateway.api.account_routes import (
    account_fields,
    account_state,
    change_error,
    new_account,
    new_status,
    open_one,
)
from durable_agent_team.gateway.api.gateway_context import GATEWAY, GatewayContext
from durable_agent_team.gateway.api.http_bodies import (
    check_idempotency_key,
    json_object,
    respond_shape,
)
from durable_agent_team.gateway.api.request_shapes import (
    ACCOUNTS_CHANGE,
    BATCH_ENTRY,
    MAX_ACCOUNTS,
    NEW_ACCOUNTS,
)
from durable_agent_team.gateway.api.request_values import (
    refuse_revision,
    refuse_unknown,
    wait_seconds,
)
from durable_agent_team.gateway.api.response_shapes import (
    CAPABILITIES,
    AccountStates,
    OpenedAccount,
    OpenedAccounts,
)
from durable_agent_team.gateway.api_error import invalid, shown
from durable_agent_team.gateway.stores.account_records import Account
from durable_agent_team.gateway.stores.store import NewAccount, StoreRefusal

MAX_LABELLED = 10
"""Accounts that the request's log line names."""


async def open_accounts(request: web.Request) -> web.Response:
    """POST /v1/agents/batch `{agents: [{name, budget, idempotency_key}]}`: 201, in the same order.

    Everything is checked before the first account is opened. If one is refused after that, the
    others stay open; the same request again returns them.
    """
    gateway = request.app[GATEWAY]
    await gateway.require_parent(request)
    data = await json_object(request)
    refuse_unknown(data, NEW_ACCOUNTS)
    new = [_new(request, order, index) for index, order in enumerate(_agents(data))]
    if len({each.open_key for each in new}) < len(new):
        raise invalid("each of `agents` needs an `idempotency_key` of its own")
    # Together, so that the ledger writes them in one transaction.
    opened = await asyncio.gather(*(open_one(gateway, each) for each in new))
    gateway.label_accounts(*(account for account, _ in opened[:MAX_LABELLED]))
    agents = [
        OpenedAccount(**account_fields(account), api_key=key, capabilities=CAPABILITIES)
        for account, key in opened
    ]
    return respond_shape(OpenedAccounts(agents=agents, capabilities=CAPABILITIES), 201)


def _new(request: web.Request, order: Any, index: int) -> NewAccount:
    path = f"agents[{index}]"
    if not isinstance(order, dict):
        raise invalid(f"`{path}` must be an object with `name` and `budget`; got {shown(order)}")
    refuse_unknown(order, BATCH_ENTRY)
    field = f"`{path}.idempotency_key`"
    key = check_idempotency_key(request, order.get("idempotency_key"), field)
    return new_account(request, order, key, f"{path}.")


async def change_accounts(request: web.Request) -> web.Response:
    """PATCH /v1/agents/batch `{agents: [id], status, wait_seconds?}`: as PATCH of each.

    The accounts are read back in the same order; with `wait_seconds`, once nothing is reserved.
    """
    gateway = request.app[GATEWAY]
    await gateway.require_parent(request)
    data = await json_object(request)
    refuse_unknown(data, ACCOUNTS_CHANGE)
    ids = _agents(data)
    if not all(isinstance(each, str) for each in ids):
        raise invalid("`agents` must be a list of account ids")
    status = new_status(data)
    if status is None:
        raise invalid("Nothing to change: send `status`")
    wait = wait_seconds(request, data) if status == "disabled" else 0.0
    refuse_revision(request)
    changed = await asyncio.gather(*(_change(gateway, each, status, wait) for each in ids))
    gateway.label_accounts(*changed[:MAX_LABELLED])
    agents = await asyncio.gather(*(account_state(gateway, each) for each in changed))
    return respond_shape(AccountStates(agents=agents))


async def _change(gateway: GatewayContext, account_id: str, status: str, wait: float) -> Account:
    changed = await gateway.store.change_account(account_id, None, status)
    if isinstance(changed, StoreRefusal):
        raise change_error(changed, account_id, 0)
    settled = await gateway.calls.wait_until_settled(changed.id, wait) if wait else None
    return settled or changed


def _agents(data: dict[str, Any]) -> list[Any]:
    agents = data.get("agents")
    if not isinstance(agents, list) or not 0 < len(agents) <= MAX_ACCOUNTS:
        raise invalid(f"`agents` must be a list of 1 to {MAX_ACCOUNTS}; got {shown(agents)}")
    return agents
