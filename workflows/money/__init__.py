"""The accounts of a run: opened, limited, read back and closed, through activities.

`run_accounts.py` opens, reads back and closes the accounts, `limits.py` changes their limits. The
sums are in `workflows.state.agent_account`, the price of a call in
`durable_agent_team.rules`, and the limit itself is enforced by the account provider.

Imports `workflows.state` and the modules next to the packages.
"""
