"""What a transport reports in place of a server's answer, as the data of a JSON-RPC error.

The `mcp` package hands on JSON-RPC errors and little else: a status, a broken connection or a
message that is too long reaches a caller as a made-up error with this data, under a token that no
server knows.
"""

import secrets
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

TOKEN: Final = secrets.token_hex(16)
"""Known to this process only, so that nothing a server sends can pass for a fault."""
FAULT_CODE: Final = -32000

Stage = Literal["unsent", "refused", "lost", "unreadable", "too_large"]


@dataclass(frozen=True)
class Fault:
    """Why there is no answer.

    `unsent`: the request did not leave; `refused`: the server refused it before any tool ran;
    `lost`: it may have run, and its answer did not come; `unreadable`: what came is no answer;
    `too_large`: it was answered, with more than is read.
    """

    stage: Stage
    text: str
    status: int = 0
    """The HTTP status; 0 if there was none."""
    body: str = ""
    """The beginning of what came with that status."""
    challenge: str = ""
    """The header `WWW-Authenticate`."""
    offer: str = ""
    """The header `PAYMENT-REQUIRED`."""
    url: str = ""
    """The server's URL, without its query."""
    remedy: str = ""
    """Where the worker takes the server's token from."""
    bytes: int = 0

    def error(self) -> dict[str, Any]:
        """The `error` of a JSON-RPC message."""
        data = {"fault": TOKEN, **asdict(self)}
        return {"code": FAULT_CODE, "message": self.text, "data": data}


def fault_in(data: Any) -> Fault | None:
    """The fault that the data of an error is, if it is one of ours."""
    if not isinstance(data, dict) or data.get("fault") != TOKEN:
        return None
    return Fault(**{name: value for name, value in data.items() if name != "fault"})
