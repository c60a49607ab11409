"""Every store of blobs keeps the same promises: what is put is read back, verified, or an error
says which blob and where."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from durable_agent_team.blobs import object_blobs
from durable_agent_team.blobs.cached_blobs import CachedBlobs
from durable_agent_team.blobs.directory_blobs import DirectoryBlobs
from durable_agent_team.blobs.gateway_blobs import GatewayBlobs
from durable_agent_team.blobs.object_blobs import GcsBlobs, S3Blobs
from durable_agent_team.blobs.open_blobs import open_blobs
from durable_agent_team.blobs.store import (
    BlobMissing,
    BlobStore,
    BlobsUnreachable,
    NoBlobs,
    digest,
    patiently,
)
from tests.support.gateway import PARENT_KEY, RunningGateway, running_gateway
from tests.support.memory_blobs import MemoryBlobs

DATA = "Über alles: 漢 🚲\n".encode() * 5_000
NAME = digest(DATA)


class ObjectClient:
    """As Temporal's clients for S3 and GCS, in memory."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, ...], bytes] = {}

    async def put_object(self, *, data: bytes, **name: str) -> None:
        self.objects[tuple(name.values())] = data

    async def object_exists(self, **name: str) -> bool:
        return tuple(name.values()) in self.objects

    async def get_object(self, **name: str) -> bytes:
        return self.objects[tuple(name.values())]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway("http://127.0.0.1:9") as running:
        yield running


@pytest.fixture(params=["directory", "gateway", "s3", "gs", "cached"])
def store(request: pytest.FixtureRequest, tmp_path: Path, gateway: RunningGateway) -> BlobStore:
    made: dict[str, BlobStore] = {
        "directory": DirectoryBlobs(tmp_path),
        "gateway": GatewayBlobs(gateway.base_url, SecretStr(PARENT_KEY)),
        "s3": S3Blobs("bucket", "of/teams", ObjectClient()),
        "gs": GcsBlobs("bucket", "", ObjectClient()),
        "cached": CachedBlobs(MemoryBlobs()),
    }
    return made[request.param]


async def test_what_is_put_is_read_back(store: BlobStore) -> None:
    missing = digest(b"never put")
    with pytest.raises(BlobMissing) as none:
        await store.get(missing)
    assert missing in str(none.value)
    assert store.place in str(none.value), "it says where it looked"
    await store.put(NAME, DATA)
    await store.put(NAME, DATA)
    assert await store.get(NAME) == DATA
    await store.put(digest(b""), b"")
    assert await store.get(digest(b"")) == b""


async def test_many_put_the_same_blob_at_once(store: BlobStore) -> None:
    await asyncio.gather(*(store.put(NAME, DATA) for _ in range(20)))
    assert await asyncio.gather(*(store.get(NAME) for _ in range(20))) == [DATA] * 20


async def test_a_file_that_was_changed_is_not_handed_out(tmp_path: Path) -> None:
    store = DirectoryBlobs(tmp_path)
    await store.put(NAME, DATA)
    file = tmp_path / NAME[:2] / NAME
    assert os.listdir(file.parent) == [NAME], "nothing unfinished is left"
    assert file.stat().st_mode & 0o077 == 0
    file.write_bytes(b"something else")
    with pytest.raises(BlobMissing, match="damaged"):
        await store.get(NAME)


async def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    store = DirectoryBlobs(tmp_path / "file")
    for work in (store.put(NAME, DATA), store.get(NAME)):
        with pytest.raises(BlobsUnreachable, match=r"file.*Not a directory"):
            await work


async def test_a_wrong_key_and_a_provider_without_a_store_are_final(
    gateway: RunningGateway,
) -> None:
    wrong = GatewayBlobs(gateway.base_url, SecretStr("wrong-key-0123456789"))
    with pytest.raises(BlobsUnreachable, match="ATXP_API_KEY") as refused:
        await wrong.put(NAME, DATA)
    assert refused.value.final
    assert "wrong-key" not in str(refused.value)
    elsewhere = GatewayBlobs(f"{gateway.url}/v2", SecretStr(PARENT_KEY))
    with pytest.raises(BlobsUnreachable, match="EXTERNAL_STORAGE"):
        await elsewhere.put(NAME, DATA)


async def test_a_gateway_that_does_not_answer_is_named_and_tried_again() -> None:
    store = GatewayBlobs("http://127.0.0.1:9/v1", SecretStr(PARENT_KEY))
    with pytest.raises(BlobsUnreachable, match=r"127\.0\.0\.1:9/v1/blobs does not answer") as gone:
        await store.get(NAME)
    assert not gone.value.final


@pytest.mark.parametrize("kind", [S3Blobs, GcsBlobs])
async def test_a_missing_package_is_named(kind: type[S3Blobs]) -> None:
    with pytest.raises(
        BlobsUnreachable, match=re.escape(f"(install the package {kind.package})")
    ) as missing:
        await kind("bucket", "").put(NAME, DATA)
    assert missing.value.final


