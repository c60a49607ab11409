"""The JSON of charges of tools: limits and schema of a request, and the shape of responses."""

import re
from typing import Final, Literal

from durable_agent_team.gateway.api.request_shapes import AMOUNT, Schema, object_schema
from durable_agent_team.gateway.api.response_shapes import Shape

MAX_WHAT: Final = 200
CHARGE_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:-]{0,199}")
"""It is part of paths."""

NEW_TOOL_CHARGE: Final[Schema] = object_schema(
    {
        "key": {"type": "string", "pattern": f"^{CHARGE_KEY.pattern}$"},
        "amount_usd": AMOUNT,
        "what": {"type": "string", "minLength": 1, "maxLength": MAX_WHAT},
    },
    "key",
    "amount_usd",
    "what",
)


class ToolChargeJson(Shape):
    """A charge after the request. `reserved`: the tool may run, or may have run; `settled`: it is
    in the ledger; `released`: the tool did not run. `revision` is for `If-Match`."""

    key: str
    amount_usd: float
    what: str
    state: Literal["reserved", "settled", "released"]
    revision: int
