"""The data converter: pydantic models as compact JSON."""

from typing import Final

from temporalio.contrib.pydantic import PydanticPayloadConverter, ToJsonOptions
from temporalio.converter import DataConverter


class PayloadConverter(PydanticPayloadConverter):
    """Contracts as JSON without the fields that were not set, so that histories stay small."""

    def __init__(self) -> None:
        super().__init__(ToJsonOptions(exclude_unset=True))


DATA_CONVERTER: Final = DataConverter(payload_converter_class=PayloadConverter)
