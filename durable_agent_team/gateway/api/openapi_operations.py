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
from durable_agent_team.gateway.api.effect_shapes import EFFECT as EFFECT_NAME
from durable_agent_team.gateway.api.effect_shapes import (
    EffectDetails,
    EffectList,
    EffectState,
)
from durable_agent_team.gateway.api.request_shapes import (
    AMOUNT,
    CHARGE,
    IDEMPOTENCY_KEY,
    MAX_AFTER,
    MAX_PAGE,
    PAGE,
    POSSIBLY_BILLED,
    TOOL,
    WAIT_FOR_CHARGE,
    WAIT_SECONDS,
    Schema,
)
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
from durable_agent_team.gateway.api.scoped_calls import (
    ATTEMPT_HEADER,
    MAX_ATTEMPT,
    SCOPE,
    SCOPE_HEADER,
)
from durable_agent_team.gateway.api.tool_charge_shapes import CHARGE_KEY, ToolChargeJson
from durable_agent_team.gateway.calls.time_limit import (
    KNOWN_LIMITS_HEADER,
    MAX_KNOWN_LIMITS,
    TIMEOUT_HEADER,
)

BLOB: Final = "Blob"
"""The one body that is not JSON."""
PATH: Final = "/openapi.json"
PARENT_KEY: Final = "parentKey"
AGENT_KEY: Final = "agentKey"

ERRORS: Final = {
    400: "A value is wrong, and `message` names its field; or the request is not valid HTTP.",
    401: "The key is unknown.",
    402: "The call does not fit the account's limit, or the account is disabled.",
    403: "The key is of the wrong kind: the parent key manages accounts, an agent's key chats.",
    404: "There is no such account, model, blob, effect or charge.",
    408: "The body did not arrive within GATEWAY_REQUEST_SECONDS.",
    409: "It contradicts the state of the account, effect or charge, or what its Idempotency-Key"
    " was used for before.",
    410: "The call was paid, or the effect is done; the answer was deleted when the account was"
    " disabled.",
    411: "A blob needs a `Content-Length`.",
    413: "The body is larger than GATEWAY_MAX_BODY_BYTES, GATEWAY_MAX_BLOB_BYTES, or the limit of"
    " an effect's result.",
    415: "The body is compressed.",
    500: "A bug of the gateway; `message` has the id of its log line. Or a blob is damaged.",
    502: "The upstream was not reached, or its answer cannot be used.",
    503: "The gateway cannot do this now; `Retry-After` says when to try again.",
    504: "The upstream did not answer within the call's time limit.",
    507: "The blobs would exceed GATEWAY_BLOB_STORAGE_BYTES, or the account has too many effects.",
}
"""What an error status means. All have the shape `ErrorResponse`."""

_ALWAYS: Final = (400, 500, 503)
_BODY: Final = (408, 413, 415)
_KEY: Final = (401, 403)


@dataclass(frozen=True)
class Operation:
    """One request. `body` names a schema in `components`. Without a `response`, the response is
    the bytes of a blob."""

    summary: str
    response: type[BaseModel] | None
    errors: tuple[int, ...] = _ALWAYS
    key: str | None = None
    body: str | None = None
    parameters: tuple[Schema, ...] = ()
    success: tuple[int, ...] = (200,)
    error: type[BaseModel] = ErrorResponse
    or_key: str | None = None
    """Another kind of key that serves, too."""


def _parameter(place: str, name: str, schema: Schema) -> Schema:
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def _whole(least: int, most: int, default: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most, "default": default}


ID = _parameter("path", "id", {"type": "string", "minLength": 1})
SHA256 = _parameter("path", "sha256", {"type": "string", "pattern": "^[0-9a-f]{64}$"})
EFFECT = _parameter("path", "effect", {"type": "string", "pattern": f"^{EFFECT_NAME.pattern}$"})
OF_AGENT = _parameter("query", "agent", {"type": "string", "minLength": 1})
"""With the parent key: the account that the scope belongs to."""
TIMEOUT = _parameter("header", TIMEOUT_HEADER, {"type": "number", "exclusiveMinimum": 0})
KNOWN_LIMITS = _parameter(
    "header", KNOWN_LIMITS_HEADER, {"type": "integer", "minimum": 0, "maximum": MAX_KNOWN_LIMITS}
)
IDEMPOTENT = _parameter("header", "Idempotency-Key", IDEMPOTENCY_KEY)
IN_QUERY = (
    _parameter("query", "kind", {"enum": [CHARGE, TOOL, POSSIBLY_BILLED], "default": CHARGE}),
    _parameter("query", "limit", _whole(1, MAX_PAGE, PAGE)),
    _parameter("query", "after", _whole(0, MAX_AFTER, 0)),
    _parameter("query", "idempotency_key", {"type": "string"}),
    _parameter("query", "scope", {"type": "string"}),
)
SCOPE_NAME: Final[Schema] = {"type": "string", "pattern": f"^{SCOPE.pattern}$"}
ATTEMPT_NUMBER: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": MAX_ATTEMPT}
OF_SCOPE = _parameter("path", "scope", SCOPE_NAME)
IN_SCOPE = (OF_SCOPE, _parameter("path", "attempt", ATTEMPT_NUMBER))
LONG_POLL = (
    _parameter("query", "spent_usd", AMOUNT),
    _parameter("query", "wait_seconds", WAIT_FOR_CHARGE),
)
"""Of a scope: answers as soon as it has cost another amount than `spent_usd`."""
SCOPE_HEADERS = (
    _parameter("header", SCOPE_HEADER, SCOPE_NAME),
    _parameter("header", ATTEMPT_HEADER, ATTEMPT_NUMBER),
)

