"""Asks each upstream for its list of models, to see whether its key is right before a call is paid.

No provider charges for the list. An upstream that has none, or that lets no key of this kind read
it, says nothing about the key.
"""

import asyncio
import json
from collections.abc import Iterable
from typing import Final

import aiohttp
import httpx

from durable_agent_team.gateway.keys import Scrubber
from durable_agent_team.gateway.models.upstream_state import UpstreamCheck
from durable_agent_team.gateway.models.upstreams import BUNDLED, NamedUpstream
from durable_agent_team.gateway.upstreams.bounded_body import (
    BodyNotUnpacked,
    BodyTooLong,
    read_body,
)
from durable_agent_team.gateway.upstreams.upstream_client import UpstreamClient
from durable_agent_team.providers.url_secrets import without_url_secrets

CHECK_SECONDS: Final = 5.0
MAX_ERROR_BYTES: Final = 64 * 1024
MAX_WORDS: Final = 200
REFUSED: Final = frozenset({400, 401, 403})
"""Nothing but the key can be wrong with this request. Gemini and xAI answer 400 to a wrong one."""
NATIVE_HEADERS: Final = {"anthropic-version": "2023-06-01"}
"""Anthropic's own list takes the key as `x-api-key` alone, its chat completions as a bearer token
(docs.anthropic.com/en/api/models-list). Other providers ignore both headers."""


async def check_upstreams(
    upstreams: Iterable[NamedUpstream], scrub: Scrubber
) -> list[UpstreamCheck]:
    """Every upstream, all at once, in `CHECK_SECONDS` at most."""
    client = UpstreamClient()
    try:
        checks = [_checked_in_time(client, each, scrub) for each in upstreams]
        return list(await asyncio.gather(*checks))
    finally:
        await client.aclose()


async def _checked_in_time(
    client: UpstreamClient, upstream: NamedUpstream, scrub: Scrubber
) -> UpstreamCheck:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await _check(client, upstream, scrub)
    except TimeoutError:
        what = f"{_shown_url(upstream)} does not answer within {CHECK_SECONDS:g} s"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        what = f"{_shown_url(upstream)} cannot be reached: {scrub(str(error))[:MAX_WORDS]}"
    return UpstreamCheck(upstream.name, "unreachable", what)


async def _check(client: UpstreamClient, upstream: NamedUpstream, scrub: Scrubber) -> UpstreamCheck:
    if upstream.missing is not None:
        return UpstreamCheck(upstream.name, "key_missing", f"set {upstream.missing} in .env")
    if upstream.name == BUNDLED and not upstream.url:
        return UpstreamCheck(upstream.name, "ready")
    if "{model}" in upstream.url:  # a deployment's own address, which has no list
        return UpstreamCheck(upstream.name, "unknown", "its address has no list of models")
    headers = dict(upstream.entry.headers)
    if upstream.key and upstream.entry.auth == "bearer":
        headers["Authorization"] = f"Bearer {upstream.key}"
    elif upstream.key and upstream.entry.auth != "none":
        headers[upstream.entry.auth] = upstream.key
    status, words = await _ask(client, upstream, headers, scrub)
    if status in REFUSED and upstream.key:
        native = {**upstream.entry.headers, **NATIVE_HEADERS, "x-api-key": upstream.key}
        if (await _ask(client, upstream, native, scrub))[0] == 200:
            status = 200
    return _judged(upstream, status, words)


async def _ask(
    client: UpstreamClient, upstream: NamedUpstream, headers: dict[str, str], scrub: Scrubber
) -> tuple[int, str]:
    """The status, and the upstream's own words about an error."""
    url = httpx.URL(upstream.url + upstream.entry.check_path)
    if upstream.entry.query:
        url = url.copy_merge_params(upstream.entry.query)
    async with client.sent("GET", client.address(url), b"", headers, CHECK_SECONDS) as response:
        if response.status == 200:
            return 200, ""
        return response.status, scrub(await _words(response))[:MAX_WORDS]


async def _words(response: aiohttp.ClientResponse) -> str:
    """`error.message`, or `error`, of an error in any of the usual shapes; else nothing."""
    try:
        data = json.loads(await read_body(response, MAX_ERROR_BYTES))
    except (BodyTooLong, BodyNotUnpacked, ValueError, RecursionError):
        return ""
    data = data[0] if isinstance(data, list) and data else data
    error = data.get("error", data.get("message")) if isinstance(data, dict) else None
    error = error.get("message") if isinstance(error, dict) else error
    return " ".join(error.split()) if isinstance(error, str) else ""


def _judged(upstream: NamedUpstream, status: int, words: str) -> UpstreamCheck:
    name, said = upstream.name, f": {words}" if words else ""
    key = upstream.entry.key_env
    answered = f"{_shown_url(upstream)} answered {status}{said}"
    if status == 200:
        return UpstreamCheck(name, "ready")
    if status in REFUSED and key:
        remedy = f"correct {key} in .env" if upstream.key else f"set {key} in .env"
        return UpstreamCheck(name, "key_refused", f"{key} is refused: {answered} ({remedy})")
    if status == 402:
        return UpstreamCheck(name, "unknown", f"{answered} (check your balance there)")
    return UpstreamCheck(name, "unknown", answered)


def _shown_url(upstream: NamedUpstream) -> str:
    return without_url_secrets(upstream.url.rstrip("/")) + upstream.entry.check_path
