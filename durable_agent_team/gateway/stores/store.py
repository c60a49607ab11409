"""The interface of a store of accounts, calls and ledger lines. `sqlite_store.py` implements it.

Amounts are integer micro-USD, times are Unix seconds. Every method is one transaction.
`spent + reserved <= budget` holds for each account at all times, whatever runs concurrently.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from durable_agent_team.gateway.stores.account_records import Account
from durable_agent_team.gateway.stores.effect_store import EffectStore
from durable_agent_team.gateway.stores.scope_records import EndedRequest, Place, ScopeState
from durable_agent_team.gateway.stores.tool_charge_store import ToolChargeStore


class StoreError(Exception):
    """The database failed (a full disk, a lock held too long). Nothing was changed."""


class RefusalReason(StrEnum):
    """Why the store did not begin a call or change an account."""

    EXHAUSTED = "budget_exhausted"
    DISABLED = "account_disabled"
    CONFLICT = "idempotency_conflict"
    ANSWER_DROPPED = "answer_dropped"
    BELOW_SPENT = "budget_below_spent"
    TOO_LARGE = "budget_too_large"
    NOT_FOUND = "not_found"
    LIMIT_REACHED = "limit_reached"
    """The gateway has ended this call at a limit of its own more often than its client knows."""
    SUPERSEDED = "attempt_superseded"
    """A newer attempt of the call's scope has begun."""
    REPEATED = "request_repeated"
    """The client has sent this request of a scope again, which made the later one its holder."""
    CHANGED = "changed_since"
    """The account was changed after its client had read it."""
    CLIENT_LEFT = "client_left"
    """The client of a request in a scope left before its call was begun."""


CALL = "call"
TOOL = "tool"
"""The kinds of ledger lines: calls of models, and charges of tools."""


class InterruptionCause(StrEnum):
    """Why a call that may have reached the upstream was not charged."""

    GATEWAY_DIED = "gateway_died"
    UPSTREAM_BROKE_OFF = "upstream_broke_off"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    """The gateway ended the call at its time limit. The account's `interrupted` counts it, and the
    next one, as `upstream_broke_off`, as before these causes existed."""
    UPSTREAM_TOO_LONG = "upstream_too_long"
    """The answer was longer than the gateway reads."""
    MALFORMED_ANSWER = "malformed_answer"
    LEASE_EXPIRED = "lease_expired"


OWN_LIMITS = frozenset({InterruptionCause.UPSTREAM_TIMEOUT, InterruptionCause.UPSTREAM_TOO_LONG})
"""The gateway ended the call. It would end it again, so it does not repeat it unasked."""


@dataclass(frozen=True, slots=True)
class NewAccount:
    id: str
    name: str
    key_hash: str
    budget: int
    open_key: str | None
    open_hash: str


@dataclass(frozen=True, slots=True)
class NewCall:
    id: str
    account_id: str
    key: str | None
    body_hash: str
    model: str
    bound: int
    lease_seconds: float | None = None
    """How long it can hold its reservation; None for the store's default."""
    known_limits: int | None = None
    """How often the client knows that the call was ended at a limit of the gateway's own: it is
    refused if that happened more often. None makes it in any case; in a scope, unless it happened
    in this attempt."""
    place: Place | None = None
    """In a scope, which makes the key."""


@dataclass(frozen=True, slots=True)
class Reserved:
    account: Account
    lease_ends: float
    """By the machine's steady clock, `time.monotonic`, in seconds."""
    key: str | None = None
    """That the store made, for a call in a scope."""


@dataclass(frozen=True, slots=True)
class StoredCall:
    """The call was made before; this is its answer."""

    account: Account
    status: int
    response: bytes


@dataclass(frozen=True, slots=True)
class PendingCall:
    """Another request is making the same call right now."""

    account: Account
    key: str | None = None


@dataclass(frozen=True, slots=True)
class CrowdedScope:
    """Clients of requests with the same body are connected. They may have left a moment ago, so
    that the call is to be begun again, with `is_patient`."""


@dataclass(frozen=True, slots=True)
class StoreRefusal:
    reason: RefusalReason
    account: Account | None = None
    newest_attempt: int = 0
    """The newest attempt of the scope, if it is later than the call's."""


BeginResult = Reserved | StoredCall | PendingCall | CrowdedScope | StoreRefusal


