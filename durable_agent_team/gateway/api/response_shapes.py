"""The JSON objects of responses. Handlers return them, and `/openapi.json` describes them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from durable_agent_team.gateway.api_error import ErrorType
from durable_agent_team.gateway.models.model import Speaks


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True)


class Capabilities(Shape):
    """`charges`: it charges for tools, too (`/v1/charges`). `scopes`: it pays for programs, each
    call once (`/scopes/{scope}/{attempt}/v1`)."""

    hard_limit: bool
    replay: bool
    ledger: bool
    transfer: bool
    charges: bool
    scopes: bool


IF_ANY = Field(exclude_if=lambda value: not value and value != 0)
Rate = Annotated[float | None, IF_ANY]
Whole = Annotated[int | None, IF_ANY]
Text = Annotated[str | None, IF_ANY]

CAPABILITIES = Capabilities(
    hard_limit=True, replay=True, ledger=True, transfer=True, charges=True, scopes=True
)


class AccountJson(Shape):
    """An account. Amounts are USD; `balance` is the budget minus what is spent. `revision` is for
    `If-Match`."""

    id: str
    name: str
    status: Literal["active", "disabled"]
    budget: float
    spent: float
    balance: float
    reserved: float
    charges: int
    revision: int


class OpenedAccount(AccountJson):
    """A new account, with the key of its agent."""

    api_key: str
    capabilities: Capabilities


class OpenedAccounts(Shape):
    """New accounts, in the order of the request."""

    agents: list[OpenedAccount]
    capabilities: Capabilities


class AccountState(AccountJson):
    """An account, and what may have been billed upstream but was not charged."""

    interrupted: dict[str, int]
    possibly_billed_calls: int
    possibly_billed: float


class AccountStates(Shape):
    """Accounts after a change, in the order of the request."""

    agents: list[AccountState]


class Transferred(Shape):
    amount: float
    source: AccountJson = Field(alias="from")
    target: AccountJson = Field(alias="to")


class LedgerEntry(Shape):
    """One charge. `overrun` is what the call cost above its bound; the operator pays it.

    `cached_tokens` and `cache_write_tokens` are parts of the prompt, `reasoning_tokens` of the
    completion. `saved_usd` is what caching saved; negative if it cost more than it saved."""

    id: int
    created_at: str
    idempotency_key: str | None
    model: str
    prompt_tokens: int
    completion_tokens: int
    amount: float
    estimated: bool
    overrun: float
    cached_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    saved_usd: float
    price_source: str
    scope: Text = None
    attempt: Whole = None
    """The attempt that paid, for a call in a scope."""
    kind: Annotated[Literal["tool"] | None, IF_ANY] = None
    """`tool` for a tool's charge, which has no model and no tokens; `what` is the tool."""
    what: Text = None


class PossiblyBilled(Shape):
    """A call that was given up. The account pays nothing for it."""

    kind: Literal["possibly_billed"]
    id: int
    created_at: str
    idempotency_key: str | None
    model: str
    amount: float
    bound: float | None
    cause: str
    scope: Text = None
    attempt: Whole = None


class LedgerPage(Shape):
    data: list[LedgerEntry | PossiblyBilled]
    has_more: bool


class RatesJson(Shape):
    """USD per million tokens of each kind. What is not there costs what its plain kind costs."""

    input_usd_per_million: float
    output_usd_per_million: float
    cached_input_usd_per_million: Rate = None
    cache_write_usd_per_million: Rate = None
    cache_write_1h_usd_per_million: Rate = None
    reasoning_usd_per_million: Rate = None
    input_audio_usd_per_million: Rate = None
    cached_audio_usd_per_million: Rate = None
    output_audio_usd_per_million: Rate = None
    input_image_usd_per_million: Rate = None
    cached_image_usd_per_million: Rate = None
    output_image_usd_per_million: Rate = None
    usd_per_request: Rate = None


class TierJson(RatesJson):
    """The rates of a request with a longer prompt, for the whole of it."""

    above_prompt_tokens: int


class RateCardJson(RatesJson):
    tiers: Annotated[list[TierJson], IF_ANY] = []


class PeriodJson(RateCardJson):
    """The rates from a day on, or between two times of each day, in UTC."""

    from_date: Text = None
    from_time: Text = None
    to_time: Text = None


class Pricing(RateCardJson):
    service_tiers: Annotated[dict[str, RateCardJson], IF_ANY] = {}
    periods: Annotated[list[PeriodJson], IF_ANY] = []


