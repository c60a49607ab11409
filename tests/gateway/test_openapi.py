"""`/openapi.json` describes what the router has, in the terms that the handlers use."""

import ast
import inspect
import json
import re
from pathlib import Path

from aiohttp import web

from durable_agent_team.gateway.api import account_routes
from durable_agent_team.gateway.api.openapi_document import describe, routes
from durable_agent_team.gateway.api.openapi_errors import ERRORS
from durable_agent_team.gateway.api.openapi_operations import OPERATIONS
from durable_agent_team.gateway.calls.chat_request import KNOWN_FIELDS
from durable_agent_team.gateway.models.model_table import ModelTable
from durable_agent_team.gateway.models.price_file import DEFAULT_PRICE_FILE, Prices
from durable_agent_team.gateway.server import add_routes
from tests.gateway.client import world

MAKERS = ("ApiError", "_failed")  # their first argument is the status
GATEWAY = Path(inspect.getfile(account_routes)).parents[1]


def application() -> web.Application:
    app = web.Application()
    add_routes(app)
    return app


MODELS = ModelTable.of(Prices.load(DEFAULT_PRICE_FILE))
DOCUMENT = describe(application(), MODELS)


def test_every_route_is_described_and_nothing_else() -> None:
    described = {
        (method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item
    }
    assert described == set(routes(application())) == set(OPERATIONS)


def test_every_reference_leads_somewhere() -> None:
    for section, name in re.findall(r'"#/components/(\w+)/(\w+)"', json.dumps(DOCUMENT)):
        assert name in DOCUMENT["components"][section]


def test_every_error_has_the_shape_of_an_error() -> None:
    for item in DOCUMENT["paths"].values():
        for operation in (item[method] for method in item if method != "head"):
            for status, response in operation["responses"].items():
                if "$ref" in response:
                    assert re.search(rf"/(Messages)?Error{status}$", response["$ref"])
                else:
                    assert status in ("200", "201", "503")  # the last one of /healthz
    for response in DOCUMENT["components"]["responses"].values():
        schema = response["content"]["application/json"]["schema"]
        assert schema["$ref"].rpartition("/")[2] in ("ErrorResponse", "MessagesError")


def test_every_status_of_the_source_is_described() -> None:
    found = set()
    for path in GATEWAY.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in MAKERS:
                first = node.args[0]
                found |= {first.value} if isinstance(first, ast.Constant) else set()
    assert {401, 402, 404, 408, 409, 410, 415, 502, 503, 504} <= found <= set(ERRORS)


def test_a_chat_call_has_the_fields_that_are_known() -> None:
    properties = DOCUMENT["components"]["schemas"]["ChatRequest"]["properties"]
    assert properties.keys() >= KNOWN_FIELDS


async def test_it_is_served_without_a_key() -> None:
    async with world() as w:
        reply = await w.api.send("GET", "/openapi.json", key="")
        assert (reply.status, reply.json["openapi"]) == (200, "3.1.0")
        assert reply.json["paths"].keys() == DOCUMENT["paths"].keys()
