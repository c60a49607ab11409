"""A request's fingerprint stays what it was, whatever is added to requests and checks."""

from durable_agent_team.contracts.team import Checks
from durable_agent_team.rules.fingerprints import call_fingerprint
from tests.activities.support import call

EARLIER = "8ed7825477aa7dae5ab64c5ded6d224924e18f69a58ff3ae44728f94d1de8292"
"""Made by the version before `checks.complete`, for this request."""


def test_a_check_that_is_new_leaves_earlier_fingerprints_as_they_were() -> None:
    asked = call(checks=Checks(min_length=5))
    assert call_fingerprint(asked) == EARLIER
    assert call_fingerprint(call(checks=Checks(min_length=5, complete=False))) != EARLIER


def test_a_repair_with_more_room_counts_as_the_request_that_it_repairs() -> None:
    asked = call(max_tokens=100)
    more = asked.model_copy(update={"max_tokens": 400, "raised_from": 100})
    assert call_fingerprint(more) == call_fingerprint(asked)
    assert call_fingerprint(call(max_tokens=400)) != call_fingerprint(asked)
