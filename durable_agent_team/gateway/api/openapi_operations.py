"""What `/openapi.json` says of each request: its key, body, parameters and responses."""

from dataclasses import dataclass, replace
from typing import Final

from pydantic import BaseModel

from durable_agent_team.gateway.api.door_path import SCOPED
from durable_agent_team.gateway.api.door_shapes import (
    Embeddings,
    MessageObject,
    MessagesError,
    ResponseObject,
)
from durable_agent_team.gateway.api.effect_shapes import EffectDetails, EffectList, EffectState
from durable_agent_team.gateway.api.openapi_errors import ALWAYS, WITH_BODY, WITH_KEY
from durable_agent_team.gateway.api.openapi_parameters import (
    BEGINS,
    EFFECT,
    EXPECTED,
    ID,
    IDEMPOTENT,
    IN_SCOPE,
    KNOWN_LIMITS,
    LEDGER_FILTERS,
    LONG_POLL,
    OF_AGENT,
    OF_CHARGE,
    OF_SCOPE,
    PAGING,
    SCOPE_HEADERS,
    SHA256,
    TIMEOUT,
    WAIT,
)
from durable_agent_team.gateway.api.request_shapes import Schema
from durable_agent_team.gateway.api.response_shapes import (
    AccountState,
    AccountStates,
    BlobStored,
    ChatCompletion,
    Description,
    ErrorResponse,
    Health,
    LedgerPage,
    ModelJson,
    ModelList,
    OpenedAccount,
    OpenedAccounts,
    ScopeJson,
    Transferred,
    UpstreamStates,
)
from durable_agent_team.gateway.api.tool_charge_shapes import ToolChargeJson

BLOB: Final = "Blob"
"""The one body that is not JSON."""
PATH: Final = "/openapi.json"
PARENT_KEY: Final = "parentKey"
AGENT_KEY: Final = "agentKey"


@dataclass(frozen=True)
class Operation:
    """One request. `body` names a schema in `components`. Without a `response`, the response is
    the bytes of a blob."""

    summary: str
    response: type[BaseModel] | None
    errors: tuple[int, ...] = ALWAYS
    key: str | None = None
    body: str | None = None
    parameters: tuple[Schema, ...] = ()
    success: tuple[int, ...] = (200,)
    error: type[BaseModel] = ErrorResponse
    or_key: str | None = None
    """Another kind of key that serves, too."""


_CHARGED: Final = (*ALWAYS, *WITH_KEY, 404, 409)
_EFFECT: Final = (*ALWAYS, *WITH_KEY, *WITH_BODY, 404, 409)
_CALL: Final = (*ALWAYS, *WITH_KEY, *WITH_BODY, 402, 409, 410, 502, 504)
_CALL_HEADERS: Final = (IDEMPOTENT, TIMEOUT, KNOWN_LIMITS, *SCOPE_HEADERS)

