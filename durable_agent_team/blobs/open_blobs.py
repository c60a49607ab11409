"""Opens the store that EXTERNAL_STORAGE names."""

from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from durable_agent_team.atxp.httpx_client import HttpxClient
from durable_agent_team.blobs.cached_blobs import CachedBlobs
from durable_agent_team.blobs.directory_blobs import DirectoryBlobs
from durable_agent_team.blobs.gateway_blobs import GatewayBlobs
from durable_agent_team.blobs.object_blobs import GcsBlobs, S3Blobs
from durable_agent_team.blobs.store import BlobStore, NoBlobs

NONE: Final = "none"
GATEWAY: Final = "gateway"


def open_blobs(
    setting: str,
    api_url: str,
    api_key: SecretStr | None,
    make_http: Callable[[], HttpxClient] = HttpxClient,
) -> BlobStore:
    """The store: `none`, `gateway`, `file:///FOLDER`, `s3://BUCKET/PREFIX` or `gs://BUCKET/PREFIX`.

    `api_url` and `api_key` are the gateway's. Nothing is sent yet. Raises ImportError if a package
    for S3 or GCS is missing.
    """
    if setting == NONE:
        return NoBlobs()
    if setting == GATEWAY:
        if api_key is None:
            return NoBlobs("EXTERNAL_STORAGE is gateway, but ATXP_API_KEY is not set")
        return CachedBlobs(GatewayBlobs(api_url, api_key, make_http))
    parts = urlsplit(setting)
    if parts.scheme == "file":
        return CachedBlobs(DirectoryBlobs(Path(unquote(parts.path))))
    kind = S3Blobs if parts.scheme == "s3" else GcsBlobs
    return CachedBlobs(kind(parts.netloc, parts.path.strip("/")))
