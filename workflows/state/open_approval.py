"""What waits for a person's approval, and the answer until it is used."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from durable_agent_team.contracts.approvals import ApprovalKind
from durable_agent_team.contracts.arguments_check import ArgumentsCheck
from durable_agent_team.contracts.control import Approve
from durable_agent_team.contracts.text_ref import Text


@dataclass
class OpenApproval:
    """One subject. The approval holds for what `sha256` names, and nothing else."""

    kind: ApprovalKind
    what: str
    sha256: str
    since: datetime
    agent: str | None = None
    task: str | None = None
    amount_usd: Decimal | None = None
    tainted: bool = False
    until: datetime | None = None
    on_timeout: Literal["reject", "approve"] | None = None
    answer: Approve | None = None
    """A person's answer, until what waits has used it."""
    answered_at: datetime | None = None
    content: Annotated[Text, Field(exclude=True)] = ""
    """What is approved. It stands elsewhere in the state; whoever waits for the approval puts it
    here again in the run's next execution. A plan's is made when it is asked for."""
    check: Annotated[ArgumentsCheck | None, Field(exclude=True)] = None
    """What edited arguments of a tool's call are checked against."""
