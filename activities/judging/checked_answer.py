"""What happens to every answer, a model's and a program's alike: it is judged, and then kept."""

from datetime import UTC, datetime

from temporalio import activity

from activities.calls.output_formats import output_schema
from activities.heartbeats import time_left
from activities.judging.judge import Judge
from durable_agent_team.blobs.store import BlobsUnreachable
from durable_agent_team.blobs.texts import Texts
from durable_agent_team.contracts.call import MAX_ANSWER, READ_BY_WORKFLOW, CallRequest
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.rules.json_in_text import json_answer
from durable_agent_team.rules.optional_nulls import without_optional_nulls

STORE_MARGIN_SECONDS = 2.0
"""For what follows a store that did not answer: the result must still reach Temporal."""


async def judged(call: CallRequest, text: str, judge: Judge) -> tuple[str, tuple[str, ...]]:
    """The answer, without what stands around its JSON, and why it may not be handed on. Raises
    `InvalidSchema`."""
    schema = output_schema(call.output)
    answer = text if schema is None or len(text) > MAX_ANSWER else json_answer(text, schema)
    if isinstance(call.output, dict):
        answer = without_optional_nulls(answer, call.output)
    return answer, await judge.reasons(call, answer)


async def kept_answer(call: CallRequest, answer: str, texts: Texts) -> Text:
    """The reference to an answer that is stored now, or the answer itself: a short one, and one
    that the workflow reads. While the store is away it tries again until the activity's time is
    nearly over; then the answer goes into the history, since it is paid for."""
    if call.purpose in READ_BY_WORKFLOW:
        return answer
    try:
        return await texts.keep(answer, seconds_left())
    except BlobsUnreachable as error:
        activity.logger.warning("an answer is kept in Temporal's history: %s", error)
        return answer


def seconds_left() -> float:
    """How long this attempt can wait for a store that does not answer."""
    since = datetime.now(UTC) - activity.info().started_time
    return max(time_left(STORE_MARGIN_SECONDS) - since.total_seconds(), 0)
