"""The scripted upstream: a real OpenAI-compatible HTTP server that answers by rule.

In a test: `async with ScriptedUpstream(rules=[Rule(status=500, times=1)]) as upstream:` and then
`upstream.url`, `upstream.requests`, `upstream.add(Rule(…))`. As a process of its own:
`python -m tests.support.upstream --port 0` prints its base URL as its only line of output; rules
and counts then go over HTTP, see `_control`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

from aiohttp import web

from tests.support.upstream_rules import Received, Rule, answer
from tests.support.upstream_stream import stream

__all__ = ["Received", "Rule", "ScriptedUpstream"]


class ScriptedUpstream:
    """`recording=False` keeps only counts: for benchmarks."""

    def __init__(
        self, rules: Sequence[Rule] = (), *, recording: bool = True, latency: float = 0.0
    ) -> None:
        self.rules = list(rules)
        self.recording = recording
        self.default = Rule(latency=latency)
        self.requests: list[Received] = []
        self.count = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.answered = 0
        """Answers that went out whole with status 200: what a provider would have billed."""
        self.by_key: Counter[str] = Counter()
        self.by_hash: Counter[str] = Counter()
        self.url = ""
        self._runner: web.AppRunner | None = None

    def add(self, *rules: Rule) -> None:
        self.rules.extend(rules)

    def clear(self) -> None:
        """Forgets rules, records and counts."""
        self.rules.clear()
        self.requests.clear()
        self.by_key.clear()
        self.by_hash.clear()
        self.count = self.answered = self.most_in_flight = 0

    async def start(self, port: int = 0) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/embeddings", self._embeddings)
        app.router.add_get("/v1/models", self._models)
        app.router.add_route("*", "/control/{what}", self._control)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, backlog=1024)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        received = Received.parse(raw, {k.lower(): v for k, v in request.headers.items()})
        self._note(received)
        rule = next((rule for rule in self.rules if rule.takes(received)), self.default)
        rule.used += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if rule.latency:
                await asyncio.sleep(rule.latency)
            if rule.gate is not None and not received.wants_stream:
                await rule.gate.wait()
            return await self._respond(request, rule, received)
        finally:
            self.in_flight -= 1

    def _note(self, received: Received) -> None:
        self.count += 1
        self.by_key[received.idempotency_key or ""] += 1
        if self.recording:
            self.by_hash[received.sha256] += 1
            self.requests.append(received)

    async def _respond(
        self, request: web.Request, rule: Rule, received: Received
    ) -> web.StreamResponse:
        if request.transport is None:  # the client has gone meanwhile
            return web.Response()
        if rule.disconnect == "before":
            request.transport.abort()
            return web.Response()
        if received.wants_stream and rule.status == 200 and rule.body is None:
            whole, response = await stream(request, rule, received)
            self.answered += whole
            return response
        body = answer(rule, received)
        headers = {"Content-Type": "application/json", **rule.headers}
        if rule.disconnect == "middle":
            headers["Content-Length"] = str(len(body))
            response = web.StreamResponse(status=rule.status, headers=headers)
            await response.prepare(request)
            await response.write(body[: len(body) // 2])
            request.transport.abort()
            return response
        self.answered += rule.status == 200
        return web.Response(status=rule.status, body=body, headers=headers)

    async def _embeddings(self, request: web.Request) -> web.Response:
        data = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return web.json_response({"object": "list", "data": data, "usage": usage})

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "scripted"}]})

    async def _control(self, request: web.Request) -> web.Response:
        """POST rules (a list), DELETE rules (all is forgotten), GET counts, GET requests."""
        action = (request.method, request.match_info["what"])
        if action == ("POST", "rules"):
            try:
                self.add(*(Rule.from_json(rule) for rule in await request.json()))
            except (ValueError, TypeError) as error:
                return web.json_response({"error": str(error)}, status=400)
        elif action == ("DELETE", "rules"):
            self.clear()
        elif action == ("GET", "requests"):
            fields = [{**vars(received), "text": received.text} for received in self.requests]
            return web.json_response(fields)
        elif action != ("GET", "counts"):
            return web.json_response({"error": f"no such control: {action}"}, status=404)
        return web.json_response(self.counts())

    def counts(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "answered": self.answered,
            "in_flight": self.in_flight,
            "most_in_flight": self.most_in_flight,
            "by_key": dict(self.by_key),
            "by_hash": dict(self.by_hash),
        }


async def _serve(port: int, recording: bool, latency: float) -> None:
    upstream = ScriptedUpstream(recording=recording, latency=latency)
    await upstream.start(port)
    try:
        print(upstream.url, flush=True)
        await asyncio.Event().wait()
    finally:
        await upstream.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description="The scripted upstream, as a process.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds, if no rule says else")
    parser.add_argument("--no-recording", action="store_true", help="keep counts only")
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(arguments.port, not arguments.no_recording, arguments.latency))


if __name__ == "__main__":
    main()
