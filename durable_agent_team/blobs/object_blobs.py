"""Blobs in Amazon S3 or Google Cloud Storage, over the clients of Temporal's own drivers.

They need packages that this project does not: those of Temporal's extras. They read their
credentials from the environment, as `aioboto3` and `gcloud-aio-storage` document.
"""

import asyncio
import re
from contextlib import AsyncExitStack
from importlib import import_module
from typing import Any, ClassVar, Final

from durable_agent_team.blobs.store import BlobMissing, BlobsUnreachable, missing, verified

SECONDS: Final = 60.0
"""How long one attempt can take. Amazon's client alone would wait for five minutes."""
CODE: Final = re.compile(r"[A-Za-z0-9]{1,64}")


class ObjectBlobs:
    """Implements `BlobStore`. What expires, and when, is a rule of the bucket's.

    `client` is one of Temporal's; without it, it is made at the first use, and lives as long as
    the process.
    """

    scheme: ClassVar[str]
    package: ClassVar[str]
    key_argument: ClassVar[str]

    def __init__(self, bucket: str, prefix: str, client: Any = None) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._client = client
        self._open = AsyncExitStack()

    @property
    def place(self) -> str:
        return f"{self.scheme}://{self._bucket}/{self._prefix}"

    async def put(self, sha256: str, data: bytes) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                client = await self._connected()
                await client.put_object(**self._name(sha256), data=data)
        except Exception as error:
            raise self._unreachable("written", sha256, error) from None

    async def get(self, sha256: str) -> bytes:
        try:
            async with asyncio.timeout(SECONDS):
                client = await self._connected()
                if not await client.object_exists(**self._name(sha256)):
                    raise missing(sha256, self.place)
                data: bytes = await client.get_object(**self._name(sha256))
        except BlobMissing:
            raise
        except Exception as error:
            raise self._unreachable("read", sha256, error) from None
        return verified(sha256, data, self.place)

    async def connect(self, stack: AsyncExitStack) -> Any:
        raise NotImplementedError

    async def _connected(self) -> Any:
        if self._client is None:
            self._client = await self.connect(self._open)
        return self._client

    def _name(self, sha256: str) -> dict[str, str]:
        return {"bucket": self._bucket, self.key_argument: self._prefix + sha256}

    def _unreachable(self, done: str, sha256: str, error: Exception) -> BlobsUnreachable:
        """Without the error's text, which may quote a signed URL."""
        what = f"blob {sha256} cannot be {done} in {self.place}: {type(error).__name__}"
        if isinstance(error, ImportError):
            return BlobsUnreachable(f"{what} (install the package {self.package})", final=True)
        if isinstance(error, TimeoutError):
            return BlobsUnreachable(f"{what}, no answer within {SECONDS:g} s")
        return BlobsUnreachable(what + _reason(error))


def _reason(error: Exception) -> str:
    """The status and the code of a refusal, as botocore or aiohttp have it."""
    response = getattr(error, "response", None)
    response = response if isinstance(response, dict) else {}
    metadata = response.get("ResponseMetadata", {})
    status = metadata.get("HTTPStatusCode", getattr(error, "status", None))
    code = str(response.get("Error", {}).get("Code", ""))
    found = [f"status {status}"] if isinstance(status, int) else []
    if CODE.fullmatch(code) and code != str(status):
        found.append(code)
    rights = ": do the credentials have the right to it?" if status in (401, 403) else ""
    return f" ({', '.join(found)}){rights}" if found else ""


class S3Blobs(ObjectBlobs):
    scheme = "s3"
    package = "temporalio[aioboto3]"
    key_argument = "key"

    async def connect(self, stack: AsyncExitStack) -> Any:
        session = import_module("aioboto3").Session()
        adapter = import_module("temporalio.contrib.aws.s3driver.aioboto3")
        return adapter.new_aioboto3_client(await stack.enter_async_context(session.client("s3")))


class GcsBlobs(ObjectBlobs):
    scheme = "gs"
    package = "temporalio[gcloud-aio-storage]"
    key_argument = "object_name"

    async def connect(self, stack: AsyncExitStack) -> Any:
        storage = import_module("gcloud.aio.storage").Storage()
        adapter = import_module("temporalio.contrib.gcp.gcsdriver.gcloud_aio")
        return adapter.new_gcloud_aio_client(await stack.enter_async_context(storage))
