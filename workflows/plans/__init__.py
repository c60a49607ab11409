"""The steps around the tasks: planning, review, the final answer, and tasks added on the way.

`planning_step.py` has the orchestrator agent decompose the goal, `review_step.py` lets it revise
the plan, and `answer_step.py` writes the answer. `additions.py` checks a task that a person adds to
a run. How a plan is described, parsed and validated is a rule: `durable_agent_team.rules`.

Imports all other packages of `workflows`; only the modules next to the packages import this one.
"""