class DialectJson(Shape):
    """How the gateway asks a model: which fields it renames, leaves out or adds."""

    limit: str | None
    omit: list[str]
    rename: dict[str, str]
    add: dict[str, Any]
    reasoning_effort: str | None
    structure: str
    schema_in_prompt: bool
    thinking: str
    system: Literal["native", "user"]
    tools: Literal["native", "none"]


class ModelJson(Shape):
    """A priced model, with what the upper bound of a call is computed from. `planning` is how an
    orchestrator plans with it."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    upstream: str
    upstream_model: str
    kind: Literal["chat", "embedding"]
    speaks: Speaks
    pricing: Pricing
    price_source: str
    context_tokens: int | None
    max_output_tokens: int | None
    dialect: DialectJson
    planning: Literal["narrow", "whole"]
    default_max_tokens: int
    message_tokens: int
    request_tokens: int
    status: Literal["active", "refused"]
    overrun_usd: float
    note: str


class Limits(Shape):
    max_call_seconds: float


class ModelList(Shape):
    object: Literal["list"]
    data: list[ModelJson]
    capabilities: Capabilities
    limits: Limits


class ScopeCalls(Shape):
    """The calls of a scope by how they ended. `refused`: the upstream was not called; `failed`:
    it was not charged."""

    charged: int
    replayed: int
    refused: int
    failed: int
    in_flight: int


class LastError(Shape):
    """An error as it was answered, in the words of a chat call, and in which attempt."""

    status: int
    error: dict[str, Any]
    at: str
    attempt: int


class ScopeUsage(Shape):
    """What the charged calls of a scope have used, as in their ledger lines."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    saved_usd: float


class ScopeJson(Shape):
    """What the calls of a scope have cost, over all its attempts. `attempt` is the newest seen,
    `last_limit` the newest of which a call ran into a limit of the gateway's own."""

    scope: str
    attempt: int
    spent_usd: float
    reserved_usd: float
    calls: ScopeCalls
    possibly_billed_calls: int
    possibly_billed_usd: float
    last_refusal: LastError | None
    last_failure: LastError | None
    last_limit: int | None
    usage: ScopeUsage


class BlobStored(Shape):
    sha256: str
    bytes: int


class Health(Shape):
    """`status` is `ready`, or why calls cannot be made. `open_circuits` are the models whose
    upstream is left alone, `all models` where it cannot be reached, and for how many seconds."""

    status: str
    overrun_usd: float
    open_circuits: dict[str, int]


class UpstreamState(Shape):
    """An upstream, and whether it takes its key. `detail` says what to do about it. `models` is the
    number of its models with a price."""

    name: str
    state: Literal["ready", "key_missing", "key_refused", "unreachable", "unknown"]
    detail: str
    models: int


class UpstreamStates(Shape):
    """Every upstream that this gateway has."""

    upstreams: list[UpstreamState]


class Description(BaseModel):
    """An OpenAPI document."""

    openapi: Literal["3.1.0"]
    info: dict[str, str]
    paths: dict[str, dict[str, object]]
    components: dict[str, dict[str, object]]


class Usage(BaseModel):
    """The usage of a chat completion, with the charge. `estimated`: the upper bound was charged.
    Counts are those that were charged; without believable ones, what the upstream reported."""

    cost: float
    estimated: bool = False
    saved_usd: float = 0


class ChatCompletion(BaseModel):
    """OpenAI's format. What else the upstream sends is passed on."""

    usage: Usage


class ErrorFields(BaseModel):
    """`code` is more exact than `type`; that of an `upstream_error` can be the upstream's own."""

    message: str
    type: ErrorType
    code: str
    spent_usd: float = 0
    reserved_usd: float = 0
    remaining_usd: float = 0
    required_usd: float = 0
    possibly_billed_usd: float = 0
    upstream: str = ""
    """Its name, in an error of it."""
    upstream_status: int = 0
    upstream_code: str = ""
    """Its own code, where `code` is `upstream_out_of_funds`."""
    needs: str = ""
    """Settings without which the model cannot be called."""
    nearest: list[str] = []
    """Models whose names look like the one that is not known."""
    effect: str = ""
    tool: str = ""
    attempt: int = 0
    """For an effect: its name, its tool, and the attempt that began it last."""


class ErrorResponse(BaseModel):
    """An error that the upstream billed has `usage`, too."""

    error: ErrorFields
