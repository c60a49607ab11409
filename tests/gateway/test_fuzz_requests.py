"""Generated requests: never a 500, never a trace, never a key in an answer, the log or a file."""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway import raw
from tests.gateway.attacked_gateway import UPSTREAM_KEY, attacked_gateway
from tests.gateway.client import Agent, Api
from tests.gateway.generated_bodies import (
    ACCOUNTS,
    AGENT_ID,
    AGENT_KEY,
    CHATS,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    changed,
    keys,
    texts,
    values,
    written,
    written_keys,
)
from tests.support.fuzzing import count, examples
from tests.support.gateway import PARENT_KEY, SECRET
from tests.support.secrets import encodings

LIMITS = {"gateway_request_seconds": 0.2, "gateway_idle_seconds": 0.2}

Check = Callable[[bytes], None]

bodies = st.one_of(
    changed(ACCOUNTS + CHATS + RESPONSES + MESSAGES + EMBEDDINGS).map(written),
    values.map(written),
    st.integers(50, 3_000).map(lambda n: '{"name":' + "[" * n + "]" * n + "}"),
    st.text(max_size=50),
).map(lambda text: text.encode(errors="surrogatepass"))
DOORS = ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/embeddings"]
ids = st.one_of(st.just(AGENT_ID), texts.map(lambda text: quote(text, errors="replace", safe="%")))
paths = st.one_of(
    st.sampled_from([*DOORS, "/v1/agents", "/v1/transfers", "/v1/charges"]),
    st.builds(
        lambda scope, attempt, door: f"/scopes/{scope}/{attempt}{door}",
        st.one_of(st.just("s"), ids),
        st.one_of(st.just("1"), ids, st.integers(1, 4_400).map(lambda n: "9" * n)),
        st.sampled_from(DOORS),
    ),
    st.builds(
        lambda key, step: f"/v1/charges/{key}{step}",
        st.one_of(st.just("k"), ids),
        st.sampled_from(["", "/settle", "/release"]),
    ),
    ids.map(lambda each: f"/v1/scopes/{each}"),
    ids.map(lambda each: f"/v1/blobs/{each}"),
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
            *DOORS,
            *(f"/scopes/s/1{door}" for door in DOORS),
            "/v1/charges",
            "/v1/agents",
            "/v1/agents/batch",
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
