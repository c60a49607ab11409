"""Agent cards, tasks and responses from elsewhere: any JSON is read or refused, never a crash."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.programs.remote.agent_card import Interface, card_urls, chosen_interface
from activities.programs.remote.remote_errors import RemoteFailed, RpcError
from activities.programs.remote.remote_task import RemoteTask, read_task, task_or_message
from activities.programs.remote.wire import Outgoing, Wire

FIELDS = """
url supportedInterfaces additionalInterfaces protocolBinding preferredTransport transport
protocolVersion tenant defaultInputModes skills inputModes id contextId status state
message msg task kind artifacts history parts content role text data metadata json_schema
result error code details
"""
NAMES = st.sampled_from(FIELDS.split())
VALUES = st.sampled_from(
    [
        "JSONRPC",
        "HTTP+JSON",
        "1.0",
        "0.3.0",
        "http://h:99999/",
        "http://[::1",
        "TASK_STATE_FAILED",
        "\ud800",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)
WIRES = [
    Wire(Interface("http://h/rpc", binding, version))
    for binding in ("JSONRPC", "HTTP+JSON")
    for version in ("1.0", "0.3")
]


@given(JSON)
def test_any_card_gives_an_address_or_a_reason(card: Any) -> None:
    with suppress(RemoteFailed):
        chosen = chosen_interface(card, "https://h/.well-known/agent-card.json")
        assert chosen.url.startswith(("http://", "https://"))


@given(JSON, st.sampled_from([200, 400, 404, 500]), st.sampled_from(WIRES))
def test_any_response_is_a_result_or_an_error(body: Any, status: int, wire: Wire) -> None:
    with suppress(RemoteFailed, RpcError):
        result = task_or_message(wire.result(status, json.dumps(body).encode()))
        if isinstance(result, RemoteTask):
            assert result.id.encode()
            result.answer(True).encode()
            result.said().encode()
            wire.get(result.id, 1)
        else:
            result.shown(True).encode()


@pytest.mark.parametrize("levels", [300, 700, 950, 5_000])
def test_a_deep_answer_is_a_result_or_an_error(levels: int) -> None:
    data = '{"a":' * levels + '"\\ud800"' + "}" * levels
    parts = f'[{{"parts":[{{"data":{data}}}]}}]'
    body = f'{{"id":"1","status":{{"state":"completed"}},"artifacts":{parts}}}'
    with suppress(RemoteFailed, RpcError):
        task = task_or_message(WIRES[2].result(200, body.encode()))
        assert isinstance(task, RemoteTask)
        task.answer(True).encode()


CHOICES = {
    "JSON-RPC before HTTP+JSON": (
        [("a", "HTTP+JSON", "1.0"), ("b", "JSONRPC", "0.3.0")],
        ("b", "0.3"),
    ),
    "the newer version": ([("a", "JSONRPC", "0.3"), ("b", "JSONRPC", "1.0.2")], ("b", "1.0")),
    "no gRPC": ([("a", "GRPC", "1.0"), ("b", "HTTP+JSON", "0.2.5")], ("b", "0.3")),
    "no later version": ([("a", "JSONRPC", "2.0"), ("b", "JSONRPC", "1.1")], ("b", "1.0")),
}


@pytest.mark.parametrize(("offered", "expected"), CHOICES.values(), ids=CHOICES)
def test_the_interface_that_is_chosen(
    offered: list[tuple[str, str, str]], expected: tuple[str, str]
) -> None:
    interfaces = [
        {"url": f"/{name}", "protocolBinding": binding, "protocolVersion": version}
        for name, binding, version in offered
    ]
    found = chosen_interface({"supportedInterfaces": interfaces}, "https://h/agents/card.json")
    assert (found.url, found.version) == (f"https://h/{expected[0]}", expected[1])


def test_a_card_of_0_3() -> None:
    card = {
        "protocolVersion": "0.3.0", "url": "https://h/grpc", "preferredTransport": "GRPC",
        "additionalInterfaces": [{"url": "https://h/rpc", "transport": "JSONRPC"}],
    }  # fmt: skip
    assert chosen_interface(card, "https://h/c.json") == Interface(
        "https://h/rpc", "JSONRPC", "0.3"
    )


@pytest.mark.parametrize(
    ("card", "takes_json"),
    [
        ({"defaultInputModes": ["text/plain", "application/json"]}, True),
        ({"defaultInputModes": ["text"], "skills": [{"inputModes": ["application/json"]}]}, True),
        ({"defaultInputModes": ["application/json"]}, False),
        ({"defaultInputModes": ["text/plain"]}, False),
        ({}, False),
    ],
)
def test_data_parts_go_only_to_agents_that_name_them(card: Any, takes_json: bool) -> None:
    found = chosen_interface({"url": "https://h/rpc", **card}, "https://h/c.json")
    assert found.takes_json is takes_json


@pytest.mark.parametrize(
    ("address", "first"),
    [
        ("https://h", "https://h/.well-known/agent-card.json"),
        ("https://h/a/", "https://h/a/.well-known/agent-card.json"),
        ("https://h/a?x=1", "https://h/a/.well-known/agent-card.json?x=1"),
        ("https://h/.well-known/agent-card.json?assistant_id=a", None),
    ],
)
def test_where_the_card_is(address: str, first: str | None) -> None:
    assert card_urls(address)[0] == (first or address)


def test_pieces_of_a_stream_are_one_text_and_parts_are_lines() -> None:
    def answer(*texts: str) -> str:
        artifact = {"parts": [{"text": text} for text in texts]}
        return read_task({"id": "t", "artifacts": [artifact]}).answer()

    assert answer("Norway", " pays", " 12.") == "Norway pays 12."
    assert answer("First line.", "Second line.") == "First line.\nSecond line."


def test_a_result_that_fasta2a_wraps() -> None:
    part = {"data": {"result": {"price": 1}}, "metadata": {"json_schema": {"type": "object"}}}
    task = read_task({"id": "t", "artifacts": [{"parts": [part]}]})
    assert task.answer(wants_json=True) == '{"price": 1}'


@pytest.mark.parametrize(
    "wire", WIRES, ids=lambda w: f"{w.interface.binding}-{w.interface.version}"
)
def test_a_tasks_id_cannot_leave_its_path(wire: Wire) -> None:
    for request in (wire.get("../../admin?x=1", 0), wire.cancel("../../admin?x=1")):
        assert "admin" not in request.url or "..%2F..%2Fadmin%3Fx%3D1" in request.url
    assert "é" in (wire.send(Outgoing("m", ("é",))).body or b"").decode()
