"""How often a failed call is attempted, and the pauses in between, by an agent's `retry` settings.

The first attempts follow each other within one activity. Later ones are separate activities, and
the workflow waits in between without a slot (docs/adr/034).
"""

from durable_agent_team.contracts.team import Retry

QUICK_SECONDS = 10.0
"""The pauses between the attempts of the first activity come to this at most."""
FIRST_OUTAGE_PAUSE = 5.0
LONGEST_OUTAGE_PAUSE = 300.0
JITTER = 0.25
"""A pause is longer than its rule says by up to this share, so that calls spread."""
MAX_PLANNED = 1_000


def quick_attempts(retry: Retry) -> int:
    """How many attempts are made at once, in the first activity: at least one."""
    attempts, passed = 1, policy_pause(retry, 1)
    while attempts < retry.max_attempts and passed <= QUICK_SECONDS:
        attempts += 1
        passed += policy_pause(retry, attempts)
    return attempts


def policy_pause(retry: Retry, attempts: int) -> float:
    """Seconds after this many failed attempts, by the settings only."""
    longest = max(retry.max_seconds, retry.initial_seconds)
    grown = retry.initial_seconds
    for _ in range(attempts - 1):
        grown *= retry.backoff
        if grown >= longest or retry.backoff == 1:
            break
    return min(grown, longest)


def outage_pause(retry: Retry, attempts: int) -> float:
    """Seconds after this many failed attempts in an outage: as `policy_pause` for the first
    `max_attempts`; then it grows to five minutes, or `max_seconds` if that is longer."""
    by_policy = policy_pause(retry, attempts)
    more = attempts - retry.max_attempts
    if more < 0:
        return by_policy
    grown = FIRST_OUTAGE_PAUSE * 2.0 ** min(more, 20)
    return max(by_policy, min(grown, LONGEST_OUTAGE_PAUSE))


def planned_attempts(retry: Retry) -> int:
    """About how many attempts an outage takes before `give_up_after_seconds` have passed."""
    attempts, passed = 1, 0.0
    while attempts < MAX_PLANNED and (
        attempts < retry.max_attempts or passed < retry.give_up_after_seconds
    ):
        passed += outage_pause(retry, attempts)
        attempts += 1
    return attempts