OF_CHARGE = _parameter("path", "key", {"type": "string", "pattern": f"^{CHARGE_KEY.pattern}$"})
_CHARGED: Final = (*_ALWAYS, *_KEY, 404, 409)

_PAGE: Final = tuple(each for each in IN_QUERY if each["name"] in ("limit", "after"))
_EFFECT: Final = (*_ALWAYS, *_KEY, *_BODY, 404, 409)
_CALL: Final = (*_ALWAYS, *_KEY, *_BODY, 402, 409, 410, 502, 504)
_CALL_HEADERS: Final = (IDEMPOTENT, TIMEOUT, KNOWN_LIMITS, *SCOPE_HEADERS)

_UNSCOPED: Final[dict[tuple[str, str], Operation]] = {
    ("POST", "/v1/agents"): Operation(
        "Open an account",
        OpenedAccount,
        (*_ALWAYS, *_KEY, *_BODY, 409),
        PARENT_KEY,
        "NewAccount",
        (IDEMPOTENT,),
        (201,),
    ),
    ("POST", "/v1/agents/batch"): Operation(
        "Open many accounts, each under an idempotency key of its own",
        OpenedAccounts,
        (*_ALWAYS, *_KEY, *_BODY, 409),
        PARENT_KEY,
        "NewAccounts",
        success=(201,),
    ),
    ("PATCH", "/v1/agents/batch"): Operation(
        "Change the status of many accounts",
        AccountStates,
        (*_ALWAYS, *_KEY, *_BODY, 404, 409),
        PARENT_KEY,
        "AccountsChange",
    ),
    ("GET", "/v1/agents/{id}"): Operation(
        "Read an account", AccountState, (*_ALWAYS, *_KEY, 404), PARENT_KEY, parameters=(ID,)
    ),
    ("PATCH", "/v1/agents/{id}"): Operation(
        "Change an account's budget or status",
        AccountState,
        (*_ALWAYS, *_KEY, *_BODY, 404, 409),
        PARENT_KEY,
        "AccountChange",
        (ID, _parameter("query", "wait_seconds", WAIT_SECONDS)),
    ),
    ("GET", "/v1/agents/{id}/transactions"): Operation(
        "Read an account's ledger, newest last",
        LedgerPage,
        (*_ALWAYS, *_KEY, 404),
        PARENT_KEY,
        parameters=(ID, *IN_QUERY),
    ),
    ("POST", "/v1/transfers"): Operation(
        "Move unspent money to another account",
        Transferred,
        (*_ALWAYS, *_KEY, *_BODY, 404, 409),
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
        (*_ALWAYS, *_KEY, *_BODY, 402, 409),
        AGENT_KEY,
        "NewToolCharge",
        success=(200, 201),
    ),
    ("GET", "/v1/charges/{key}"): Operation(
        "Read a tool's charge",
        ToolChargeJson,
        (*_ALWAYS, *_KEY, 404),
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
        _CHARGED,
        AGENT_KEY,
        parameters=(OF_CHARGE,),
    ),
    ("PUT", "/v1/blobs/{sha256}"): Operation(
        "Store a blob under its SHA-256",
        BlobStored,
        (*_ALWAYS, *_KEY, *_BODY, 411, 507),
        PARENT_KEY,
        BLOB,
        (SHA256,),
        (200, 201),
    ),
    ("GET", "/v1/blobs/{sha256}"): Operation(
        "Read a blob", None, (*_ALWAYS, *_KEY, 404), PARENT_KEY, parameters=(SHA256,)
    ),
    ("HEAD", "/v1/blobs/{sha256}"): Operation(
        "Whether a blob is there", None, (*_ALWAYS, *_KEY, 404), PARENT_KEY, parameters=(SHA256,)
    ),
    ("GET", "/v1/scopes/{scope}"): Operation(
        "What a scope has cost, and how its calls ended",
        ScopeJson,
        (*_ALWAYS, *_KEY, 404),
        AGENT_KEY,
        parameters=(OF_SCOPE, OF_AGENT, *LONG_POLL),
        or_key=PARENT_KEY,
    ),
    ("GET", "/v1/scopes/{scope}/effects"): Operation(
        "List the effects of a scope, without their results",
        EffectList,
        (*_ALWAYS, *_KEY, 404),
        AGENT_KEY,
        parameters=(OF_SCOPE, OF_AGENT, *_PAGE),
        or_key=PARENT_KEY,
    ),
    ("GET", "/v1/scopes/{scope}/effects/{effect}"): Operation(
        "Read an effect, with its result",
        EffectDetails,
        (*_ALWAYS, *_KEY, 404),
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
        "Read one model's price", ModelJson, (*_ALWAYS, 404), parameters=(ID,)
    ),
    ("GET", "/v1/upstreams"): Operation(
        "Ask every upstream whether it takes its key",
        UpstreamStates,
        (*_ALWAYS, *_KEY),
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
UPSTREAM_STATUSES: Final = {
    "4XX": "An error of the upstream, with its status.",
    "5XX": "An error of the upstream, with its status.",
}
