"""The error statuses in `/openapi.json`: what each means, and which requests can end with it."""

from typing import Final

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
    412: "It has another `revision` than `If-Match` says: it was changed since.",
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
UPSTREAM_STATUSES: Final = {
    "4XX": "An error of the upstream, with its status.",
    "5XX": "An error of the upstream, with its status.",
}

ALWAYS: Final = (400, 500, 503)
WITH_BODY: Final = (408, 413, 415)
WITH_KEY: Final = (401, 403)