class Refusal(Exception):
    """As botocore's ClientError, and aiohttp's ClientResponseError."""

    def __init__(self, status: int, code: str | None = None) -> None:
        super().__init__("https://bucket/?X-Amz-Signature=secret")
        self.status = status
        if code is not None:
            answer = {"HTTPStatusCode": status}
            self.response = {"Error": {"Code": code}, "ResponseMetadata": answer}


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (Refusal(403, "AccessDenied"), r"Refusal \(status 403, AccessDenied\): do the cred"),
        (Refusal(403, "403"), r"Refusal \(status 403\): do the credentials have the right"),
        (Refusal(503, "SlowDown"), r"Refusal \(status 503, SlowDown\)$"),
        (Refusal(404, "https://bucket/?X=secret"), r"Refusal \(status 404\)$"),
        (Refusal(401), r"Refusal \(status 401\): do the credentials"),
        (OSError(), "OSError$"),
    ],
)
async def test_a_refusal_of_an_object_store_says_why_and_where(error: Exception, says: str) -> None:
    class Refuses(ObjectClient):
        async def put_object(self, **_: Any) -> None:
            raise error

        async def object_exists(self, **_: Any) -> bool:
            raise error

    store = S3Blobs("bucket", "of/teams", Refuses())
    for done, work in (("written", store.put(NAME, DATA)), ("read", store.get(NAME))):
        text = f"blob {NAME} cannot be {done} in s3://bucket/of/teams/: {says}"
        with pytest.raises(BlobsUnreachable, match=text) as refused:
            await work
        assert "secret" not in str(refused.value)
        assert not refused.value.final


async def test_an_object_store_that_does_not_answer_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Silent(ObjectClient):
        async def put_object(self, **_: Any) -> None:
            await asyncio.sleep(30)

        async def object_exists(self, **_: Any) -> bool:
            await asyncio.sleep(30)
            return True

    monkeypatch.setattr(object_blobs, "SECONDS", 0.1)
    store = S3Blobs("bucket", "", Silent())
    for work in (store.put(NAME, DATA), store.get(NAME)):
        with pytest.raises(BlobsUnreachable, match=r"no answer within 0\.1 s") as silent:
            await asyncio.wait_for(work, 5)
        assert not silent.value.final


async def test_an_object_store_does_not_quote_its_errors() -> None:
    class Broken(ObjectClient):
        async def put_object(self, **_: Any) -> None:
            raise OSError("https://bucket/?X-Amz-Signature=secret")

    with pytest.raises(BlobsUnreachable) as broken:
        await S3Blobs("bucket", "", Broken()).put(NAME, DATA)
    assert "secret" not in str(broken.value)


@pytest.mark.parametrize(
    ("setting", "place"),
    [
        ("none", "no store"),
        ("gateway", "the gateway at http://gateway/v1/blobs"),
        ("file:///var/agent%20team", "the directory /var/agent team"),
        ("s3://bucket/of/teams", "s3://bucket/of/teams/"),
        ("gs://bucket", "gs://bucket/"),
    ],
)
def test_the_setting_names_the_store(setting: str, place: str) -> None:
    assert open_blobs(setting, "http://gateway/v1/", SecretStr("k")).place == place


async def test_without_a_key_the_gateways_store_says_what_to_set() -> None:
    with pytest.raises(BlobsUnreachable, match="ATXP_API_KEY is not set") as unset:
        await open_blobs("gateway", "http://gateway/v1", None).get(NAME)
    assert unset.value.final
    with pytest.raises(BlobsUnreachable, match="EXTERNAL_STORAGE is none"):
        await NoBlobs().get(NAME)


async def test_the_cache_reads_once_and_is_bounded() -> None:
    below = MemoryBlobs()
    cached = CachedBlobs(below, size=3_000)
    texts = [bytes([number]) * 1_000 for number in range(5)]
    for text in texts:
        await below.put(digest(text), text)
    first = digest(texts[0])
    assert await asyncio.gather(*(cached.get(first) for _ in range(10))) == [texts[0]] * 10
    assert below.reads == [first]
    for text in texts[1:3]:
        await cached.get(digest(text))
    await cached.get(first)
    await cached.get(digest(texts[3]))  # drops what was used longest ago, which is the second
    await cached.get(first)
    assert below.reads == [digest(text) for text in texts[:4]]
    await cached.get(digest(texts[1]))
    assert len(below.reads) == 5


async def test_a_directory_that_is_away_is_not_made_anew(tmp_path: Path) -> None:
    """What would be written to a new one is lost when the old one is back."""
    folder, away = tmp_path / "blobs", tmp_path / "away"
    folder.mkdir()
    store = DirectoryBlobs(folder)
    await store.put(NAME, DATA)
    for before in (True, False):
        folder.rename(away)
        known = store if before else DirectoryBlobs(folder)  # a process that starts now
        with pytest.raises(BlobsUnreachable, match=r"cannot be written .*mount it"):
            await known.put(digest(b"other"), b"other")
        with pytest.raises(BlobsUnreachable, match=r"cannot be read .*mount it"):
            await known.get(NAME)
        assert not folder.exists()
        away.rename(folder)
        await known.put(digest(b"other"), b"other")
        assert await known.get(NAME) == DATA


async def test_one_who_leaves_does_not_take_the_blob_from_others() -> None:
    class Slow(MemoryBlobs):
        async def get(self, sha256: str) -> bytes:
            await asyncio.sleep(0.05)
            return await super().get(sha256)

    cached = CachedBlobs(Slow())
    await cached._store.put(NAME, DATA)
    leaving = asyncio.create_task(cached.get(NAME))
    staying = asyncio.create_task(cached.get(NAME))
    await asyncio.sleep(0.01)
    leaving.cancel()
    assert await staying == DATA


async def test_patience_ends_and_is_not_wasted() -> None:
    attempts = 0

    async def away() -> None:
        nonlocal attempts
        attempts += 1
        raise BlobsUnreachable("away")

    async def refused() -> None:
        nonlocal attempts
        attempts += 1
        raise BlobsUnreachable("refused", final=True)

    with pytest.raises(BlobsUnreachable, match="away"):
        await patiently(away, 0.5)
    assert 2 <= attempts <= 3, "after pauses of 0.1 and 0.2 s; the next one would be too long"
    attempts = 0
    with pytest.raises(BlobsUnreachable, match="refused"):
        await patiently(refused, 10)
    assert attempts == 1
