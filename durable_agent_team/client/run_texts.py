"""Reads the large texts of runs: what their messages have references to."""

from dataclasses import replace

from temporalio.client import Client

from durable_agent_team.blobs.texts import PATIENCE_SECONDS, Texts, call_in_full
from durable_agent_team.client.exceptions import translated
from durable_agent_team.client.recorded_calls import RecordedCall
from durable_agent_team.client.run_history import RunRecord
from durable_agent_team.contracts.text_ref import TextRef
from durable_agent_team.payloads.converter import store_of


def texts_of(client: Client) -> Texts:
    """The store of large texts that this client was connected with."""
    return Texts(store_of(client.data_converter))


async def calls_in_full(client: Client, record: RunRecord, task: str) -> RunRecord:
    """The record, its calls of this task with their texts instead of references.

    Raises `TextsUnavailable`.
    """
    texts = texts_of(client)
    calls = list(record.calls)
    with translated(record.id):
        for number, call in enumerate(calls):
            if call.request.task == task:
                calls[number] = await _in_full(call, texts)
    return replace(record, calls=tuple(calls))


async def _in_full(call: RecordedCall, texts: Texts) -> RecordedCall:
    request = await call_in_full(call.request, texts, PATIENCE_SECONDS)
    if isinstance(call.stderr, TextRef):
        call = replace(call, stderr=await texts.read(call.stderr))
    result = call.result
    if result is None:
        return replace(call, request=request)
    changes: dict[str, str | None] = {}
    for name in ("answer", "thinking"):
        ref = getattr(result, f"{name}_ref")
        if ref is not None:
            changes |= {name: await texts.read(ref), f"{name}_ref": None}
    return replace(call, request=request, result=result.model_copy(update=changes))
