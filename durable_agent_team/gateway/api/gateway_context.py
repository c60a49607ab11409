"""What all handlers share: the gateway's parts, and which account a request's key belongs to."""

import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aiohttp import web

from durable_agent_team.gateway import request_labels
from durable_agent_team.gateway.api.byte_budget import ByteBudget
from durable_agent_team.gateway.api.door_path import door_path
from durable_agent_team.gateway.api_error import forbidden, unauthorized
from durable_agent_team.gateway.calls.call_service import CallService
from durable_agent_team.gateway.gateway_settings import GatewaySettings
from durable_agent_team.gateway.keys import KeyMaker, Scrubber, hash_key
from durable_agent_team.gateway.models.model_table import ModelTable
from durable_agent_team.gateway.models.upstream_state import UpstreamCheck
from durable_agent_team.gateway.otel_providers import GatewayTelemetry
from durable_agent_team.gateway.stores.account_records import Account
from durable_agent_team.gateway.stores.blob_store import BlobStore
from durable_agent_team.gateway.stores.store import Store

API_KEY = "X-Api-Key"
"""The header in which Anthropic's clients send the agent's key."""
MESSAGES = "/v1/messages"
MAX_CACHED_KEYS = 10_000


class KeyHolder(NamedTuple):
    """The account that a key belongs to, named as in log lines."""

    id: str
    name: str


@dataclass
class GatewayContext:
    settings: GatewaySettings
    store: Store
    calls: CallService
    models: ModelTable
    keys: KeyMaker
    scrub: Scrubber
    telemetry: GatewayTelemetry | None
    parent_hash: str
    blobs: BlobStore
    blob_memory: ByteBudget
    key_holders: dict[str, KeyHolder]
    """A cache, by the key's hash."""
    check_upstreams: Callable[[], Awaitable[Sequence[UpstreamCheck]]]
    """Asks each upstream whether it takes its key."""
    stopping: bool = False

    async def require_parent(self, request: web.Request) -> None:
        """Raises ApiError unless the request has the parent key."""
        key_hash = _bearer_hash(request)
        if not hmac.compare_digest(key_hash, self.parent_hash):
            if await self._key_holder(key_hash) is None:
                raise unauthorized()
            raise forbidden("An agent's key cannot manage accounts; use the parent key")

    def has_parent_key(self, request: web.Request) -> bool:
        """Raises ApiError if the request has no key at all."""
        return hmac.compare_digest(_bearer_hash(request), self.parent_hash)

    async def require_agent(self, request: web.Request) -> str:
        """The id of the account that the request's key belongs to. Raises ApiError."""
        key_hash = _bearer_hash(request)
        if hmac.compare_digest(key_hash, self.parent_hash):
            raise forbidden("The parent key cannot chat; open an account and use its key")
        holder = await self._key_holder(key_hash)
        if holder is None:
            raise unauthorized()
        self._label(holder)
        return holder.id

    def label_accounts(self, *accounts: Account | None) -> None:
        """From here on, log lines and spans of the current request name these accounts."""
        self._label(*(KeyHolder(each.id, self.scrub(each.name)) for each in accounts if each))

    def _label(self, *holders: KeyHolder) -> None:
        request_labels.add_label(request_labels.ACCOUNT, *(each.id for each in holders))
        request_labels.add_label(request_labels.ACCOUNT_NAME, *(each.name for each in holders))

    async def _key_holder(self, key_hash: str) -> KeyHolder | None:
        """Looked up once: neither a key's account nor the account's name ever changes."""
        known = self.key_holders.get(key_hash)
        if known is None:
            found = await self.store.find_account(key_hash)
            if found is not None:
                if len(self.key_holders) >= MAX_CACHED_KEYS:
                    self.key_holders.pop(next(iter(self.key_holders)))
                known = self.key_holders[key_hash] = KeyHolder(found.id, self.scrub(found.name))
        return known


GATEWAY = web.AppKey("gateway", GatewayContext)


def _bearer_hash(request: web.Request) -> str:
    if API_KEY in request.headers and door_path(request.path).startswith(MESSAGES):
        return hash_key(request.headers[API_KEY].strip())
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise unauthorized()
    return hash_key(key.strip())
