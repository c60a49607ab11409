"""Keys are removed from whatever is logged, stored or answered, and a log line cannot be forged."""

import asyncio
import io
import json
import logging
import signal
from urllib.parse import quote

import aiohttp
import pytest

from durable_agent_team.gateway.keys import KeyMaker, Scrubber
from durable_agent_team.gateway.log_format import JsonFormatter, TextFormatter
from tests.gateway import raw
from tests.gateway.client import Api, body, world
from tests.support.gateway import PARENT_KEY, SECRET
from tests.support.gateway_process import gateway_process
from tests.support.secrets import contents, encodings
from tests.support.upstream import ScriptedUpstream

AGENT_KEY = KeyMaker(SECRET).agent_key("agt_1")
WRONG_KEY = "wrong-key-0123456789-0123456789"


def every_percent(text: str) -> str:
    return "".join(f"%{ord(each):02x}" for each in text)


def written(key: str) -> list[str]:
    return [
        key,
        key.upper(),
        key.title(),
        quote(key, safe=""),
        every_percent(key),
        every_percent(key).upper(),
        every_percent(key[:5]) + key[5:],
        quote(every_percent(key)),
        "".join(f"\\u{ord(each):04x}" for each in key),
        *(form.decode() for form in encodings(key)),
    ]


@pytest.mark.parametrize("key", [PARENT_KEY, SECRET, AGENT_KEY])
def test_a_key_is_found_however_it_is_written(key: str) -> None:
    scrub = Scrubber(PARENT_KEY, SECRET)
    for form in written(key):
        clean = scrub(f"before {form} after")
        assert form not in clean
        assert clean.startswith("before ")
        assert "[removed]" in clean


def test_a_presented_key_is_removed_only_if_it_looks_like_one() -> None:
    scrub = Scrubber(PARENT_KEY)
    assert scrub(f"a {WRONG_KEY} b", WRONG_KEY) == "a [removed] b"
    assert scrub(f"a {WRONG_KEY.upper()} b", WRONG_KEY) == "a [removed] b"
    for word in ("message", "invalid_request_error", "1", "e", ".", '"message"', "x" * 5_000):
        assert scrub(f"the {word} stays", word) == f"the {word} stays"


@pytest.mark.parametrize(
    "presented",
    ["message", '"message"', "error", '{"error":', "invalid_api_key", "authentication_error", "e",
     "0", "[", "11111111111111111111", "The", WRONG_KEY],
)  # fmt: skip
async def test_every_error_is_json_whatever_key_was_presented(presented: str) -> None:
    async with world() as w:
        for scheme in ("Bearer ", "bearer  ", "Basic ", ""):
            headers = {"Authorization": f"{scheme}{presented}"}
            for path in ("/v1/agents/x", "/v1/agents/11111111111111111111", "/nowhere"):
                reply = await raw.send(w.api.url, raw.request("GET", path, headers))
                assert reply.error["type"] in ("authentication_error", "invalid_request_error")
                assert reply.error["code"] in ("invalid_api_key", "http_404")
                assert reply.error["message"]


