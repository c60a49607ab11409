"""Visits that are skipped would have changed nothing: messages come out as the SDK makes them."""

import asyncio
import uuid
from typing import Any

import pytest
import temporalio.bridge.worker
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.bridge._visitor import PayloadVisitor
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import DataConverter, PayloadCodec
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from durable_agent_team.blobs.store import NoBlobs
from durable_agent_team.payloads.converter import INLINE, data_converter
from durable_agent_team.worker_sdk.payload_visits import (
    brings_none,
    skip_idle_visits,
    stores_none,
)
from tests.support.memory_blobs import MemoryBlobs
from tests.support.temporal import server
from tests.worker_sdk.idle_workflow import Waits, work

BRIDGE: Any = temporalio.bridge.worker
SIZES = st.sampled_from((0, 10, 900, 1_000, 1_024, 1_100, 4_900, 4_990, 5_000, 5_100, 20_000))
LOOKALIKES = st.sampled_from((b"", b"storage", b"inline", b"json/external-storage-reference"))
STORES = st.sampled_from((True, False))


@st.composite
def payloads(draw: st.DrawFn) -> Payload:
    size, text = draw(SIZES), draw(LOOKALIKES)
    payload = Payload(metadata={"encoding": b"json/plain"}, data=b'"' + text + b"x" * size + b'"')
    if draw(st.booleans()) and size >= 1_024:
        payload.metadata[INLINE] = b"inline"
    return payload


@st.composite
def completions(draw: st.DrawFn) -> WorkflowActivationCompletion:
    completion = WorkflowActivationCompletion(run_id="run")
    completion.successful.SetInParent()
    for seq, found in enumerate(draw(st.lists(st.lists(payloads(), max_size=3), max_size=4))):
        command = completion.successful.commands.add()
        kind = draw(st.sampled_from(("activity", "local", "query", "result", "failure", "memo")))
        match kind:
            case "activity":
                command.schedule_activity.seq = seq
                command.schedule_activity.arguments.extend(found)
            case "local":
                command.schedule_local_activity.seq = seq
                command.schedule_local_activity.arguments.extend(found)
            case "query":
                command.respond_to_query.succeeded.response.CopyFrom((found or [Payload()])[0])
            case "result":
                result = (found or [Payload()])[0]
                command.complete_workflow_execution.result.CopyFrom(result)
            case "failure":
                info = command.fail_workflow_execution.failure.application_failure_info
                info.details.payloads.extend(found)
            case "memo":
                for index, each in enumerate(found):
                    fields = command.modify_workflow_properties.upserted_memo.fields
                    fields[str(index)].CopyFrom(each)
    return completion


def visit_as_the_sdk_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another test may have applied the patch, which is one of the whole process."""
    for name in ("decode_activation", "encode_completion"):
        visit = getattr(BRIDGE, name)
        monkeypatch.setattr(BRIDGE, name, getattr(visit, "sdk", visit))


async def sdk_visit(name: str, message: Any, converter: DataConverter) -> None:
    headers = {"encode_completion": "encode_headers", "decode_activation": "decode_headers"}[name]
    visit = getattr(BRIDGE, name)
    visit = getattr(visit, "sdk", visit)
    await visit(message, converter, **{headers: False}, storage_concurrency_limit=4)


@settings(max_examples=150)
@given(completions(), STORES)
async def test_a_completion_without_visits_is_one_with_them(
    completion: WorkflowActivationCompletion, with_store: bool
) -> None:
    store = MemoryBlobs()
    converter = data_converter(store if with_store else NoBlobs())
    before = completion.SerializeToString(deterministic=True)
    skips = stores_none(completion, converter)
    assert completion.SerializeToString(deterministic=True) == before, "looking changes nothing"
    await sdk_visit("encode_completion", completion, converter)
    if skips:
        assert completion.SerializeToString(deterministic=True) == before
        assert not store.kept


@settings(max_examples=150)
@given(completions(), STORES)
async def test_an_activation_without_visits_is_one_with_them(
    completion: WorkflowActivationCompletion, with_store: bool
) -> None:
    store = MemoryBlobs()
    converter = data_converter(store if with_store else NoBlobs())
    await sdk_visit("encode_completion", completion, converter)
    activation = WorkflowActivation(run_id="run")
    for command in completion.successful.commands:
        for payload in command.schedule_activity.arguments:
            job = activation.jobs.add()
            job.resolve_activity.result.completed.result.CopyFrom(payload)
    before = activation.SerializeToString(deterministic=True)
    skips = brings_none(activation, converter)
    await sdk_visit("decode_activation", activation, converter)
    if skips:
        assert activation.SerializeToString(deterministic=True) == before
    else:
        assert b"external-storage-reference" in before or b"ExternalStorageReference" in before


def test_small_ones_are_skipped_and_large_ones_are_not() -> None:
    converter = data_converter(MemoryBlobs())
    completion = WorkflowActivationCompletion()
    for _ in range(100):
        payload = Payload(data=b"x" * 4_000)
        completion.successful.commands.add().schedule_activity.arguments.append(payload)
    assert stores_none(completion, converter)
    completion.successful.commands[7].schedule_activity.arguments[0].data += b"x" * 1_000
    assert not stores_none(completion, converter)


def test_nothing_is_skipped_with_a_codec_or_a_storage_that_is_not_ours() -> None:
    class Codec(PayloadCodec):
        async def encode(self, payloads: Any) -> list[Payload]:
            return list(payloads)

        decode = encode

    ours = data_converter(MemoryBlobs())
    for converter in (
        DataConverter(payload_codec=Codec(), external_storage=ours.external_storage),
        DataConverter(),
    ):
        assert not stores_none(WorkflowActivationCompletion(), converter)
        assert not brings_none(WorkflowActivation(), converter)


async def test_the_sdk_visits_what_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """When this fails, the SDK no longer needs the patch."""
    visits = 0
    original = PayloadVisitor.visit

    async def counted(self: Any, functions: Any, root: Any) -> None:
        nonlocal visits
        visits += 1
        await original(self, functions, root)

    visit_as_the_sdk_does(monkeypatch)
    monkeypatch.setattr(PayloadVisitor, "visit", counted)
    async with server() as environment:
        config = environment.client.config()
        config["data_converter"] = data_converter(MemoryBlobs())
        client = type(environment.client)(**config)

        async def once() -> None:
            async with Worker(
                client,
                task_queue=(queue := f"visits-{uuid.uuid4()}"),
                workflows=[Waits],
                activities=[work],
                workflow_runner=UnsandboxedWorkflowRunner(),
            ):
                handle = await client.start_workflow(
                    Waits.run, 0.0, id=f"visits-{uuid.uuid4()}", task_queue=queue
                )
                for steps in (1, 3):
                    while await handle.query(Waits.look) != steps:
                        await asyncio.sleep(0.02)
                    await handle.signal(Waits.tell, "on")
                await asyncio.wait_for(handle.result(), 20)

        await once()
        needed, visits = visits, 0
        skip_idle_visits()
        skip_idle_visits()  # again changes nothing
        await once()
    assert needed > 0
    assert visits == 0