@dataclass(frozen=True, slots=True)
class Settlement:
    """The charge for a billed call, and the answer to store. The operator pays the `overrun`."""

    call_id: str
    prompt_tokens: int
    completion_tokens: int
    amount: int
    estimated: bool
    overrun: int
    status: int
    response: bytes
    price_fingerprint: str
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    saved: int = 0
    """What caching saved against the price without it; negative if it cost more than it saved."""
    price_source: str = ""
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    account: Account
    newest_attempt: int = 0
    """The newest attempt of the call's scope; 0 without a scope."""


@dataclass(frozen=True, slots=True)
class LedgerLine:
    id: int
    created_at: float
    idempotency_key: str | None
    model: str
    prompt_tokens: int
    completion_tokens: int
    amount: int
    estimated: bool
    overrun: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    saved: int = 0
    price_source: str = ""
    scope: str | None = None
    attempt: int | None = None
    kind: str = CALL
    what: str = ""
    """The tool, for the charge of a tool."""


@dataclass(frozen=True, slots=True)
class PossiblyBilledCall:
    """A request that was given up after it may have reached the upstream. A call that is made again
    with its key has one for each time."""

    id: int
    created_at: float
    idempotency_key: str | None
    model: str
    bound: int | None
    """The most that the upstream can have billed; None if an older gateway recorded it."""
    cause: str
    scope: str | None = None
    attempt: int | None = None


class Store(Protocol):
    """See the module docstring. `SqliteStore` and `MeteredStore` implement it."""

    @property
    def effects(self) -> EffectStore:
        """What agents' tools did, in the same file and under the same accounts."""

    @property
    def tool_charges(self) -> ToolChargeStore:
        """What agents' tools cost, in the same ledger."""

    async def open_account(self, new: NewAccount) -> tuple[Account, bool] | StoreRefusal:
        """The account, and whether it is new. The same open key returns the same account."""

    async def find_account(self, key_hash: str) -> Account | None: ...

    async def account(self, account_id: str) -> Account | None: ...

    async def interrupted(self, account_id: str) -> dict[str, int]:
        """Calls that may have been billed upstream but were not charged, by cause."""

    async def possibly_billed(
        self,
        account_id: str,
        after: int,
        limit: int,
        idempotency_key: str | None,
        scope: str | None = None,
    ) -> list[PossiblyBilledCall]:
        """The same calls one by one, oldest first."""

    async def change_account(
        self, account_id: str, budget: int | None, status: str | None, revision: int | None = None
    ) -> Account | StoreRefusal:
        """Sets a new limit, a new status, or both; with a `revision`, only of an account that still
        has it. Disabling deletes the stored answers, and settles the tools' charges that are still
        reserved: the tools may have run."""

    async def transfer(
        self, from_id: str, to_id: str, amount: int, key: str | None
    ) -> tuple[Account, Account] | StoreRefusal:
        """Moves unspent budget, once for each key. Either both accounts change or neither."""

    async def ledger_lines(
        self,
        account_id: str,
        after: int,
        limit: int,
        idempotency_key: str | None,
        scope: str | None = None,
        kind: str | None = None,
    ) -> list[LedgerLine]:
        """The account's charges with an id above `after`, oldest first, at most `limit`; with a
        key, a scope or a kind, only those that have it."""

    async def begin(self, call: NewCall) -> BeginResult:
        """Reserves the bound if it fits, or returns what became of this key's earlier call."""

    async def settle(self, settlement: Settlement) -> Settled | None:
        """Charges the call, releases the rest and stores the answer. None if its lease expired."""

    async def release(self, call_id: str, cause: InterruptionCause | None) -> Account | None:
        """Releases the reservation; the key can be used again. With a `cause`, the call is recorded
        as possibly billed. None if the lease had expired, which recorded it already."""

    async def end_request(self, ended: EndedRequest) -> None:
        """Keeps or gives back the number of a request in a scope, and counts how it ended."""

    async def enter_scope(self, account_id: str, scope: str, attempt: int) -> int:
        """The newest attempt that was seen, with this one: an older one is superseded."""

    async def scope_state(self, account_id: str, scope: str) -> ScopeState:
        """The state of a scope: zeros where nothing was called yet."""

    async def release_abandoned(self) -> int:
        """Releases the reservations of dead gateways and expired leases. Returns their number."""

    async def overruns(self) -> dict[tuple[str, str], int]:
        """Overruns by model and price fingerprint. These models are refused."""

    async def not_ready(self) -> str | None:
        """Why nothing can be written now, or None."""

    async def close(self) -> None: ...
