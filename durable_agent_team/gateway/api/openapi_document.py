"""`GET /openapi.json`: the OpenAPI 3.1 description of every request of this gateway.

It is built from the router, the shapes of responses and the limits that the handlers use. A route
that `OPERATIONS` does not contain raises KeyError at the start.
"""

import json
import re
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from durable_agent_team.gateway.api.door_shapes import (
    EMBEDDINGS_REQUEST,
    MESSAGES_REQUEST,
    RESPONSES_REQUEST,
    MessagesError,
)
from durable_agent_team.gateway.api.effect_shapes import (
    EFFECT_BEGIN,
    EFFECT_FINISH,
    EFFECT_RESOLVE,
)
from durable_agent_team.gateway.api.http_bodies import respond
from durable_agent_team.gateway.api.openapi_errors import ERRORS, UPSTREAM_STATUSES
from durable_agent_team.gateway.api.openapi_operations import (
    AGENT_KEY,
    BLOB,
    OPERATIONS,
    PARENT_KEY,
    STREAMED,
    Operation,
)
from durable_agent_team.gateway.api.request_shapes import (
    ACCOUNT_CHANGE,
    ACCOUNTS_CHANGE,
    NEW_ACCOUNT,
    NEW_ACCOUNTS,
    TRANSFER,
    Schema,
    chat_request,
)
from durable_agent_team.gateway.api.response_shapes import ErrorResponse, Health
from durable_agent_team.gateway.api.tool_charge_shapes import NEW_TOOL_CHARGE
from durable_agent_team.gateway.models.model_table import ModelTable

DOCUMENT = web.AppKey("gateway.openapi", bytes)
BYTES: Final[Schema] = {"application/octet-stream": {"schema": {}}}
REFERENCE: Final = "#/components/schemas/"
ABOUT: Final = (
    "ATXP's account API and an OpenAI-compatible chat endpoint with a hard limit for each account."
    " Bodies are JSON objects in UTF-8, at most 100 levels deep, of at most GATEWAY_MAX_BODY_BYTES."
    " Every error has the shape `ErrorResponse`: an unknown path is a 404, a method that a path"
    " does not have a 405, an `Expect` other than `100-continue` a 417."
)


async def openapi(request: web.Request) -> web.Response:
    """GET /openapi.json, without a key."""
    return respond(request.app[DOCUMENT], 200, {})


def add_document(app: web.Application, models: ModelTable) -> None:
    """Describes the routes that the application has now."""
    app[DOCUMENT] = json.dumps(describe(app, models)).encode()


def describe(app: web.Application, models: ModelTable) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for method, path in routes(app):
        operation = _operation(method, path, OPERATIONS[method, path])
        paths.setdefault(path, {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "durable-agent-team gateway", "version": "1", "description": ABOUT},
        "paths": paths,
        "components": {
            "responses": _error_responses(),
            "schemas": {**_request_schemas(models), **_response_schemas()},
            "securitySchemes": {
                PARENT_KEY: {"type": "http", "scheme": "bearer"},
                AGENT_KEY: {"type": "http", "scheme": "bearer"},
            },
        },
    }


def routes(app: web.Application) -> Iterable[tuple[str, str]]:
    """Method and path of each route. A HEAD that only leaves out the body of a GET is left out."""
    every = [route for route in app.router.routes() if route.resource is not None]
    got = {route.handler for route in every if route.method == "GET"}
    for route in every:
        if route.resource is not None and not (route.method == "HEAD" and route.handler in got):
            yield route.method, route.resource.canonical


def _operation(method: str, path: str, operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": method.lower() + re.sub(r"\W+", "_", path).rstrip("_"),
        "summary": operation.summary,
        "security": [{key: []} for key in (operation.key, operation.or_key) if key],
        "parameters": list(operation.parameters),
        "responses": _responses(operation, streamed=(method, path) in STREAMED),
    }
    if method == "HEAD":
        without = {status: {"description": "No content"} for status in described["responses"]}
        described["responses"] = without
    if operation.body is not None:
        content = BYTES if operation.body == BLOB else _json(operation.body)
        described["requestBody"] = {"required": True, "content": content}
    return described


def _responses(operation: Operation, *, streamed: bool) -> dict[str, Any]:
    shape = operation.response
    done = {"description": "Done", "content": _json(shape.__name__) if shape else BYTES}
    found: dict[str, Any] = {str(status): done for status in operation.success}
    errors = [
        *map(str, sorted(operation.errors)),
        *(UPSTREAM_STATUSES if 502 in operation.errors else ()),
    ]
    kind = "Error" if operation.error is ErrorResponse else operation.error.__name__
    found |= {status: {"$ref": f"#/components/responses/{kind}{status}"} for status in errors}
    if shape is Health:
        found["503"] = _response("Calls cannot be made; `status` says why.", Health.__name__)
    if streamed:
        found["200"]["content"]["text/event-stream"] = {"schema": {}}
    return found


def _error_responses() -> dict[str, Any]:
    meanings: dict[Any, str] = {**ERRORS, **UPSTREAM_STATUSES}
    shapes = {"Error": ErrorResponse, MessagesError.__name__: MessagesError}
    return {
        f"{kind}{status}": _response(meaning, shape.__name__)
        for kind, shape in shapes.items()
        for status, meaning in meanings.items()
    }


def _response(description: str, shape: str) -> dict[str, Any]:
    return {"description": description, "content": _json(shape)}


def _json(shape: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": REFERENCE + shape}}}


def _request_schemas(models: ModelTable) -> dict[str, Schema]:
    parameters = models.parameters
    return {
        "NewAccount": NEW_ACCOUNT,
        "NewAccounts": NEW_ACCOUNTS,
        "AccountsChange": ACCOUNTS_CHANGE,
        "AccountChange": ACCOUNT_CHANGE,
        "Transfer": TRANSFER,
        "ChatRequest": chat_request(parameters),
        "ResponsesRequest": RESPONSES_REQUEST,
        "MessagesRequest": MESSAGES_REQUEST,
        "EmbeddingsRequest": EMBEDDINGS_REQUEST,
        "NewToolCharge": NEW_TOOL_CHARGE,
        "EffectBegin": EFFECT_BEGIN,
        "EffectFinish": EFFECT_FINISH,
        "EffectResolve": EFFECT_RESOLVE,
    }


@cache
def _response_schemas() -> dict[str, Schema]:
    """Always the same, and most of the work: a tenth of a second."""
    shapes: set[type[BaseModel]] = {ErrorResponse, MessagesError}
    shapes |= {each.response for each in OPERATIONS.values() if each.response is not None}
    models = sorted(shapes, key=lambda shape: shape.__name__)
    _, document = models_json_schema(
        [(model, "serialization") for model in models], ref_template=REFERENCE + "{model}"
    )
    schemas: dict[str, Schema] = document["$defs"]
    return schemas
