"""What follows a call of a tool without a result, for every kind of effect, error and heartbeat: an
effect that may have happened is for a person, and what was never sent is sent again."""

from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    RetryState,
    ServerError,
    TerminatedError,
    TimeoutError,
    TimeoutType,
)

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.tool_call import ToolFailure
from durable_agent_team.contracts.tool_kinds import Effects
from workflows.tools.outcomes import (
    NEVER_RUN,
    ROUNDS,
    Again,
    MoneyReserved,
    NoMoney,
    Outcome,
    ParkCall,
    TellModel,
    WorkerStopped,
    decide,
    ended,
)

TIMES_OUT = list(TimeoutType)
MONEY = {ErrorType.BUDGET_EXHAUSTED, ErrorType.BUDGET_RESERVED, ErrorType.ACCOUNT_DISABLED}


def failed(cause: BaseException) -> ActivityError:
    """As a workflow gets it."""
    error = ActivityError(
        "Activity task failed",
        scheduled_event_id=1,
        started_event_id=2,
        identity="worker",
        activity_type="call_tool",
        activity_id="1",
        retry_state=RetryState.MAXIMUM_ATTEMPTS_REACHED,
    )
    error.__cause__ = cause
    return error


def timed_out(kind: TimeoutType, *heartbeat: Any) -> ActivityError:
    return failed(TimeoutError("late", type=kind, last_heartbeat_details=heartbeat))


def reported(kind: str, *details: Any) -> ActivityError:
    return failed(ApplicationError("no", *details, type=kind))


def outcome(error: BaseException, effects: Effects, rounds: int = 1) -> Outcome:
    return decide(ended(error, effects), "shop:refund", effects, rounds)


def is_unknown(found: Outcome) -> bool:
    return isinstance(found, ParkCall) and found.failure.type == ErrorType.EFFECT_UNKNOWN


def may_have_run() -> list[BaseException]:
    """All that does not say that the call was never sent."""
    sent = ToolFailure(sent=True).model_dump()
    kinds = [each for each in ErrorType if each not in NEVER_RUN]
    return [
        *(timed_out(kind, "sent") for kind in TIMES_OUT),
        *(reported(kind, sent) for kind in kinds),
        *(reported(kind) for kind in kinds),  # nothing is known of it
        *(reported(kind, wrong) for kind in kinds for wrong in ("sent", {"sent": "perhaps"}, None)),
        reported("AnErrorOfAnotherVersion", sent),
        reported("AnErrorOfAnotherVersion"),
        reported(ErrorType.EFFECT_UNKNOWN, ToolFailure(sent=False).model_dump()),
        failed(TerminatedError("gone")),
        failed(ServerError("gone")),
        failed(ValueError("gone")),
        ValueError("gone"),
    ]


def was_never_sent() -> list[BaseException]:
    unsent = ToolFailure(sent=False).model_dump()
    ours = {*NEVER_RUN, *MONEY}
    ours |= {ErrorType.EFFECT_UNKNOWN, ErrorType.TOOL_TIMEOUT, ErrorType.WORKER_LOST}
    kinds = [each for each in ErrorType if each not in ours]
    return [
        *(timed_out(kind) for kind in TIMES_OUT),
        *(reported(kind, unsent) for kind in kinds),
    ]


@pytest.mark.parametrize("rounds", range(1, ROUNDS + 2))
def test_what_happens_once_is_for_a_person_where_it_may_have_happened(rounds: int) -> None:
    for error in may_have_run():
        found = outcome(error, Effects.ONCE, rounds)
        assert is_unknown(found), (error, error.__cause__)
        assert isinstance(found, ParkCall)
        assert "may have run" in found.failure.message or "shop:refund" in found.failure.message


def test_what_was_never_sent_is_sent_again_and_then_parks_without_a_doubt() -> None:
    for error, rounds in product(was_never_sent(), range(1, ROUNDS + 2)):
        found = outcome(error, Effects.ONCE, rounds)
        if rounds < ROUNDS:
            assert found == Again(), (error, error.__cause__)
        else:
            assert isinstance(found, ParkCall)
            assert not is_unknown(found)
            assert "may have run" not in found.failure.message


@pytest.mark.parametrize("effects", Effects)
def test_a_worker_that_stops_before_it_has_sent_a_call_uses_up_no_round(effects: Effects) -> None:
    stopped = reported(ErrorType.WORKER_LOST, ToolFailure(sent=False).model_dump())
    for rounds in (1, ROUNDS, 10 * ROUNDS):
        assert outcome(stopped, effects, rounds) == WorkerStopped()


