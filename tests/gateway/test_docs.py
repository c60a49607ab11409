"""docs/gateway.md documents every setting and every route."""

from pathlib import Path

from aiohttp import web

from durable_agent_team.gateway.api.door_path import SCOPED
from durable_agent_team.gateway.gateway_settings import GatewaySettings
from durable_agent_team.gateway.server import add_routes

PAGE = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text()


def test_every_setting_is_documented_with_its_default() -> None:
    for name, field in GatewaySettings.model_fields.items():
        [row] = [line for line in PAGE.splitlines() if line.startswith(f"| `{name.upper()}` |")]
        plain = isinstance(field.default, int | str) and not isinstance(field.default, bool)
        if plain and name != "gateway_lease_seconds":
            assert str(field.default) in row


def test_every_route_is_documented() -> None:
    app = web.Application()
    add_routes(app)
    for route in app.router.routes():
        assert route.resource is not None
        path = route.resource.canonical
        if route.method != "HEAD":
            assert f"`{route.method} {path.removeprefix(SCOPED)}`" in PAGE
    assert f"`{SCOPED}/v1/…`" in PAGE
