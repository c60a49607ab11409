"""The two forms in which a turn travels to its activity, and how one is made from the other.

The whole form has everything. The base form has what is new since another turn, and the hash of all
that was before: the history then has each entry once. Both lead to the same body, byte for byte
(docs/adr/049).
"""

from collections.abc import Sequence
from typing import Any

from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.conversation import Conversation, Entry
from durable_agent_team.rules.tools.conversation_hash import HEAD


def in_base_form(call: CallRequest, base: str, known: int) -> CallRequest:
    """Without the head and the first `known` entries, which the conversation `base` consists of."""
    whole = call.conversation
    assert whole is not None
    kept = {name: getattr(whole, name) for name in whole.model_fields_set - {"box", "entries"}}
    conversation = Conversation.model_construct(
        **{**kept, "base": base, "entries": whole.entries[known:]}
    )
    return _with(call, call.model_fields_set - HEAD, conversation)


def in_whole_form(
    call: CallRequest, head: CallRequest, known: Sequence[Entry], own: Sequence[Entry]
) -> CallRequest:
    """The request with the head of an earlier turn, the entries that were `known` there, and its
    `own` ones after them."""
    part, before = call.conversation, head.conversation
    assert part is not None
    assert before is not None
    kept = {name: getattr(part, name) for name in part.model_fields_set - {"base"}}
    conversation = Conversation.model_construct(
        **{**kept, "box": before.box, "entries": (*known, *own)}
    )
    given = {name: getattr(head, name) for name in HEAD & head.model_fields_set}
    return _with(call, call.model_fields_set - HEAD, conversation, given)


def _with(
    call: CallRequest,
    fields: "set[str] | frozenset[str]",
    conversation: Conversation,
    more: dict[str, Any] | None = None,
) -> CallRequest:
    kept = {name: getattr(call, name) for name in fields}
    return CallRequest.model_construct(**{**kept, "conversation": conversation, **(more or {})})
