"""Pure: the model calls that programs made, from the lines of a ledger by their scope."""

from collections.abc import Sequence
from decimal import Decimal

from durable_agent_team.client.recorded_calls import RecordedCall
from durable_agent_team.client.run_history import RunRecord
from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.ledger import Charge, Ledger
from durable_agent_team.contracts.program import ATTEMPTS_OF_AN_EXECUTION


class ModelCall(Message):
    """One call of a model that a program made and paid, as the ledger has it."""

    idempotency_key: str | None
    attempt: int | None
    """The scope's attempt: the execution of the program, times 1,000, plus its own attempt."""
    amount_usd: Decimal
    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: bool = False

    @property
    def execution(self) -> int | None:
        return None if self.attempt is None else self.attempt // ATTEMPTS_OF_AN_EXECUTION


def scope_charges(ledgers: Sequence[Ledger] | None) -> dict[tuple[str, str], list[Charge]]:
    """The ledgers' lines by agent and scope."""
    found: dict[tuple[str, str], list[Charge]] = {}
    for ledger in ledgers or ():
        for charge in ledger.charges:
            if charge.scope:
                found.setdefault((ledger.agent, charge.scope), []).append(charge)
    return found


def model_calls(
    call: RecordedCall, record: RunRecord, charges: Sequence[Charge]
) -> tuple[ModelCall, ...]:
    """Those that this execution of a program paid; what it only replayed, another one has."""
    if call.program is None:
        return ()
    made = (_model_call(each) for each in charges)
    own = [each for each in record.calls if each.key == call.key and each.program is not None]
    executions = {each.program.execution for each in own if each.program is not None}
    first, mine = min(executions), call.program.execution
    return tuple(
        each
        for each in made
        if each.execution == mine or (each.execution not in executions and mine == first)
    )


def _model_call(charge: Charge) -> ModelCall:
    return ModelCall(
        idempotency_key=charge.idempotency_key,
        attempt=charge.attempt,
        amount_usd=charge.amount_usd,
        prompt_tokens=charge.prompt_tokens,
        completion_tokens=charge.completion_tokens,
        estimated=charge.estimated,
    )
