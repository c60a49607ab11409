"""The data converter: pydantic models as compact JSON."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, Final

from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticPayloadConverter, ToJsonOptions
from temporalio.converter import DataConverter

from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.undecodable import Undecodable

MAX_REASON = 200


class PayloadConverter(PydanticPayloadConverter):
    """Contracts as JSON without the fields that were not set, so that histories stay small.

    An untyped argument that cannot be decoded becomes `Undecodable`: handlers take any payload.
    A typed one raises, as it does without this class.
    """

    def __init__(self) -> None:
        super().__init__(ToJsonOptions(exclude_unset=True))

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        """The decoded values, one for each payload."""
        return [
            self._decode(payload, hint) for payload, hint in zip_longest(payloads, type_hints or ())
        ]

    def _decode(self, payload: Payload, hint: Any) -> Any:
        decode = super().from_payloads
        if hint is not None and hint is not Any:
            return decode([payload], [hint])[0]
        try:
            return decode([payload], None)[0]
        except Exception as error:
            return Undecodable(_reason(payload, error))


DATA_CONVERTER: Final = DataConverter(payload_converter_class=PayloadConverter)


def _reason(payload: Payload, error: Exception) -> str:
    """Names the encoding, and of a JSON error what and where it is, without the content."""
    encoding = cut(payload.metadata.get("encoding", b"").decode("ascii", "replace"), 40)
    listed = getattr(error, "errors", None)
    problems = listed(include_input=False, include_url=False) if callable(listed) else []
    what = problems[0]["msg"] if problems else "it cannot be decoded"
    return cut(f"encoding {encoding or 'missing'}: {what}", MAX_REASON)
