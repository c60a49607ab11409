"""A store of blobs in memory, which counts, and can be away."""

from durable_agent_team.blobs.store import BlobsUnreachable, missing, verified


class MemoryBlobs:
    """Implements `BlobStore`. While `away`, it does not answer."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.reads: list[str] = []
        self.away = False
        self.refused = 0

    @property
    def place(self) -> str:
        return "memory"

    async def put(self, sha256: str, data: bytes) -> None:
        self._answer(sha256)
        self.kept[sha256] = data

    async def get(self, sha256: str) -> bytes:
        self._answer(sha256)
        self.reads.append(sha256)
        if sha256 not in self.kept:
            raise missing(sha256, self.place)
        return verified(sha256, self.kept[sha256], self.place)

    def _answer(self, sha256: str) -> None:
        if self.away:
            self.refused += 1
            raise BlobsUnreachable(f"blob {sha256}: {self.place} does not answer: it is away")
