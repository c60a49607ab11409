"""The route of an account's ledger. It needs the parent key."""

from datetime import UTC, datetime

from aiohttp import web

from durable_agent_team.gateway.amounts import usd
from durable_agent_team.gateway.api.account_routes import unknown_account
from durable_agent_team.gateway.api.gateway_context import GATEWAY
from durable_agent_team.gateway.api.http_bodies import query_value, respond_shape
from durable_agent_team.gateway.api.request_shapes import (
    CHARGE,
    MAX_AFTER,
    MAX_PAGE,
    PAGE,
    POSSIBLY_BILLED,
    TOOL,
)
from durable_agent_team.gateway.api.request_values import whole
from durable_agent_team.gateway.api.response_shapes import LedgerEntry, LedgerPage, PossiblyBilled
from durable_agent_team.gateway.api_error import invalid, shown
from durable_agent_team.gateway.stores.store import LedgerLine, PossiblyBilledCall


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
        raise unknown_account(account_id)
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
