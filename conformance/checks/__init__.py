"""The checks, in the order in which they run."""

from conformance.checks.charges import ABSURD, CHARGES
from conformance.checks.check import Check
from conformance.checks.departures import DEPARTURES
from conformance.checks.kills import KILLS
from conformance.checks.limits import LIMITS
from conformance.checks.refusals import REFUSALS
from conformance.checks.retries import RETRIES

CHECKS: tuple[Check, ...] = (
    *CHARGES,
    *LIMITS,
    *REFUSALS,
    *RETRIES,
    *DEPARTURES,
    *KILLS,
    ABSURD,  # last: after it a gateway may refuse the model, and is right to do so
)