_UNSCOPED: Final[dict[tuple[str, str], Operation]] = {
    ("POST", "/v1/agents"): Operation(
        "Open an account",
        OpenedAccount,
        (*ALWAYS, *WITH_KEY, *WITH_BODY, 409),
        PARENT_KEY,
        "NewAccount",
        (IDEMPOTENT,),
        (201,),
    ),
    ("POST", "/v1/agents/batch"): Operation(
        "Open many accounts, each under an idempotency key of its own",
        OpenedAccounts,
        (*ALWAYS, *WITH_KEY, *WITH_BODY, 409),
        PARENT_KEY,
        "NewAccounts",
        success=(201,),
    ),
    ("PATCH", "/v1/agents/batch"): Operation(
        "Change the status of many accounts",
        AccountStates,
        (*ALWAYS, *WITH_KEY, *WITH_BODY, 404, 409),
        PARENT_KEY,
        "AccountsChange",
    ),
    ("GET", "/v1/agents/{id}"): Operation(
        "Read an account", AccountState, (*ALWAYS, *WITH_KEY, 404), PARENT_KEY, parameters=(ID,)
    ),
    ("PATCH", "/v1/agents/{id}"): Operation(
        "Change an account's budget or status",
        AccountState,
        (*ALWAYS, *WITH_KEY, *WITH_BODY, 404, 409, 412),
        PARENT_KEY,
        "AccountChange",
        (ID, WAIT, EXPECTED),
    ),
    ("GET", "/v1/agents/{id}/transactions"): Operation(
        "Read an account's ledger, newest last",
        LedgerPage,
        (*ALWAYS, *WITH_KEY, 404),
        PARENT_KEY,
        parameters=(ID, *PAGING, *LEDGER_FILTERS),
    ),
    ("POST", "/v1/transfers"): Operation(
        "Move unspent money to another account",
        Transferred,
        (*ALWAYS, *WITH_KEY, *WITH_BODY, 404, 409),
        PARENT_KEY,
        "Transfer",
        (IDEMPOTENT,),
    ),
    ("POST", "/v1/chat/completions"): Operation(
        "Call a model, within the account's limit",
        ChatCompletion,
        _CALL,
        AGENT_KEY,
        "ChatRequest",
        _CALL_HEADERS,
    ),
    ("POST", "/v1/responses"): Operation(
        "Call a model in the format of OpenAI's Responses, without stored state",
        ResponseObject,
        _CALL,
        AGENT_KEY,
        "ResponsesRequest",
        _CALL_HEADERS,
    ),
    ("POST", "/v1/messages"): Operation(
        "Call a model in the format of Anthropic's Messages",
        MessageObject,
        _CALL,
        AGENT_KEY,
        "MessagesRequest",
        _CALL_HEADERS,
        error=MessagesError,
    ),
    ("POST", "/v1/embeddings"): Operation(
        "Make embeddings",
        Embeddings,
        _CALL,
        AGENT_KEY,
        "EmbeddingsRequest",
        _CALL_HEADERS,
    ),
    ("POST", "/v1/charges"): Operation(
        "Reserve what a call of a tool costs",
        ToolChargeJson,
        (*ALWAYS, *WITH_KEY, *WITH_BODY, 402, 409, 412),
        AGENT_KEY,
        "NewToolCharge",
        (EXPECTED,),
        (200, 201),
    ),
    ("GET", "/v1/charges/{key}"): Operation(
        "Read a tool's charge",
        ToolChargeJson,
        (*ALWAYS, *WITH_KEY, 404),
        AGENT_KEY,
        parameters=(OF_CHARGE, OF_AGENT),
        or_key=PARENT_KEY,
    ),
    ("POST", "/v1/charges/{key}/settle"): Operation(
        "Charge the account: the tool has run",
        ToolChargeJson,
        _CHARGED,
        AGENT_KEY,
        parameters=(OF_CHARGE,),
    ),
    ("POST", "/v1/charges/{key}/release"): Operation(
        "Give back what was reserved: the tool did not run",
        ToolChargeJson,
        (*_CHARGED, 412),
        AGENT_KEY,
        parameters=(OF_CHARGE, EXPECTED),
    ),
    ("PUT", "/v1/blobs/{sha256}"): Operation(
        "Store a blob under its SHA-256",
        BlobStored,
        (*ALWAYS, *WITH_KEY, *WITH_BODY, 411, 507),
        PARENT_KEY,
        BLOB,
        (SHA256,),
        (200, 201),
    ),
    ("GET", "/v1/blobs/{sha256}"): Operation(
        "Read a blob", None, (*ALWAYS, *WITH_KEY, 404), PARENT_KEY, parameters=(SHA256,)
    ),
    ("HEAD", "/v1/blobs/{sha256}"): Operation(
        "Whether a blob is there", None, (*ALWAYS, *WITH_KEY, 404), PARENT_KEY, parameters=(SHA256,)
    ),
    ("GET", "/v1/scopes/{scope}"): Operation(
        "What a scope has cost, and how its calls ended",
        ScopeJson,
        (*ALWAYS, *WITH_KEY, 404),
        AGENT_KEY,
        parameters=(OF_SCOPE, OF_AGENT, BEGINS, *LONG_POLL),
        or_key=PARENT_KEY,
    ),
    ("GET", "/v1/scopes/{scope}/effects"): Operation(
        "List the effects of a scope, without their results",
        EffectList,
        (*ALWAYS, *WITH_KEY, 404),
        AGENT_KEY,
        parameters=(OF_SCOPE, OF_AGENT, *PAGING),
        or_key=PARENT_KEY,
    ),
    ("GET", "/v1/scopes/{scope}/effects/{effect}"): Operation(
        "Read an effect, with its result",
        EffectDetails,
        (*ALWAYS, *WITH_KEY, 404),
        AGENT_KEY,
        parameters=(OF_SCOPE, EFFECT, OF_AGENT),
        or_key=PARENT_KEY,
    ),
    ("POST", "/v1/scopes/{scope}/effects/{effect}/begin"): Operation(
        "Begin an effect, or get what became of it",
        EffectState,
        (*_EFFECT, 402, 410, 507),
        AGENT_KEY,
        "EffectBegin",
        (OF_SCOPE, EFFECT, IDEMPOTENT),
    ),
    ("POST", "/v1/scopes/{scope}/effects/{effect}/finish"): Operation(
        "Say what became of an effect",
        EffectState,
        _EFFECT,
        AGENT_KEY,
        "EffectFinish",
        (OF_SCOPE, EFFECT),
    ),
    ("POST", "/v1/scopes/{scope}/effects/{effect}/resolve"): Operation(
        "A person's decision about an effect that may have happened",
        EffectState,
        (*_EFFECT, 402),
        PARENT_KEY,
        "EffectResolve",
        (OF_SCOPE, EFFECT, {**OF_AGENT, "required": True}),
    ),
    ("GET", "/v1/models"): Operation("List the priced models", ModelList),
    ("GET", "/v1/models/{id}"): Operation(
        "Read one model's price", ModelJson, (*ALWAYS, 404), parameters=(ID,)
    ),
    ("GET", "/v1/upstreams"): Operation(
        "Ask every upstream whether it takes its key",
        UpstreamStates,
        (*ALWAYS, *WITH_KEY),
        PARENT_KEY,
    ),
    ("GET", "/healthz"): Operation("Whether calls can be made", Health, (400, 500)),
    ("GET", PATH): Operation("This description", Description),
}


def _in_scope(operation: Operation) -> Operation:
    """The same request below `/scopes/{scope}/{attempt}`, where the gateway makes the key."""
    left_out = (IDEMPOTENT, *SCOPE_HEADERS)
    kept = tuple(each for each in operation.parameters if each not in left_out)
    summary = f"{operation.summary}; in a scope"
    return replace(operation, summary=summary, parameters=(*IN_SCOPE, *kept))


_BELOW_SCOPES: Final = (
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/responses"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/embeddings"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{id}"),
)
OPERATIONS: Final = _UNSCOPED | {
    (method, SCOPED + path): _in_scope(_UNSCOPED[method, path]) for method, path in _BELOW_SCOPES
}
STREAMED: Final = frozenset(
    ("POST", before + path)
    for path in ("/v1/chat/completions", "/v1/responses", "/v1/messages")
    for before in ("", SCOPED)
)
