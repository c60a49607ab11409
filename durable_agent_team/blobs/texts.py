"""Stores texts, and reads them where a message has references."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

from durable_agent_team.blobs.store import BlobStore, NoBlobs, patiently
from durable_agent_team.contracts.call import CallRequest, Source
from durable_agent_team.contracts.conversation import Conversation, Entry, Said, ToolMessage
from durable_agent_team.contracts.run import RunReport, RunRequest, TaskOutcome
from durable_agent_team.contracts.text_ref import Text, TextRef, json_bytes_of, reference_to

LEAST_BYTES: Final = 512
"""As JSON. A shorter text travels itself: its reference would be as long."""
PATIENCE_SECONDS: Final = 4.0
AT_ONCE: Final = 16


class Texts:
    """The texts in a store. `seconds` are how long an attempt may last while it is away."""

    def __init__(self, store: BlobStore, least_bytes: int = LEAST_BYTES) -> None:
        self.store = store
        self.least_bytes = least_bytes

    @property
    def can_store(self) -> bool:
        return not isinstance(self.store, NoBlobs)

    async def keep(self, text: str, seconds: float = PATIENCE_SECONDS) -> Text:
        """The reference to the text, which is durable then; a short one, or one without a store,
        itself. Raises `BlobsUnreachable`."""
        if not self.can_store or json_bytes_of(text) < self.least_bytes:
            return text
        reference = reference_to(text)
        data = text.encode()
        await patiently(lambda: self.store.put(reference.sha256, data), seconds)
        return reference

    async def read(self, text: Text, seconds: float = PATIENCE_SECONDS) -> str:
        """The text itself. Raises `BlobError`."""
        if isinstance(text, str):
            return text
        data = await patiently(lambda: self.store.get(text.sha256), seconds)
        return data.decode()

    async def read_all(self, texts: Iterable[Text], seconds: float = PATIENCE_SECONDS) -> list[str]:
        """The texts, in order; each is read once."""
        wanted = list(texts)
        missing = {text for text in wanted if isinstance(text, TextRef)}
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(ref: TextRef) -> tuple[TextRef, str]:
            async with gate:
                return ref, await self.read(ref, seconds)

        found = dict(await asyncio.gather(*(one(ref) for ref in missing)))
        return [found[text] if isinstance(text, TextRef) else text for text in wanted]


async def call_in_full(call: CallRequest, texts: Texts, seconds: float) -> CallRequest:
    """The call with its texts instead of references. Raises `BlobError`."""
    changes: dict[str, object] = {}
    if any(source.ref is not None for source in call.sources):
        read = await texts.read_all((source.whole for source in call.sources), seconds)
        pairs = zip(call.sources, read, strict=True)
        changes["sources"] = tuple(_in_full(source, text) for source, text in pairs)
    rejected = call.rejected
    if rejected is not None and rejected.answer_ref is not None:
        answer = await texts.read(rejected.answer_ref, seconds)
        changes["rejected"] = rejected.model_copy(update={"answer": answer, "answer_ref": None})
    conversation = call.conversation
    if conversation is not None:
        changes["conversation"] = await _conversation_in_full(conversation, texts, seconds)
    return call.model_copy(update=changes) if changes else call


async def _conversation_in_full(
    conversation: Conversation, texts: Texts, seconds: float
) -> Conversation:
    """Only entries that have references are made anew."""
    box = conversation.box
    wanted = [each for entry in conversation.entries for each in _stored(entry)]
    is_stored = box is not None and isinstance(box.definitions, TextRef)
    if not wanted and not is_stored:
        return conversation
    read = dict(zip(wanted, await texts.read_all(wanted, seconds), strict=True))
    changes: dict[str, object] = {
        "entries": tuple(_entry_in_full(entry, read) for entry in conversation.entries)
    }
    if box is not None and is_stored:
        definitions = await texts.read(box.definitions, seconds)
        changes["box"] = box.model_copy(update={"definitions": definitions})
    return conversation.model_copy(update=changes)


def _stored(entry: Entry) -> list[TextRef]:
    found = [each.text_ref for each in entry.results]
    if entry.said is not None:
        found.append(entry.said.text_ref)
    return [each for each in found if each is not None]


def _entry_in_full(entry: Entry, read: Mapping[TextRef, str]) -> Entry:
    if not _stored(entry):
        return entry
    results = tuple(
        ToolMessage(id=each.id, name=each.name, text=read[each.text_ref])
        if each.text_ref is not None
        else each
        for each in entry.results
    )
    said = entry.said
    if said is not None and said.text_ref is not None:
        said = Said(role=said.role, text=read[said.text_ref])
    return Entry(turn=entry.turn, results=results, said=said)


def _in_full(source: Source, text: str) -> Source:
    return Source(name=source.name, text=text[: source.first] if source.first else text)


async def stored_request(request: RunRequest, texts: Texts) -> RunRequest:
    """The request with references to its documents, which are stored then. Raises
    `BlobsUnreachable`."""
    if not request.sources or not texts.can_store:
        return request
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(text: str) -> Text:
        async with gate:
            return await texts.keep(text)

    kept = dict(
        zip(request.sources, await asyncio.gather(*map(one, request.sources.values())), strict=True)
    )
    inline = {name: text for name, text in kept.items() if isinstance(text, str)}
    stored = {name: text for name, text in kept.items() if isinstance(text, TextRef)}
    documents = {**request.documents, **stored}
    return request.model_copy(update={"sources": inline, "documents": documents})


async def report_in_full(report: RunReport, texts: Texts) -> RunReport:
    """The report with every hand-off and the answer in full. Raises `BlobError`."""
    wanted = [each.output_ref or "" for each in report.outcomes]
    read = await texts.read_all([*wanted, *report.answer_parts])
    pairs = zip(report.outcomes, read, strict=False)
    outcomes = tuple(_outcome(outcome, text) for outcome, text in pairs)
    changes: dict[str, object] = {"outcomes": outcomes}
    if report.answer_parts:
        changes |= {"answer": "\n\n".join(read[len(wanted) :]), "answer_parts": ()}
    return report.model_copy(update=changes)


def _outcome(outcome: TaskOutcome, text: str) -> TaskOutcome:
    if outcome.output_ref is None:
        return outcome
    return TaskOutcome(task=outcome.task, output=text)
