"""The tasks of a plan, and the paid calls that they take.

Start at `runner.py`, which starts a task when its last dependency is done. A task makes an
`Assignment` (`assignments.py`), and `checked_answers.py` gets a checked answer for it. Each of the
calls that this takes goes down these steps:

- `open_requests.py` makes the request, from `call_requests.py`
- `paid_call.py` has it attempted until it is answered: `call_decisions.py` says what to do about a
  call that failed, `troubled_calls.py` and `outages.py` when it is attempted again
- `call_attempts.py` makes the attempts, once `gate.py` says that the call may start (with
  `semaphore.py` for `max_parallel`)

`task_approvals.py` waits for a person where the task, its hand-off or an expensive call needs one.

Two kinds of agents have more: `turns.py` has the conversations of those with tools, whose calls
`workflows.tools` makes, and `program_calls.py` runs those that are programs.

Imports `workflows.people`, `money` and `state`. What the orchestrator agent does around the tasks
belongs in `workflows.plans`.
"""
