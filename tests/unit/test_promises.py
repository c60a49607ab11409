"""Promises that a provider does not keep are named; those that it keeps are not."""

import pytest

from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.rules.guarantees import PROMISES, broken_promises


def test_every_promise_has_its_words() -> None:
    needed_by_prices_of_tools_alone = {"charges"}  # `validate` tells of it, where a tool has one
    assert set(PROMISES) == set(Capabilities.model_fields) - needed_by_prices_of_tools_alone
    nothing = Capabilities(**dict.fromkeys(PROMISES, False))
    assert broken_promises(nothing) == PROMISES
    assert broken_promises(Capabilities(**dict.fromkeys(PROMISES, True))) == {}


@pytest.mark.parametrize("name", PROMISES)
def test_one_that_is_not_kept_is_told_alone(name: str) -> None:
    kept = dict.fromkeys(PROMISES, True) | {name: False}
    assert list(broken_promises(Capabilities(**kept))) == [name]
