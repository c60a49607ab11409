"""The table of all patches of Temporal's SDK: data only, so that reading it loads no SDK module.

When the test of a patch fails after an upgrade of the SDK, delete the patch, its entry here and its
name in `process/setting_types.py`.

One workaround is not in the table, since recorded histories depend on it and it cannot be switched
off: a workflow task without another command starts or cancels a timer (temporalio/sdk-python#1591,
`workflows/state/task_marks.py`).
"""

from dataclasses import dataclass
from typing import Final

NO_ISSUE: Final = "no issue filed"


@dataclass(frozen=True)
class Patch:
    """One patch of the SDK."""

    name: str
    """As written in the setting `SDK_PATCHES`."""
    modules: tuple[str, ...]
    """The modules that implement it, without the package's name."""
    problem: str
    """What the SDK does without the patch."""
    issue: str
    """The upstream issue that would make the patch unnecessary, or `NO_ISSUE`."""
    waits_for: str
    """What the SDK or the server has to do before the patch can be deleted."""
    needed_test: str
    """`file::test`: fails when the SDK no longer needs the patch."""


COLD_QUERIES: Final = Patch(
    name="cold_queries",
    modules=("worker_sdk.cold_queries", "worker_sdk.eviction", "worker_sdk.runner_wrapper"),
    problem="A query to a worker without the run in its cache applies events that no workflow task"
    " has delivered yet; the history recorded afterwards may not replay (TMPRL1100).",
    issue=NO_ISSUE,
    waits_for="Core applies only events of completed workflow tasks when a query brings the history"
    " (related: temporalio/sdk-python#1591, where replay merges two workflow tasks).",
    needed_test="tests/worker_sdk/test_cold_queries.py::test_the_guard_is_still_needed",
)
DEADLOCK_TIMEOUT: Final = Patch(
    name="deadlock_timeout",
    modules=("worker_sdk.deadlock_timeout",),
    problem="On a busy machine, the workflow code of a run of thousands of tasks takes more than"
    " two seconds of wall time: the worker takes it for a deadlock (TMPRL1101), at each attempt.",
    issue="https://github.com/temporalio/sdk-python/issues/1050",
    waits_for="The worker has an option for this time, as Go's `DeadlockDetectionTimeout`.",
    needed_test="tests/worker_sdk/test_deadlock_timeout.py"
    "::test_the_sdk_fails_what_takes_longer_than_two_seconds",
)
IDLE_EVICTION: Final = Patch(
    name="idle_eviction",
    modules=("worker_sdk.idle_eviction", "worker_sdk.eviction", "worker_sdk.runner_wrapper"),
    problem="A run that waits for days for a person or a timer stays in the worker's cache until"
    " the cache is full.",
    issue="https://github.com/temporalio/features/issues/573",
    waits_for="Workers can evict idle runs after a given time.",
    needed_test="tests/worker_sdk/test_patches_needed.py::test_an_idle_run_stays_cached",
)
PAYLOAD_VISITS: Final = Patch(
    name="payload_visits",
    modules=("worker_sdk.payload_visits",),
    problem="The worker visits every payload of an activation and of its completion three times,"
    " with a coroutine for each part of the message, even if no codec and no external storage"
    " changes any: 3 to 8 % of its CPU time.",
    issue=NO_ISSUE,
    waits_for="The SDK leaves out the visits that change nothing: those for a codec without one,"
    " and those for external storage of messages without a payload for it.",
    needed_test="tests/worker_sdk/test_payload_visits.py::test_the_sdk_visits_what_nothing_changes",
)
RESULT_THROTTLE: Final = Patch(
    name="result_throttle",
    modules=("worker_sdk.result_throttle",),
    problem="Results of activities that complete together reach the server before the workflow task"
    " completion, which the server then rejects because of too many buffered events.",
    issue=NO_ISSUE,
    waits_for="The SDK can limit the activity completions in flight, or the server accepts the"
    " workflow task completion.",
    needed_test="tests/worker_sdk/test_patches_needed.py::test_all_results_are_sent_at_once",
)
SERIALIZATION_CONTEXT: Final = Patch(
    name="serialization_context",
    modules=("worker_sdk.serialization_context", "worker_sdk.runner_wrapper"),
    problem="The worker enters the sandbox for the serialization context of every payload, even if"
    " no converter or codec uses one: a fifth of its CPU time under load.",
    issue=NO_ISSUE,
    waits_for="The SDK computes the context only for a data converter that uses it (it was added by"
    " temporalio/sdk-python#1102).",
    needed_test="tests/worker_sdk/test_patches_needed.py"
    "::test_the_sandbox_is_entered_for_serialization_contexts",
)
SHARED_SANDBOX: Final = Patch(
    name="shared_sandbox",
    modules=("worker_sdk.shared_sandbox",),
    problem="The sandbox imports the workflow's modules again for each run: 7 ms of CPU time and"
    " 0.1 MB.",
    issue=NO_ISSUE,
    waits_for="The SDK has an option to share one sandbox among runs, as the TypeScript SDK's"
    " `reuseV8Context`.",
    needed_test="tests/worker_sdk/test_patches_needed.py::test_each_run_has_a_sandbox_of_its_own",
)
SETTLE_AT_EXIT: Final = Patch(
    name="settle_at_exit",
    modules=("process.interpreter_exit",),
    problem="A process that used a client may abort while Python shuts down: a wrong exit code.",
    issue="https://github.com/temporalio/sdk-python/issues/300",
    waits_for="The SDK's threads do not call into Python after shutdown has begun. The crash is a"
    " race (11 of 480 processes), so the test only shows that the patch works.",
    needed_test="tests/process/test_interpreter_exit.py"
    "::test_a_program_that_connected_is_not_torn_down_under_a_thread_of_the_sdk",
)
WAITING_QUERIES: Final = Patch(
    name="waiting_queries",
    modules=("worker_sdk.waiting_queries", "worker_sdk.runner_wrapper"),
    problem="A query that comes with a workflow task ends it while local activities are in flight."
    " Where one of them ends at that moment, its marker is recorded in a workflow task before the"
    " one that delivers its result; the history may not replay (TMPRL1100).",
    issue=NO_ISSUE,
    waits_for="Core holds the resolution of a local activity back while a query is being answered,"
    " as it does during every other activation.",
    needed_test="tests/worker_sdk/test_waiting_queries.py::test_queries_still_have_to_wait",
)

PATCHES: Final = (
    COLD_QUERIES,
    DEADLOCK_TIMEOUT,
    IDLE_EVICTION,
    PAYLOAD_VISITS,
    RESULT_THROTTLE,
    SERIALIZATION_CONTEXT,
    SHARED_SANDBOX,
    SETTLE_AT_EXIT,
    WAITING_QUERIES,
)
