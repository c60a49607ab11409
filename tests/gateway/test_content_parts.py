"""Images and files in a request: bounded by the model's context, or refused."""

from typing import Any

import pytest

from tests.gateway.client import World, body, world
from tests.support.upstream import Rule

PIXEL = "data:image/png;base64," + "A" * 400_000
IMAGE = {"type": "image_url", "image_url": {"url": PIXEL}}
LINKED = {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}}
FILE = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,A"}}
PRICES: Any = {
    "m": {"input_usd_per_million": "1", "output_usd_per_million": "2"},
    "seeing": {
        "input_usd_per_million": "1",
        "output_usd_per_million": "2",
        "context_tokens": 5_000,
    },
}
USAGE = {"prompt_tokens": 5_000, "completion_tokens": 10, "total_tokens": 5_010}


def asking(*parts: Any, model: str = "seeing") -> dict[str, Any]:
    return body(model=model) | {"messages": [{"role": "user", "content": list(parts)}]}


async def required(w: World, sent: dict[str, Any]) -> int:
    """The bound in micro-USD, as an account with too little money hears it."""
    agent = await w.api.open(0.000001)
    reply = await agent.chat(sent)
    assert reply.status == 402, reply.text
    return round(float(reply.error["required_usd"]) * 1e6)


@pytest.mark.parametrize("part", [IMAGE, LINKED, FILE])
async def test_the_context_bounds_images_and_files(part: Any) -> None:
    async with world(Rule(usage=USAGE), prices=PRICES) as w:
        sent = asking({"type": "text", "text": "What is this?"}, part)
        assert await required(w, sent) == 5_000 + 2 * 10
        agent = await w.api.open()
        reply = await agent.chat(sent)
        assert reply.status == 200, reply.text
        assert w.upstream.requests[-1].body["messages"] == sent["messages"]
        account = await agent.account()
        assert float(account["spent"]) == 0.00502  # the worst case, and not a micro-dollar more


async def test_the_context_bounds_a_long_text() -> None:
    async with world(prices=PRICES) as w:
        assert await required(w, body("x" * 50_000, model="seeing")) == 5_000 + 2 * 10
        assert await required(w, body("x" * 50_000)) > 50_000


@pytest.mark.parametrize("part", [IMAGE, LINKED, FILE])
async def test_what_nothing_bounds_is_refused_with_the_reason(part: Any) -> None:
    async with world(prices=PRICES) as w:
        agent = await w.api.open()
        reply = await agent.chat(asking(part, model="m"))
        assert (reply.status, reply.error["code"]) == (400, "unsupported_content")
        assert "context_tokens" in reply.error["message"]
        assert "AAAA" not in reply.error["message"]
        assert w.upstream.count == 0


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ({"type": "image_url"}, "image_url"),
        ({"type": "image_url", "image_url": "https://x"}, "image_url"),
        ({"type": "image_url", "image_url": {"url": 5}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "http://10.0.0.1/x"}}, "image_url.url"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "file.file_id"),
        ({"type": "file", "file": {"filename": "a.pdf"}}, "file.file_data"),
        ({"type": "file", "file": {"file_data": "https://x"}}, "file.file_data"),
        ({"type": "input_audio", "input_audio": {"data": "A", "format": "wav"}}, "content[0]"),
    ],
)
async def test_a_part_that_is_wrong_is_named(part: Any, field: str) -> None:
    async with world(prices=PRICES) as w:
        agent = await w.api.open()
        reply = await agent.chat(asking(part))
        assert reply.status == 400
        assert field in reply.error["message"]
        assert w.upstream.count == 0


async def test_images_and_files_come_in_by_the_other_doors() -> None:
    async with world(Rule(usage=USAGE), prices=PRICES) as w:
        agent = await w.api.open()
        image = {"type": "input_image", "image_url": PIXEL, "detail": "high"}
        file = {"type": "input_file", **FILE["file"]}  # type: ignore[dict-item]
        responses = {"model": "seeing", "input": [{"role": "user", "content": [image, file]}]}
        reply = await w.api.send("POST", "/v1/responses", responses, key=agent.key)
        assert reply.status == 200, reply.text
        sent = w.upstream.requests[-1].body["messages"][0]["content"]
        detailed = {"url": PIXEL, "detail": "high"}
        assert sent == [{"type": "image_url", "image_url": detailed}, FILE]
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL.split(",")[1]}
        content = [{"type": "image", "source": source}]
        message = {"messages": [{"role": "user", "content": content}], "max_tokens": 5}
        other = {"model": "seeing", **message}
        reply = await w.api.send("POST", "/v1/messages", other, key=agent.key)
        assert reply.status == 200, reply.text
        assert w.upstream.requests[-1].body["messages"][0]["content"] == [IMAGE]


async def test_a_bound_of_one_image_serves_where_no_context_is_known() -> None:
    prices: Any = {"m": {**PRICES["m"], "image_tokens": 1_000}}
    async with world(prices=prices) as w:
        most = await required(w, asking(IMAGE, LINKED, model="m"))
        assert 2_000 < most < 2_600
        agent = await w.api.open()
        reply = await agent.chat(asking(FILE, model="m"))
        assert (reply.status, reply.error["code"]) == (400, "unsupported_content")
