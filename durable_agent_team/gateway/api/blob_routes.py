"""Routes for blobs: large texts and payloads of runs, under their SHA-256. All need the parent key,
so that no agent reads what another one was given."""

import asyncio
import hashlib
import logging
import re
from contextlib import suppress

from aiohttp import web

from durable_agent_team.gateway.api.gateway_context import GATEWAY
from durable_agent_team.gateway.api.http_bodies import REQUEST_ID, read_body, respond_json
from durable_agent_team.gateway.api_error import (
    ApiError,
    invalid,
    not_found,
    shown,
)
from durable_agent_team.gateway.stores.blob_store import BlobDamaged, BlobsFull

log = logging.getLogger("gateway.blobs")

IN_A_THREAD = 64 * 1024
"""Bytes from which a hash is computed in a thread."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


async def put_blob(request: web.Request) -> web.Response:
    """PUT /v1/blobs/{sha256}: 201 once the body is on disk, 200 if it was there already."""
    gateway = request.app[GATEWAY]
    await gateway.require_parent(request)
    sha256 = _sha256(request)
    limit = gateway.settings.gateway_max_blob_bytes
    declared = request.content_length
    if declared is None:
        raise invalid("A blob needs a Content-Length", "length_required", 411)
    if declared > limit:
        message = f"The blob is larger than GATEWAY_MAX_BLOB_BYTES ({limit} bytes)"
        raise invalid(message, "body_too_large", 413)
    async with gateway.blob_memory.hold(declared):
        data = await read_body(request.clone(client_max_size=declared + 1))
        if await _hash(data) != sha256:
            raise invalid("The body does not have the SHA-256 of the path", "hash_mismatch")
        try:
            new = await gateway.blobs.put(sha256, data)
        except BlobsFull as full:
            raise _full(full) from None
    return respond_json({"sha256": sha256, "bytes": len(data)}, 201 if new else 200)


async def read_blob(request: web.Request) -> web.Response:
    """GET /v1/blobs/{sha256}: its bytes."""
    gateway = request.app[GATEWAY]
    await gateway.require_parent(request)
    sha256 = _sha256(request)
    async with gateway.blob_memory.hold(await gateway.blobs.size(sha256) or 0):
        try:
            data = await gateway.blobs.read(sha256)
        except BlobDamaged:
            log.error("blob %s is damaged: its bytes have another hash", sha256)
            message = f"The blob {sha256} is damaged: put it again from its source"
            raise ApiError(500, "internal_error", "blob_damaged", message) from None
        if data is None:
            raise _missing(sha256)
        response = web.Response(body=data, content_type="application/octet-stream")
        response.headers["X-Request-Id"] = request[REQUEST_ID]
        with suppress(ConnectionError):  # sent here, while its bytes are counted
            await response.prepare(request)
            await response.write_eof()
    return response


async def look_up_blob(request: web.Request) -> web.Response:
    """HEAD /v1/blobs/{sha256}: whether it is there. Counts as a use."""
    gateway = request.app[GATEWAY]
    await gateway.require_parent(request)
    sha256 = _sha256(request)
    size = await gateway.blobs.size(sha256)
    if size is None:
        raise _missing(sha256)
    return web.Response(headers={"X-Blob-Bytes": str(size)})


async def _hash(data: bytes) -> str:
    if len(data) < IN_A_THREAD:
        return hashlib.sha256(data).hexdigest()
    return await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())


def _sha256(request: web.Request) -> str:
    text = request.match_info["sha256"]
    if not _SHA256.fullmatch(text):
        raise invalid(
            f"The path must end in a SHA-256: 64 hex digits, lower case; got {shown(text)}"
        )
    return text


def _missing(sha256: str) -> ApiError:
    return not_found(f"There is no blob {sha256}; it may have expired (GATEWAY_BLOB_DAYS)")


def _full(full: BlobsFull) -> ApiError:
    message = (
        f"The blobs take {full.used} of {full.limit} bytes: raise GATEWAY_BLOB_STORAGE_BYTES, or"
        " lower GATEWAY_BLOB_DAYS"
    )
    return ApiError(507, "insufficient_storage", "blobs_full", message)
