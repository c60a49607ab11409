"""OpenAI's embeddings, strict about what it refuses. Written from its reference ("Create
embeddings")."""

import base64
import struct
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

FIELDS = {"model", "input", "encoding_format", "dimensions", "user"}


@dataclass
class EmbeddingsApi:
    """Each vector is `[length of the input, 1.0]`. A character or a number is a token."""

    reports_usage: bool = True
    requests: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/embeddings", self._create)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        given = body.get("input")
        if set(body) - FIELDS or not given:
            error = {"message": "Invalid 'input'", "type": "invalid_request_error"}
            return web.json_response({"error": error}, status=400)
        self.requests.append(body)
        one = isinstance(given, str) or isinstance(given[0], int)
        inputs = [given] if one else given
        vectors = [[float(len(each)), 1.0] for each in inputs]
        packed = body.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": number, "embedding": _packed(v) if packed else v}
            for number, v in enumerate(vectors)
        ]
        answer: dict[str, Any] = {"object": "list", "model": body["model"], "data": data}
        if self.reports_usage:
            tokens = sum(map(len, inputs))
            answer["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
        return web.json_response(answer)


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
