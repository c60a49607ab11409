"""Every error type with its outcome and remedy: the source of `docs/failures.md`."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Outcome(StrEnum):
    OUTLASTED = "waits until it is over"
    """The same call with the same key, with growing pauses, for `retry.give_up_after_seconds`; then
    the agent's `on_failure` decides."""
    RETRIED = "retried"
    """The same call with the same key, `retry.max_attempts` times; then the agent's `on_failure`
    decides."""
    WAITS = "waits"
    """The same call is sent again when another call of the agent has settled."""
    ON_EXHAUSTED = "the agent's `on_exhausted` decides"
    """Parks (the default), falls back to a cheaper model, skips or fails the task."""
    PARKS = "parks"
    """Waits, durably, for an operator; a call only after its retries have failed."""
    REPAIRED = "repaired"
    """A new call with the reasons, `max_repairs` times; then `on_failed_check` decides."""
    ON_FAILURE = "the agent's `on_failure` decides"
    """Parks (the default) or fails the task, at once: waiting would not help."""
    FAILS_TASK = "fails the task"
    FAILS_RUN = "fails the run"


class ErrorType(StrEnum):
    RATE_LIMITED = "RateLimited"
    UPSTREAM_UNAVAILABLE = "UpstreamUnavailable"
    UPSTREAM_TIMEOUT = "UpstreamTimeout"
    GATEWAY_LIMIT = "GatewayLimit"
    WORKER_LOST = "WorkerLost"
    MALFORMED_ANSWER = "MalformedAnswer"
    BUDGET_RESERVED = "BudgetReserved"
    CHECK_FAILED = "CheckFailed"
    MODEL_REFUSED = "ModelRefused"
    BUDGET_EXHAUSTED = "BudgetExhausted"
    ACCOUNT_DISABLED = "AccountDisabled"
    PAYMENT_REQUIRED = "PaymentRequired"
    UNAUTHORIZED = "Unauthorized"
    FORBIDDEN = "Forbidden"
    UPSTREAM_REFUSED = "UpstreamRefused"
    UPSTREAM_OUT_OF_FUNDS = "UpstreamOutOfFunds"
    BAD_REQUEST = "BadRequest"
    UNPRICED_MODEL = "UnpricedModel"
    CONTEXT_EXCEEDED = "ContextExceeded"
    KEY_CONFLICT = "KeyConflict"
    SEALING_KEY_MISMATCH = "SealingKeyMismatch"
    TEXT_UNAVAILABLE = "TextUnavailable"
    PROGRAM_FAILED = "ProgramFailed"
    PROGRAM_TIMEOUT = "ProgramTimeout"
    ENVIRONMENT_FAILED = "EnvironmentFailed"
    EFFECT_UNKNOWN = "EffectUnknown"
    INPUT_REQUIRED = "InputRequired"
    UNKNOWN_BASE = "UnknownBase"
    TOOL_FAILED = "ToolFailed"
    TOOL_TIMEOUT = "ToolTimeout"
    TOOL_UNAVAILABLE = "ToolUnavailable"
    TOOL_CHANGED = "ToolChanged"
    TOOL_ASKS = "ToolAsks"
    REJECTED = "Rejected"
    BREAKER_OPEN = "BreakerOpen"
    CANCELLED = "Cancelled"
    DEPENDENCY_FAILED = "DependencyFailed"
    DEPENDENCY_SKIPPED = "DependencySkipped"
    LIMIT_REFUSED = "LimitRefused"
    PROVIDER_PROTOCOL = "ProviderProtocol"
    INVALID_INPUT = "InvalidInput"
    INVALID_PLAN = "InvalidPlan"
    RUN_FAILED = "RunFailed"
    RUN_CANCELLED = "RunCancelled"
    INTERNAL = "Internal"


@dataclass(frozen=True)
class ErrorRule:
    outcome: Outcome
    meaning: str
    remedy: str
    repeated: bool = True
    """False where the attempt may have been billed, and another one may be, too: only an operator
    makes the call again."""


SAME_ANSWERS = (
    " It gets the answers that it has paid again: if one of these is the cause, change the agent's"
    " model or its instructions instead (`adjust_agent`), so that it asks anew."
)
"""After a retry in the same run. Another run makes the calls anew."""

