"""Generated requests: never a 500, never a trace, never a key in an answer, the log or a file."""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway import raw
from tests.gateway.attacked_gateway import UPSTREAM_KEY, attacked_gateway
from tests.gateway.client import Agent, Api, body
from tests.support.fuzzing import count, examples
from tests.support.gateway import PARENT_KEY, SECRET
from tests.support.secrets import encodings

LIMITS = {"gateway_request_seconds": 0.2, "gateway_idle_seconds": 0.2}
AGENT_KEY, AGENT_ID = "{AGENT}", "{ID}"  # replaced when the agent is known

Check = Callable[[bytes], None]

keys = st.sampled_from([PARENT_KEY, SECRET, UPSTREAM_KEY, AGENT_KEY])
written_keys = st.builds(
    lambda key, form: form(key),
    keys,
    st.sampled_from([str, str.upper, lambda key: f"x{key}y", lambda key: f"\u202e{key}\x1b[2J\n"]),
)
texts = st.one_of(
    st.text(max_size=20),
    st.text(alphabet=st.characters(), max_size=10),  # halves of surrogate pairs, too
    written_keys,
    st.sampled_from(["", "m", "user", "text", "active", "disabled", AGENT_ID, "1_0", "٣", "NaN"]),
    st.integers(1, 5_000).map(lambda n: "x" * n),
)
numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from(["1e999999", "-1e999999", "1e99999999999999999999", "1e-99999999999999999999"]),
    st.integers(1, 4_400).map(lambda n: "7" * n),
    st.sampled_from([0, 1, 1.5, 2**53, 2**63, 2**64, -(2**63) - 1, 0.0000001]),
)
atoms = st.one_of(texts, numbers, st.none(), st.booleans())
FIELDS = [
    "name", "budget", "status", "wait_seconds", "from", "to", "amount", "model", "messages",
    "max_tokens", "max_completion_tokens", "n", "stop", "stream", "stream_options", "include_usage",
    "role", "content", "type", "text", "refusal", "tools", "tool_calls", "function", "temperature",
    "metadata", "response_format", "user", "seed", "logit_bias",
    "attempt", "tool", "idempotent", "state", "result", "error", "message", "decision",
]  # fmt: skip
fields = st.one_of(st.sampled_from(FIELDS), texts)
values = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(fields, inner, max_size=4)
    ),
    max_leaves=12,
)


