"""The parts that read what servers send, with generated inputs."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.programs.secret_scrubber import SecretScrubber
from activities.tools.called_tool import CalledTool
from activities.tools.exceptions import ToolBroke
from activities.tools.mcp.answers import answer_to_error, check_answered
from activities.tools.mcp.bounded_lines import ENDS_BYTES, BoundedLines, LongLine
from activities.tools.mcp.called_result import called_tool
from activities.tools.mcp.definitions import (
    server_tool,
    without_key_argument,
    without_secrets,
)
from activities.tools.mcp.demands import demand_in_error, demand_in_refusal, demand_in_result
from activities.tools.mcp.faults import Fault, fault_in
from activities.tools.mcp.wire_messages import read_message
from activities.tools.model_names import model_names
from durable_agent_team.contracts.tool_kinds import Effects
from durable_agent_team.rules.tools.result_text import head_and_tail

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"a": {}}}


@given(st.lists(st.binary(max_size=40)), st.integers(1, 30))
def test_lines_are_those_of_the_whole_whatever_the_chunks(chunks: list[bytes], limit: int) -> None:
    lines = BoundedLines(limit)
    found = [line for chunk in chunks for line in lines.feed(chunk)]
    whole = b"".join(chunks).split(b"\n")[:-1]
    assert len(found) == len(whole)
    for line, expected in zip(found, whole, strict=True):
        if len(expected) <= limit:
            assert line == expected
        else:
            assert line == LongLine(expected[:ENDS_BYTES], expected[-ENDS_BYTES:], len(expected))


@given(st.text(), st.integers(200, 2_000))
def test_a_cut_text_fits_and_has_both_ends(text: str, max_bytes: int) -> None:
    text *= 20
    cut = head_and_tail(text, max_bytes)
    assert len(cut.encode()) <= max_bytes
    assert cut == text or "bytes are left out here" in cut
    assert text.startswith(cut[:10])
    assert text.endswith(cut[-10:])


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b é"]), st.text(max_size=70)), max_size=12))
def test_names_are_taken_by_models_and_differ(tools: list[tuple[str, str]]) -> None:
    names = model_names(tools)
    assert len(set(names)) == len(names) == len(tools)
    for name in names:
        assert 0 < len(name) <= 64
        assert all(char.isascii() and (char.isalnum() or char in "_-") for char in name)


def test_tools_that_collide_have_their_servers_name() -> None:
    tools = [("a", "read"), ("b", "read"), ("a", "a_read"), ("", "x.y"), ("b", "read")]
    assert model_names(tools) == ["a_read_2", "b_read", "a_read", "x_y", "b_read_2"]


@given(st.dictionaries(st.sampled_from(["content", "structuredContent", "isError"]), JSON))
def test_any_result_is_a_text(result: dict[str, Any]) -> None:
    called = called_tool(result)
    assert called.text
    called.text.encode()
    demand_in_result(result)


@pytest.mark.parametrize(
    ("structured", "text", "expected"),
    [
        ({"result": 3}, "3", "3"),
        ({"content": "ü\n"}, "ü\n", "ü\n"),
        ({"result": ["a", "b"]}, "a\nb", "a\nb"),
        ({"n": 1, "m": 2}, '{"m": 2, "n": 1}', '{"m": 2, "n": 1}'),
        ({"n": 1, "m": 2}, "a summary", 'a summary\n{"n": 1, "m": 2}'),
        ({"n": 1}, "", '{"n": 1}'),
    ],
)
def test_what_is_given_twice_is_there_once(structured: Any, text: str, expected: str) -> None:
    blocks = [{"type": "text", "text": each} for each in text.split("\n")] if text else []
    if "\n" not in text or structured != {"result": ["a", "b"]}:
        blocks = [{"type": "text", "text": text}] if text else []
    assert called_tool({"content": blocks, "structuredContent": structured}).text == expected


@given(JSON, st.sampled_from([-30402, -32042, -32000, 402]))
def test_any_data_of_an_error_is_read(data: Any, code: int) -> None:
    found = demand_in_error(code, "pay", data)
    assert found is None or found.url == "" or found.url.startswith("http")
    assert fault_in(data) is None


def test_a_server_cannot_pass_for_a_transport() -> None:
    real = Fault("unsent", "away").error()["data"]
    assert fault_in(real) == Fault("unsent", "away")
    assert fault_in({**real, "fault": "guessed"}) is None
    forged = answer_to_error(-32000, "away", {"fault": "guessed", "stage": "unsent"})
    assert forged == CalledTool("error -32000: away", is_error=True)


def test_a_secret_in_a_definition_is_not_shown() -> None:
    """Functions of servers read defaults from their environment."""
    address = {"type": "string", "default": "db://u:hidden-word@h", "examples": ["hidden-word"]}
    choice = {"enum": ["hidden-word"]}
    properties = {"default": address, "hidden-word": choice, "deep": {"properties": {"a": address}}}
    schema = {"type": "object", "properties": properties}
    tool = server_tool({"name": "ask", "description": "By hidden-word.", "inputSchema": schema})
    assert tool is not None
    shown = without_secrets(tool, SecretScrubber(["hidden-word"]).scrub)
    hidden = {**address, "default": "db://u:[key]@h", "examples": ["[key]"]}
    assert shown.description == "By [key]."
    assert shown.parameters["properties"] == {
        "default": hidden,
        "hidden-word": choice,
        "deep": {"properties": {"a": hidden}},
    }
    assert shown.sha256 == tool.sha256


@pytest.mark.parametrize(
    "said",
    [
        "mcp-remote: fetch failed",
        "Request timed out",
        "Error calling tool pay: MCP error -32001: Request timed out",
        "MCP error -32603: MCP error -32000: Connection closed",
    ],
)
def test_a_server_that_had_no_answer_itself_does_not_know_whether_the_tool_has_run(
    said: str,
) -> None:
    with pytest.raises(ToolBroke, match="a server behind this one did not answer") as caught:
        answer_to_error(-32001, said, None)
    assert caught.value.sent
    with pytest.raises(ToolBroke):
        check_answered(said)


@pytest.mark.parametrize("said", ["the query timed out", "error -32001: Not authorized"])
def test_an_error_of_the_tool_itself_is_a_result(said: str) -> None:
    assert answer_to_error(-32001, said, None).is_error
    check_answered(said)


def test_a_challenge_may_be_encoded() -> None:
    request = {"amount": "3", "currency": "eur"}
    coded = base64.urlsafe_b64encode(json.dumps(request).encode()).decode().rstrip("=")
    challenge = {"realm": "https://pay.example/a", "method": "card", "request": coded}
    found = demand_in_error(-32042, "", {"challenges": [challenge]})
    assert found is not None
    assert (found.kind, found.url, found.amount) == (
        "payment",
        "https://pay.example/a",
        "3 eur card",
    )


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https://a.example/\x1b[2J", "x" * 3_000, 5]
)
def test_an_address_that_cannot_be_shown_is_left_out(url: Any) -> None:
    found = demand_in_error(-30402, "", {"paymentRequestUrl": url, "chargeAmount": "1\x1b[2J"})
    assert found is not None
    assert (found.url, found.amount) == ("", "1\\x1b[2J")


def test_only_402_asks_for_money() -> None:
    assert demand_in_refusal(403, '{"x402Version": 1, "accepts": [{}]}') is None
    found = demand_in_refusal(402, "pay at https://shop.example/pay.")
    assert found is not None
    assert found.url == "https://shop.example/pay"


X402_OFFER = {
    "x402Version": 2,
    "resource": {"url": "http://shop.example/mcp"},
    "accepts": [
        {
            "network": "eip155:84532",
            "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            "amount": "10000",
            "payTo": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
            "extra": {"name": "USDC"},
        }
    ],
}
MPP_REQUEST = {"amount": "5", "currency": "usd", "recipient": "acct_1"}


def coded(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def test_x402_of_version_2_is_in_a_header_by_http() -> None:
    """As `x402` 2.25 and `@x402/express` send it: the body is `{}`."""
    found = demand_in_refusal(402, "{}", offer=coded(X402_OFFER))
    assert found is not None
    assert found.url == "http://shop.example/mcp"
    payee = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"
    assert found.amount == f"10000 atomic units of USDC on eip155:84532, to {payee}"


@pytest.mark.parametrize("first", ["", 'Bearer realm="other", '])
def test_mpp_is_a_challenge_by_http(first: str) -> None:
    """As `mppx` 0.11 and `pympp` 0.16 send it; of several, the first."""
    request = coded(MPP_REQUEST).rstrip("=")
    one = f'Payment id="a", realm="pay.example", method="stripe", request="{request}"'
    found = demand_in_refusal(402, "", challenge=f'{first}{one}, Payment id="b", realm="c"')
    assert found is not None
    assert (found.url, found.amount) == ("https://pay.example", "5 usd stripe, to acct_1")


def test_a_payment_may_be_asked_for_beside_a_result() -> None:
    challenges = {"challenges": [{"realm": "pay.example", "request": MPP_REQUEST}]}
    meta = {"org.paymentauth/payment-required": challenges}
    beside = demand_in_result({"content": [], "_meta": meta})
    unverified = demand_in_error(-32043, "Payment Verification Failed", challenges)
    assert beside == unverified
    assert beside is not None
    assert beside.amount == "5 usd, to acct_1"
    assert demand_in_error(-32043, "", {}) is None


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=200))
def test_any_refusal_is_read(body: str, challenge: str, offer: str) -> None:
    found = demand_in_refusal(402, body, f"Payment {challenge}", offer)
    assert found is not None
    assert found.url == "" or found.url.startswith("http")


def test_an_input_that_is_required_by_address_is_a_sign_in() -> None:
    """MCP 2026-07-28: `InputRequiredResult`."""
    request = {
        "method": "elicitation/create",
        "params": {"mode": "url", "url": "https://l.example"},
    }
    wanted = {"resultType": "input_required", "inputRequests": {"1": request}}
    found = demand_in_result(wanted)
    assert found is not None
    assert (found.kind, found.url) == ("sign_in", "https://l.example")
    form = {"resultType": "input_required", "inputRequests": {"1": {"params": {}}}}
    assert demand_in_result(form) is None
    assert called_tool(form).is_error


def test_a_definition_is_known_by_what_the_server_said() -> None:
    said = {"name": "a", "description": "Reads.\U000e0041\x1b[2J", "inputSchema": SCHEMA}
    tool, same = server_tool(said), server_tool({**said, "annotations": {"readOnlyHint": True}})
    assert tool is not None
    assert same is not None
    assert tool.description == "Reads.\\x1b[2J"
    assert (tool.hinted, same.hinted) == (Effects.ONCE, Effects.NONE)
    assert tool.sha256 == same.sha256
    changed = server_tool({**said, "description": "Reads.\x1b[2J"})
    assert changed is not None
    assert changed.sha256 != tool.sha256


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"name": "", "inputSchema": SCHEMA},
        {"name": "a" * 300, "inputSchema": SCHEMA},
        {"name": "a", "inputSchema": {"type": "string"}},
        {"name": "a", "inputSchema": {**SCHEMA, "x": "y" * 200_000}},
        {"name": ["a"], "inputSchema": SCHEMA},
    ],
)
def test_what_no_model_can_call_is_left_out(said: dict[str, Any]) -> None:
    assert server_tool(said) is None


def test_the_argument_of_the_key_is_not_shown() -> None:
    schema = {"type": "object", "properties": {"a": {}, "key": {}}, "required": ["a", "key"]}
    shown = without_key_argument(schema, "key")
    assert shown == {"type": "object", "properties": {"a": {}}, "required": ["a"]}
    assert without_key_argument(schema, None) is schema


@given(st.binary(max_size=60))
def test_any_line_is_read(line: bytes) -> None:
    read_message(line)
    read_message(LongLine(line, line, 10**7))