_RULES = {
    ErrorType.RATE_LIMITED: ErrorRule(
        Outcome.OUTLASTED,
        "HTTP 429. The next attempt is not made before its `Retry-After`.",
        "Lower `max_parallel`, or ask the provider for a higher rate.",
    ),
    ErrorType.UPSTREAM_UNAVAILABLE: ErrorRule(
        Outcome.OUTLASTED,
        "HTTP 408, 409 (not our idempotency conflict), 425, 500, 502, 503, 504, or no connection."
        " An attempt that the upstream may have billed, because its connection broke off, counts"
        " against `retry.max_attempts`.",
        "Check that the gateway and its upstream are running, or the remote agent; then"
        " `retry_task` tries at once.",
    ),
    ErrorType.UPSTREAM_TIMEOUT: ErrorRule(
        Outcome.RETRIED,
        "No answer within `timeout_seconds`. The gateway finishes the call and stores its answer,"
        " so the next attempt gets it without paying again.",
        "Raise the agent's `timeout_seconds`.",
    ),
    ErrorType.GATEWAY_LIMIT: ErrorRule(
        Outcome.PARKS,
        "HTTP 504 `upstream_timeout` or `limit_reached`, or 502 `upstream_too_long`, of our"
        " gateway: it ended the call at a limit of its own. The upstream may have billed the"
        " operator for it, and may do so again, so the call is not attempted again by itself.",
        "Raise the agent's `timeout_seconds`, which the gateway follows up to"
        " GATEWAY_MAX_CALL_SECONDS, or lower `max_tokens`; then `retry_task` makes the call again.",
        repeated=False,
    ),
    ErrorType.WORKER_LOST: ErrorRule(
        Outcome.RETRIED,
        "The worker that ran the call died, or was too busy to send a heartbeat. The call is"
        " attempted three times by the agent's policy, with longer and longer timeouts; an answer"
        " that was paid for in between is not paid for again. Then `on_failure` decides.",
        "Check the workers: they are killed, or their machine is overloaded. Start more of them, or"
        " lower MAX_CONCURRENT_CALLS; then `retry_task`.",
    ),
    ErrorType.MALFORMED_ANSWER: ErrorRule(
        Outcome.RETRIED,
        "HTTP 200 with a body that is not JSON or has no choices. If it was billed and the gateway"
        " stored it, it counts as an answer that failed its checks.",
        "Check the upstream's own log; if the error persists, the model or its server is broken.",
    ),
    ErrorType.BUDGET_RESERVED: ErrorRule(
        Outcome.WAITS,
        "HTTP 402: what is left of the budget would suffice, but calls in flight have reserved it.",
        "Nothing: the call continues when they have settled.",
    ),
    ErrorType.CHECK_FAILED: ErrorRule(
        Outcome.REPAIRED,
        "The answer broke its schema or one of the task's `checks`, or was cut off: at its limit of"
        " tokens, by the provider's filter, or by an error there.",
        "Loosen the checks or write a more precise `ask` in the team file (`run TEAM --reuse RUN`"
        " pays only for what has changed), or give the agent a larger model; where answers are cut"
        " off, a higher `max_tokens`.",
    ),
    ErrorType.MODEL_REFUSED: ErrorRule(
        Outcome.FAILS_TASK,
        "The model refused to answer; the message has its words. It is not asked again, since that"
        " would be paid for again. `on_failed_check: park` parks the task instead.",
        "Write another `ask`, or give the agent another model.",
    ),
    ErrorType.BUDGET_EXHAUSTED: ErrorRule(
        Outcome.ON_EXHAUSTED,
        "HTTP 402 `budget_exhausted`: the call's upper bound does not fit what is left, also after"
        " `max_tokens` shrank to the agent's `min_tokens`.",
        "Raise the agent's `budget_usd`, or lower its `max_tokens`.",
    ),
    ErrorType.ACCOUNT_DISABLED: ErrorRule(
        Outcome.ON_EXHAUSTED,
        "HTTP 402 `account_disabled`: the account was disabled.",
        "A new limit (`adjust_budget`) enables it again.",
    ),
    ErrorType.PAYMENT_REQUIRED: ErrorRule(
        Outcome.ON_EXHAUSTED,
        "HTTP 402 for another reason, such as a payment challenge or a fraud block; the message"
        " is the server's.",
        "Do what the server says.",
    ),
    ErrorType.UNAUTHORIZED: ErrorRule(
        Outcome.ON_EXHAUSTED, "HTTP 401: the key is unknown or revoked.", "Check ATXP_API_KEY."
    ),
    ErrorType.FORBIDDEN: ErrorRule(Outcome.ON_FAILURE, "HTTP 403.", "Do what the server says."),
    ErrorType.UPSTREAM_REFUSED: ErrorRule(
        Outcome.ON_FAILURE,
        "The gateway's upstream refused the operator's key or account: HTTP 401 or 403. Or it"
        " answered with a redirect, which is not followed, or in the format of another API. The"
        " agent's own account is not concerned, unless such an answer was charged.",
        "Correct the key of that upstream in the gateway's .env, or its URL; then `retry_task`.",
    ),
    ErrorType.UPSTREAM_OUT_OF_FUNDS: ErrorRule(
        Outcome.PARKS,
        "HTTP 503 `upstream_out_of_funds` of our gateway, or a code such as `insufficient_quota` of"
        " the endpoint: the operator has to pay the provider. Nothing was billed, and nothing is"
        " attempted again; one notification goes out for all calls of the run to that upstream.",
        "Top up the account at the provider; then `resume` or `retry_task` wakes all these calls,"
        " and so does the first one that is answered.",
    ),
    ErrorType.BAD_REQUEST: ErrorRule(
        Outcome.ON_FAILURE,
        "HTTP 400, 404, 413, 422: the request is wrong, so sending it again would not help.",
        "The message says what the server rejected.",
    ),
    ErrorType.UNPRICED_MODEL: ErrorRule(
        Outcome.ON_FAILURE,
        "HTTP 400 `unpriced_model`: a model without a price cannot be limited.",
        "Add it to the gateway's models file or price file; the message has the lines.",
    ),
    ErrorType.CONTEXT_EXCEEDED: ErrorRule(
        Outcome.FAILS_TASK,
        "The prompt does not fit the model's context (estimated before the call, or reported by"
        " the upstream), or is larger than a request may be: 1.5 MB, and 2 MB as JSON. Of an agent"
        " with tools: and no result of a tool is left that could be removed to make room.",
        "Shorten the inputs, lower `max_tokens`, or use a model with a larger context. A prompt"
        " that is made from many hand-offs: sum up in between.",
    ),
    ErrorType.KEY_CONFLICT: ErrorRule(
        Outcome.ON_FAILURE,
        "HTTP 409 `idempotency_conflict`: the same key was sent with another body, by a worker of"
        " another version, or after the backup that Temporal was restored from.",
        "Let workers of one version finish the run; `retry_task` makes it a new call, which is"
        " charged, with a key of its own.",
    ),
    ErrorType.SEALING_KEY_MISMATCH: ErrorRule(
        Outcome.PARKS,
        "This worker's SEALING_KEY is not the one that the run's keys were sealed with. The"
        " agent's retry policy applies first: another worker may have the right one; then"
        " `on_failure: fail` fails the task.",
        "Give every worker of a task queue the same SEALING_KEY; then `retry_task`.",
    ),
    ErrorType.TEXT_UNAVAILABLE: ErrorRule(
        Outcome.PARKS,
        "A document or a hand-off of the call cannot be read from the store of large texts, so"
        " nothing was sent. The agent's retry policy applies first; then `on_failure: fail` fails"
        " the task.",
        "Start the store, or give the worker the EXTERNAL_STORAGE that the run was started with;"
        " then `retry_task`.",
    ),
    ErrorType.PROGRAM_FAILED: ErrorRule(
        Outcome.RETRIED,
        "An agent's program ended with another exit code than 0, raised an exception, or gave no"
        " usable answer. The message has the end of its standard error. It is started again in the"
        " same scope, where the calls that it has paid are replayed; its tools run again.",
        "Correct the program; `task RUN TASK` shows its standard error. Then `retry_task`."
        + SAME_ANSWERS,
    ),
    ErrorType.PROGRAM_TIMEOUT: ErrorRule(
        Outcome.RETRIED,
        "An agent's program had not ended within `timeout_seconds`, and was killed. The next"
        " attempt gets the answers that were paid without paying again.",
        "Raise the agent's `timeout_seconds`.",
    ),
    ErrorType.ENVIRONMENT_FAILED: ErrorRule(
        Outcome.PARKS,
        "The environment of an agent's program could not be made from its `requirements.lock`; the"
        " message has what the installer said. Nothing was called or paid.",
        "Correct the lock file, or the package index of the worker; then `retry_task`.",
    ),
    ErrorType.EFFECT_UNKNOWN: ErrorRule(
        Outcome.PARKS,
        "A tool of an agent's program began an effect in an attempt that died, so nobody knows"
        " whether it happened; the message names the tool.",
        "Find out whether it happened; then `answer RUN TASK retry`, `skip`, or `result` with what"
        " the tool would have returned.",
    ),
    ErrorType.INPUT_REQUIRED: ErrorRule(
        Outcome.PARKS,
        "A remote agent asks a person; the message has its question.",
        "`answer RUN TASK result TEXT` gives it the reply.",
    ),
    ErrorType.UNKNOWN_BASE: ErrorRule(
        Outcome.RETRIED,
        "This worker does not have the conversation that a turn continues. Nothing was paid: the"
        " run sends the whole conversation under the same key.",
        "Nothing.",
    ),
    ErrorType.TOOL_FAILED: ErrorRule(
        Outcome.RETRIED,
        "A tool could not be called, or what it answered could not be read. A call without effects"
        " is tried again, an idempotent one with its key; then a person decides.",
        "Look at the tool's server; then `answer RUN CALL retry`, `skip`, or `result` with what it"
        " would have returned.",
    ),
    ErrorType.TOOL_TIMEOUT: ErrorRule(
        Outcome.RETRIED,
        "A tool had no result within its `timeout_seconds`. Without effects, it is tried again, and"
        " then its agent gets this as the result; one that may have had its effect waits as"
        " `EffectUnknown`.",
        "Raise the tool's `timeout_seconds`.",
    ),
    ErrorType.TOOL_UNAVAILABLE: ErrorRule(
        Outcome.PARKS,
        "The server of a tool could not be started or reached, or refused to talk. Nothing was"
        " called.",
        "The message has what it said: correct its command, its address or its variables; then"
        " `retry_task`, or `answer RUN CALL retry`.",
    ),
    ErrorType.TOOL_CHANGED: ErrorRule(
        Outcome.PARKS,
        "A server describes a tool otherwise than when the run listed it. Nothing was called.",
        "Start the version of the server that the run began with; then `answer RUN CALL retry`. Or"
        " answer the call with `skip` or `result`.",
    ),
    ErrorType.TOOL_ASKS: ErrorRule(
        Outcome.PARKS,
        "A tool wants to be paid, or wants somebody to sign in, before it runs; the message has the"
        " amount and the address. Nothing is ever paid by itself, and the tool has not run.",
        "Pay, or sign in, at that address; then `answer RUN CALL retry`.",
    ),
    ErrorType.REJECTED: ErrorRule(
        Outcome.FAILS_TASK,
        "A person rejected the task, its hand-off or a call of its model: it is skipped,"
        " and the message has the note. Or nobody approved it in time: the agent's"
        " `on_park_timeout` decides.",
        "Nothing: dependants that accept missing inputs continue.",
    ),
    ErrorType.DEPENDENCY_FAILED: ErrorRule(
        Outcome.FAILS_TASK, "A task that this one depends on failed.", "Look up that task's error."
    ),
    ErrorType.DEPENDENCY_SKIPPED: ErrorRule(
        Outcome.FAILS_TASK,
        "A task that this one depends on was skipped, and this one does not accept that.",
        "Set `missing_inputs: accept`, or look up why that task was skipped.",
    ),
    ErrorType.CANCELLED: ErrorRule(
        Outcome.FAILS_TASK,
        "An operator cancelled the task.",
        "Nothing: dependants that accept missing inputs continue.",
    ),
    ErrorType.BREAKER_OPEN: ErrorRule(
        Outcome.PARKS,
        "`breaker_failures` calls of the agent failed in a row: it is no longer called.",
        "Find out why; then `retry_task` or `adjust_budget` lets it continue.",
    ),
    ErrorType.LIMIT_REFUSED: ErrorRule(
        Outcome.FAILS_RUN,
        "The provider did not open an account with the requested limit.",
        "Use a provider that supports the limit, or another limit.",
    ),
    ErrorType.PROVIDER_PROTOCOL: ErrorRule(
        Outcome.FAILS_RUN,
        "The account API did not answer with an account.",
        "Check ATXP_API_URL; `docs/gateway.md` says what it must serve.",
    ),
    ErrorType.INVALID_INPUT: ErrorRule(
        Outcome.FAILS_RUN,
        "The start input is wrong; nothing was opened or spent.",
        "The message lists every problem with its remedy.",
    ),
    ErrorType.INVALID_PLAN: ErrorRule(
        Outcome.FAILS_RUN,
        "The orchestrator's plan was invalid, and so were its `max_repairs` repairs.",
        "Write the tasks in the team file, or give the orchestrator a larger model.",
    ),
    ErrorType.RUN_FAILED: ErrorRule(
        Outcome.FAILS_RUN,
        "Because of a failed task the run has no result; the details contain the report.",
        "Look up the failed task's error.",
    ),
    ErrorType.RUN_CANCELLED: ErrorRule(
        Outcome.FAILS_RUN,
        "The run was cancelled; the details contain the report, with everything that was done.",
        "The message has the reason that was given.",
    ),
    ErrorType.INTERNAL: ErrorRule(
        Outcome.RETRIED,
        "An activity failed with an unexpected error.",
        "The worker's log has the trace; please report it.",
    ),
}

ERRORS: Mapping[ErrorType, ErrorRule] = MappingProxyType(_RULES)
