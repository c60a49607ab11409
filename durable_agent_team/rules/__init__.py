"""Pure rules that the command line and the workflow share.

Every function here computes its result only from its arguments: no I/O, no clock, no settings, no
Temporal. That is why `validate` and `estimate` can show, before a run, exactly what the workflow
does later; and why the rules can run inside the workflow's sandbox. Module-level values must not
be mutable, because all runs of a worker share some of these modules.

- `validation`, `catalog`, `graph`: what can be wrong with a team, its tasks and its models
- `bounds`, `budgets`, `shares`, `estimate`: what calls can cost at most, and each agent's limit
- `encoded_size`, `size_limits`: the bytes of what goes to Temporal, and what is too large for it
- `prompts`, `planning`, `review`: what the agents are sent, and how plans and reviews are parsed
- `guarantees`, `pydantic_messages`: texts that explain a provider or a wrong value
- `safe_text`: texts made safe for a terminal, a log, Markdown, HTML and a shell
- `tools`: the same for agents with tools: what is offered, approved, repeated and tainted

May import `contracts` and nothing else of the project. What needs a network, a file or Temporal
belongs in `client`, `team_files`, `workflows` or `activities`. Start with
`validation.team_problems`.
"""
