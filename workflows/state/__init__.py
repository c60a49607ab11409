"""What a run knows, and how it is shown.

`progress.py` is the state of a run. Of its parts, `agent_account.py` has an agent's money, and
`plan_progress.py` the tasks, with `task_schedule.py` for their graph. `reports.py` makes the
answers of the queries and the report from it, and `ui_details.py` Markdown for the Temporal UI.
`publisher.py` writes to Temporal what has changed, `task_marks.py` gives each workflow task a
command, and `open_tasks.py` keeps the counts for the worker's metrics.

Nothing here decides what a run does next, or starts an activity. Imports contracts, rules and
`activity_executor`; all but the publisher and the marks is free of Temporal.
"""