async def test_no_key_is_logged_answered_or_stored_wherever_it_is_sent() -> None:
    async with (
        ScriptedUpstream([]) as upstream,
        gateway_process(upstream.url) as gateway,
        aiohttp.ClientSession() as http,
    ):
        api = Api(gateway.url, http)
        one, two = await api.open(), await api.open()
        keys = [PARENT_KEY, SECRET, one.key, two.key, WRONG_KEY]
        answers = []
        for sender in (PARENT_KEY, one.key, WRONG_KEY):
            for key in keys if sender == WRONG_KEY else keys[:-1]:
                for form in (key, key.upper(), every_percent(key), quote(every_percent(key))):
                    sent = {
                        "Authorization": f"Bearer {sender}",
                        "Idempotency-Key": form[:200],
                        "baggage": f"agent_team.run={form[:190]}",
                        "traceparent": form,
                    }
                    for method, path in (
                        ("GET", f"/v1/agents/{form}"),
                        ("GET", f"/{form}?after={form}"),
                        ("GET", f"/v1/agents/{one.id}/transactions?limit={form}"),
                        ("GET", f"/v1/models/{form}"),
                        (form[:20], "/"),
                    ):
                        answers.append(await raw.exchange(api.url, raw.request(method, path, sent)))
                    for path, data in (
                        ("/v1/agents", {"name": form[:200], "budget": form}),
                        ("/v1/agents", {"name": form[:200], "budget": 1}),
                        ("/v1/agents", {form: 1}),
                        ("/v1/chat/completions", body(model=form)),
                        ("/v1/chat/completions", body(user=[form])),
                        ("/v1/transfers", {"from": form, "to": "x", "amount": form}),
                    ):
                        text = json.dumps(data).encode()
                        sending = raw.request("POST", path, sent, text)
                        answers.append(await raw.exchange(api.url, sending))
        everything = b"".join(answers)
        opened = {one.key, two.key}
        files = contents(gateway.database.parent)
        await gateway.end(signal.SIGTERM)
        files |= {"after": gateway.database.read_bytes()}
        for key in keys:
            for piece in (form.lower() for form in encodings(key)):
                assert [name for name, data in files.items() if piece in data.lower()] == []
                assert key in opened or piece not in everything.lower()
        assert "Traceback" not in gateway.log
        assert b'"internal"' not in everything


async def test_a_key_is_removed_before_a_value_is_cut() -> None:
    """Half of a key would not be recognised any more."""
    async with world() as w:
        for data in ({"name": "x" * 60 + PARENT_KEY + "y" * 200, "budget": 1},
                     {"name": "a", "budget": "x" * 60 + PARENT_KEY * 3},
                     {"x" * 60 + PARENT_KEY * 2: 1}):  # fmt: skip
            reply = await w.api.send("POST", "/v1/agents", data)
            assert reply.status == 400
            assert not [n for n in range(20) if PARENT_KEY[n : n + 12] in reply.text]


FORGED = 'x\n{"level": "info"}\r\x1b[2J\x1b]0;t\x07\u202e\u2028\x85\ud800 end'


@pytest.mark.parametrize("json_form", [True, False])
def test_control_characters_are_escaped_in_the_log(json_form: bool) -> None:
    formatter = JsonFormatter() if json_form else TextFormatter("%(levelname)s %(message)s")
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger = logging.Logger("test")
    logger.addHandler(handler)
    logger.info("path %s", FORGED)
    try:
        raise RuntimeError(FORGED)
    except RuntimeError:
        logger.exception("failed %s", FORGED)
    text = stream.getvalue()
    assert text.encode().decode() == text
    controls = {each for each in text if not each.isprintable()}
    assert controls <= {"\n"}
    lines = text.splitlines()
    begins = [line for line in lines if not line.startswith("  ")]
    assert len(begins) == 2
    assert all("path" in line or "failed" in line for line in begins)


@pytest.mark.parametrize("log_format", ["json", "text"])
async def test_a_path_cannot_forge_a_log_line(log_format: str) -> None:
    forged = quote("\nINFO gateway.http GET /forged 200\r\x1b[31m\u202e", safe="")
    async with (
        ScriptedUpstream([]) as upstream,
        gateway_process(upstream.url, log_format=log_format) as gateway,
        aiohttp.ClientSession() as http,
    ):
        api = Api(gateway.url, http)
        for path in (f"/v1/agents/{forged}", f"/{forged}", f"/v1/models/{forged}"):
            headers = {
                "Authorization": f"Bearer {PARENT_KEY}",
                "baggage": f"agent_team.run={forged}",
            }
            await raw.exchange(api.url, raw.request("GET", path, headers))
        assert await asyncio.wait_for(gateway.end(15), 20) == 0
        lines = gateway.log.split("\n")
    assert len([line for line in lines if "forged" in line]) == 3
    assert not [line for line in lines if line.startswith("INFO")]
    assert not [each for line in lines for each in line if not each.isprintable()]
