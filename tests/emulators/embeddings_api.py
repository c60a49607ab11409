"""OpenAI's embeddings, strict about what it refuses. Written from its reference ("Create
embeddings")."""

import base64
import struct
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.serving import Served

FIELDS = {"model", "input", "encoding_format", "dimensions", "user"}


@dataclass
class EmbeddingsApi(Served):
    """Each vector is `[length of the input, 1.0]`. A character or a number is a token."""

    reports_usage: bool = True
    requests: list[dict[str, Any]] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/embeddings", self._create)
        return app

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
