"""Looks for the large texts of an ended run: those that its store has lost are not taken over."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from durable_agent_team.blobs.store import BlobMissing
from durable_agent_team.blobs.texts import AT_ONCE, Texts
from durable_agent_team.contracts.text_ref import Text, TextRef
from durable_agent_team.rules.ended_run import EndedRun, Made


async def without_lost_texts(ended: EndedRun, texts: Texts) -> EndedRun:
    """The run without hand-offs and an answer that the store does not have any more, so that they
    are made again. Raises `BlobsUnreachable`."""
    made = [*ended.handoffs.values(), *([ended.answer] if ended.answer else [])]
    lost = await lost_texts((each.output for each in made), texts)

    def is_there(each: Made) -> bool:
        return not (isinstance(each.output, TextRef) and each.output.sha256 in lost)

    handoffs = {name: each for name, each in ended.handoffs.items() if is_there(each)}
    answer = ended.answer if ended.answer is not None and is_there(ended.answer) else None
    return replace(ended, handoffs=handoffs, answer=answer)


async def lost_texts(wanted: Iterable[Text], texts: Texts) -> set[str]:
    """The hashes of those that the store does not have. Reads each once, as it has to be whole."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def is_lost(ref: TextRef) -> bool:
        async with gate:
            try:
                await texts.read(ref)
            except BlobMissing:
                return True
            return False

    by_hash = {text.sha256: text for text in wanted if isinstance(text, TextRef)}
    found = await asyncio.gather(*map(is_lost, by_hash.values()))
    return {sha256 for sha256, lost in zip(by_hash, found, strict=True) if lost}