@pytest.mark.parametrize("effects", [Effects.NONE, Effects.IDEMPOTENT])
def test_what_may_be_repeated_is_never_unknown(effects: Effects) -> None:
    for error, rounds in product([*may_have_run(), *was_never_sent()], range(1, ROUNDS + 2)):
        found = outcome(error, effects, rounds)
        reported_unknown = getattr(error.__cause__, "type", "") == ErrorType.EFFECT_UNKNOWN
        assert reported_unknown or not is_unknown(found), (error, error.__cause__)
    for kind in TIMES_OUT:  # its workers were lost: once more, and in the end a person
        assert outcome(timed_out(kind, "sent"), effects, 1) == Again()
        assert isinstance(outcome(timed_out(kind), effects, ROUNDS), ParkCall)
    late = reported(ErrorType.TOOL_TIMEOUT, ToolFailure(sent=True).model_dump())
    assert isinstance(outcome(late, effects), TellModel)


@pytest.mark.parametrize("effects", Effects)
def test_a_tool_that_refused_to_run_waits_for_a_person_under_its_own_name(effects: Effects) -> None:
    for kind, details in product(NEVER_RUN, ([], [ToolFailure().model_dump()])):
        found = outcome(reported(kind, *details), effects)
        assert isinstance(found, ParkCall)
        assert found.failure.type == kind
        assert found.failure.message == "shop:refund: no"


@pytest.mark.parametrize(
    "kind", [*sorted(NEVER_RUN), ErrorType.EFFECT_UNKNOWN, ErrorType.TOOL_FAILED]
)
def test_the_name_of_a_tool_is_said_once(kind: ErrorType) -> None:
    """The error of an activity has it already."""
    text, sent = "shop:refund: it broke", kind is ErrorType.EFFECT_UNKNOWN
    error = ApplicationError(text, ToolFailure(sent=sent).model_dump(), type=kind.value)
    parked = outcome(failed(error), Effects.ONCE, ROUNDS)
    assert isinstance(parked, ParkCall)
    assert parked.failure.message == text


@pytest.mark.parametrize("effects", Effects)
def test_a_call_without_money_has_not_run(effects: Effects) -> None:
    figures = ToolFailure(required_usd=Decimal(2), remaining_usd=Decimal(1)).model_dump()
    assert outcome(reported(ErrorType.BUDGET_RESERVED, figures), effects) == MoneyReserved()
    for kind in (ErrorType.BUDGET_EXHAUSTED, ErrorType.ACCOUNT_DISABLED):
        found = outcome(reported(kind, figures), effects)
        assert isinstance(found, NoMoney)
        assert found.failure.required_usd == Decimal(2)
        assert found.failure.remaining_usd == Decimal(1)


def test_a_cancelled_attempt_has_sent_nothing_since_it_would_have_said_so() -> None:
    end = ended(failed(CancelledError("stop")), Effects.ONCE)
    assert (end.sent, end.failure.type) == (False, ErrorType.CANCELLED)


texts = st.text(max_size=4_000)
details: st.SearchStrategy[list[Any]] = st.lists(
    st.none()
    | st.booleans()
    | texts
    | st.dictionaries(
        st.sampled_from(["sent", "demand", "charged_usd", "required_usd", "x"]),
        st.none() | st.booleans() | st.integers() | texts | st.just({}),
    ),
    max_size=2,
)
errors = st.one_of(
    st.builds(
        lambda text, kind, more: failed(ApplicationError(text, *more, type=kind)),
        texts,
        st.sampled_from(list(ErrorType)) | st.text(max_size=20) | st.none(),
        details,
    ),
    st.builds(lambda kind, more: timed_out(kind, *more), st.sampled_from(TIMES_OUT), details),
)


@given(errors, st.sampled_from(Effects), st.integers(1, 5))
def test_any_error_leads_to_a_decision_and_no_doubtful_effect_is_repeated(
    error: ActivityError, effects: Effects, rounds: int
) -> None:
    found = outcome(error, effects, rounds)
    cause = error.__cause__
    if isinstance(found, ParkCall | NoMoney):
        assert 0 < len(found.failure.message) <= 2_000
    if effects is Effects.ONCE and isinstance(found, Again | TellModel):
        if isinstance(cause, ApplicationError):
            said = ToolFailure.model_validate(cause.details[0])
            assert not said.sent, "only an attempt that says so was not sent"
        else:
            assert isinstance(cause, TimeoutError)
            assert not cause.last_heartbeat_details
