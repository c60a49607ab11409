"""Calls to the gateway under test, as a client makes them."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

CALL_SECONDS = 90.0
CHILD = """
import json, sys, urllib.request
given = json.load(sys.stdin)
body = json.dumps(given["body"]).encode()
request = urllib.request.Request(given["url"], body, given["headers"])
without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for line in without_proxy.open(request, timeout=90):
    print("read", flush=True)
"""
"""A client as a process of its own, to be killed."""


@dataclass(frozen=True)
class Answer:
    """`status` 0: no answer; `text` then has the reason. `whole`: of a stream, that it ended as a
    complete one does; of another answer, that it has a text."""

    status: int
    text: str
    whole: bool = False

    @property
    def refused(self) -> bool:
        return self.status >= 400

    def brief(self) -> str:
        return f"{self.status or 'no answer'}: {' '.join(self.text.split())[:160]}"


@dataclass(frozen=True)
class Call:
    """One call of the model; `key` pays for it."""

    key: str
    body: dict[str, Any]
    idempotency_key: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        if self.idempotency_key is not None:
            headers["Idempotency-Key"] = self.idempotency_key
        return headers

    @property
    def streams(self) -> bool:
        return self.body.get("stream") is True


class Door:
    """`url`: the gateway's root; calls go to `/v1/chat/completions` below it."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http = http
        self._url = f"{url}/v1/chat/completions"

    async def send(self, call: Call, seconds: float = CALL_SECONDS) -> Answer:
        """The whole answer. A client that waits no longer than `seconds` has left by then."""
        try:
            async with asyncio.timeout(seconds):
                answer = await self._http.post(self._url, json=call.body, headers=call.headers)
        except (httpx.HTTPError, TimeoutError) as error:
            return Answer(0, f"{type(error).__name__} {error}".strip())
        whole = _stream_is_whole(answer.text) if call.streams else _has_text(answer.text)
        return Answer(answer.status_code, answer.text, answer.is_success and whole)

    async def leave_early(self, call: Call) -> Answer:
        """Reads a stream up to its first event and closes the connection."""
        try:
            async with self._http.stream(
                "POST", self._url, json=call.body, headers=call.headers
            ) as answer:
                async for line in answer.aiter_lines():
                    if line.startswith("data:"):
                        return Answer(answer.status_code, line)
                return Answer(answer.status_code, "the stream had no event")
        except httpx.HTTPError as error:
            return Answer(0, f"{type(error).__name__} {error}".strip())

    @asynccontextmanager
    async def client_process(self, call: Call) -> AsyncIterator[asyncio.subprocess.Process]:
        """A client that makes the call; killed with SIGKILL on the way out. It prints a line for
        each line that it reads."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", CHILD),
            stdin=pipe,
            stdout=pipe,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdin is not None
        given = {"url": self._url, "body": call.body, "headers": call.headers}
        process.stdin.write(json.dumps(given).encode())
        process.stdin.close()
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


def _has_text(text: str) -> bool:
    try:
        return bool(json.loads(text)["choices"][0]["message"]["content"])
    except (ValueError, LookupError, TypeError):
        return False


def _stream_is_whole(text: str) -> bool:
    """Ended by `[DONE]` or a finish reason, and without an error."""
    events = [
        line.removeprefix("data:").strip() for line in text.splitlines() if line[:5] == "data:"
    ]
    finished = "[DONE]" in events
    for event in events:
        try:
            parsed = json.loads(event)
        except ValueError:
            continue
        if not isinstance(parsed, dict):
            continue
        if parsed.get("error"):
            return False
        finished |= any(choice.get("finish_reason") for choice in parsed.get("choices") or ())
    return finished