def written(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{json.dumps(name)}: {written(each)}" for name, each in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, str) and value[:1] in "-17" and len(value) > 6 and value.isascii():
        return value
    return json.dumps(value)


@st.composite
def changed(draw: st.DrawFn) -> dict[str, Any]:
    """A correct body with one to three fields replaced, so that much of it passes the checks."""
    message = {"role": "user", "content": [{"type": "text", "text": "x"}]}
    data: dict[str, Any] = draw(
        st.sampled_from(
            [
                {"name": "a", "budget": 1},
                {"status": "active"},
                {"from": AGENT_ID, "to": "agt_x", "amount": 0.1},
                {**body(), "messages": [message]},
                {**body(), "stream": True},
                {"attempt": 1, "tool": "t"},
                {"attempt": 1, "state": "done", "result": {"a": 1}},
                {"attempt": 1, "state": "failed", "error": {"type": "E", "message": "x"}},
                {"decision": "result", "result": 1},
            ]
        )
    )
    data = json.loads(json.dumps(data))
    for _ in range(draw(st.integers(1, 3))):
        target: Any = data
        while draw(st.booleans()):
            inner = [each for each in target.values() if isinstance(each, dict)]
            lists = [each for each in target.values() if isinstance(each, list)]
            inner += [each for found in lists for each in found if isinstance(each, dict)]
            if not inner:
                break
            target = draw(st.sampled_from(inner))
        target[draw(st.one_of(st.sampled_from(sorted(target) or ["x"]), fields))] = draw(values)
    return data


bodies = st.one_of(
    changed().map(written),
    values.map(written),
    st.integers(50, 3_000).map(lambda n: '{"name":' + "[" * n + "]" * n + "}"),
    st.text(max_size=50),
).map(lambda text: text.encode(errors="surrogatepass"))
ids = st.one_of(st.just(AGENT_ID), texts.map(lambda text: quote(text, errors="replace", safe="%")))
paths = st.one_of(
    st.just("/v1/chat/completions"),
    st.just("/v1/agents"),
    st.just("/v1/transfers"),
    ids.map(lambda each: f"/v1/agents/{each}"),
    st.builds(
        lambda each, name, value: f"/v1/agents/{each}/transactions?{name}={value}",
        ids,
        st.sampled_from(["after", "limit", "idempotency_key", "after=1&after"]),
        st.one_of(ids, st.integers().map(str), st.integers(1, 4_400).map(lambda n: "9" * n)),
    ),
    ids.map(lambda each: f"/v1/models/{each}"),
    st.builds(
        lambda scope, effect, step: f"/v1/scopes/{scope}/effects/{effect}{step}",
        st.one_of(st.just("s"), ids),
        st.one_of(st.just("e"), ids),
        st.sampled_from(["", "/begin", "/finish", f"/resolve?agent={AGENT_ID}"]),
    ),
    ids.map(lambda each: f"/{each}"),
)
header_values = st.one_of(
    texts.map(lambda text: text.encode(errors="replace").decode("latin-1")),
    written_keys.map(lambda text: text.encode().decode("latin-1")),
    st.sampled_from(["gzip", "identity", "chunked", "100-continue", "close", "h2c", "0", "\r", ""]),
)
header_names = st.sampled_from(
    ["Idempotency-Key", "Content-Encoding", "Content-Type", "Expect", "Upgrade", "Connection",
     "traceparent", "baggage", "Transfer-Encoding", "Content-Length", "Host", "X", "Authorization"]
)  # fmt: skip
extra_headers = st.dictionaries(header_names, header_values, max_size=3)
senders = st.one_of(
    keys.map(lambda key: f"Bearer {key}"),
    written_keys.map(lambda key: "Bearer " + key.encode().decode("latin-1")),
    st.just(f"Bearer {PARENT_KEY}"),
    st.just(f"Bearer {AGENT_KEY}"),
    header_values,
)
methods = st.sampled_from(["POST", "POST", "GET", "PATCH", "DELETE", "HEAD", "CONNECT", PARENT_KEY])
requests = st.builds(
    lambda method, path, sender, more, data: raw.request(
        method, path, {"Authorization": sender, **more}, data
    ),
    methods,
    paths,
    senders,
    extra_headers,
    bodies,
)
json_requests = st.builds(
    lambda method, path, sender, data: raw.request(method, path, {"Authorization": sender}, data),
    st.sampled_from(["POST", "PATCH"]),
    st.sampled_from(
        [
            "/v1/chat/completions",
            "/v1/agents",
            "/v1/transfers",
            f"/v1/agents/{AGENT_ID}",
            "/v1/scopes/s/effects/e/begin",
            "/v1/scopes/s/effects/e/finish",
            f"/v1/scopes/s/effects/e/resolve?agent={AGENT_ID}",
        ]
    ),
    st.sampled_from([f"Bearer {PARENT_KEY}", f"Bearer {AGENT_KEY}"]),
    bodies,
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A request with bytes removed, replaced or added."""
    data = bytearray(draw(requests))
    noise = st.one_of(
        st.binary(max_size=3), st.sampled_from([b"\r", b"\n", b"\0", b" ", b":", b"\r\n", b"\xff"])
    )
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, min(len(data), 300)))
        data[at : at + draw(st.integers(0, 3))] = draw(noise)
    return bytes(data)


def exchange(url: str, sent: bytes) -> bytes:
    """What the gateway sends until it closes the connection."""
    parts = urlsplit(url)
    received = b""
    deadline = time.monotonic() + 20
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as link:
        try:
            link.sendall(sent)
            while piece := link.recv(65_536):
                received += piece
                assert time.monotonic() < deadline, "the connection stays open"
        except ConnectionError:
            pass
    return received


def checker(api: Api, agent: Agent) -> Check:
    """Sends a request and judges the answer."""
    hidden = {piece for key in (PARENT_KEY, SECRET, UPSTREAM_KEY, agent.key)
              for piece in encodings(key)}  # fmt: skip

    def check(sent: bytes) -> None:
        sent = sent.replace(AGENT_KEY.encode(), agent.key.encode())
        sent = sent.replace(AGENT_ID.encode(), agent.id.encode())
        received = exchange(api.url, sent)
        assert not [piece for piece in hidden if piece.lower() in received.lower()]
        head, _, rest = received.partition(b"\r\n\r\n")
        if not head or head.startswith(b"HTTP/1.1 100 "):
            return
        status = int(head.split(b" ", 2)[1])
        assert status != 500, received
        if status >= 400 and rest and b"Transfer-Encoding" not in head:
            size = int(head.lower().partition(b"content-length:")[2].split()[0])
            error = json.loads(rest[:size])["error"]
            assert {"message", "type", "code"} <= set(error)
            assert len(rest[:size]) < 5_000

    return check


async def fuzz(test: Callable[[Check], None]) -> None:
    """Runs the test in a thread against a gateway of its own, then looks at what it left."""
    async with attacked_gateway(**LIMITS) as (api, agent):
        await asyncio.to_thread(test, checker(api, agent))


def generated(
    strategy: st.SearchStrategy[bytes], default: int, name: str
) -> Callable[[Check], None]:
    def test(check: Check) -> None:
        @settings(
            max_examples=examples(default),
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def holds(sent: bytes) -> None:
            count(f"requests to the gateway: {name}")
            check(sent)

        holds()

    return test


@pytest.mark.fuzz
@pytest.mark.parametrize(
    ("name", "strategy", "default"),
    [("bodies", json_requests, 150), ("headers", requests, 60), ("bytes", mutated(), 30)],
)
async def test_generated_requests(
    name: str, strategy: st.SearchStrategy[bytes], default: int
) -> None:
    await fuzz(generated(strategy, default, name))
