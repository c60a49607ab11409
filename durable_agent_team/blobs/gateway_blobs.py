"""Blobs in the gateway, over HTTP, with the parent key."""

import asyncio
import os
from collections.abc import Callable
from typing import Final

import httpx
from pydantic import SecretStr

from durable_agent_team.atxp.exceptions import error_fields, scrub
from durable_agent_team.atxp.httpx_client import HttpxClient
from durable_agent_team.atxp.transport import parse_json
from durable_agent_team.blobs.store import BlobsUnreachable, missing, verified

TIMEOUT_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 3.0
FINAL: Final = frozenset({400, 401, 403, 405, 411, 413})
"""Statuses that another attempt does not change."""


class GatewayBlobs:
    """Implements `BlobStore` over the gateway's `/blobs`. The HTTP client is made at the first
    request, in the event loop that uses it."""

    def __init__(
        self, api_url: str, key: SecretStr, make_http: Callable[[], HttpxClient] = HttpxClient
    ) -> None:
        self._url = f"{api_url.rstrip('/')}/blobs"
        self._key = key
        self._make_http = make_http
        self._http: HttpxClient | None = None

    @property
    def place(self) -> str:
        return f"the gateway at {self._url}"

    async def put(self, sha256: str, data: bytes) -> None:
        response = await self._send("PUT", sha256, data)
        if not response.is_success:
            raise self._refused("written", sha256, response)

    async def get(self, sha256: str) -> bytes:
        response = await self._send("GET", sha256)
        if response.is_success:
            return verified(sha256, response.content, self.place)
        fields = error_fields(parse_json(response.content))
        if response.status_code == 404 and fields.get("code") == "not_found":
            raise missing(sha256, self.place)
        raise self._refused("read", sha256, response)

    async def _send(self, method: str, sha256: str, data: bytes | None = None) -> httpx.Response:
        if self._http is None:
            self._http = self._make_http()
        request = httpx.Request(
            method,
            f"{self._url}/{sha256}",
            content=data,
            headers={"Authorization": f"Bearer {self._key.get_secret_value()}"},
            extensions={"timeout": {"connect": CONNECT_SECONDS}},
        )
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await self._http.send(request)
        except TimeoutError:
            why = f"no answer within {TIMEOUT_SECONDS:g} s"
        except (httpx.HTTPError, OSError) as error:
            why = self._scrubbed(_reason(error))
        raise BlobsUnreachable(f"blob {sha256}: {self.place} does not answer: {why}")

    def _refused(self, done: str, sha256: str, response: httpx.Response) -> BlobsUnreachable:
        words = error_fields(parse_json(response.content)).get("message")
        status = response.status_code
        what = f"blob {sha256} cannot be {done} in {self.place}: HTTP {status}"
        if status in (404, 405):
            what += ", which has no store of blobs: set EXTERNAL_STORAGE to another one, or to none"
        elif words:
            what += f": {self._scrubbed(str(words))}"
        if status in (401, 403):
            what += " (ATXP_API_KEY must be the gateway's parent key)"
        return BlobsUnreachable(what, final=status in FINAL or status == 404)

    def _scrubbed(self, text: str) -> str:
        return scrub(text, [self._key.get_secret_value()])


def _reason(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno)
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__
