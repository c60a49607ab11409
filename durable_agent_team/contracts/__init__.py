"""The messages that the parts of this project exchange, and the names that they agree on.

Each message is a frozen pydantic model with bounded fields: start input, queries, signals and
updates of a run (`run`, `spend`, `control`, `changes`), inputs and results of activities (`call`,
`accounts`, `ledger`, `model_catalog`, `notification`, `activity_interfaces`), and the team file
(`team`). `error_types` lists every error with its outcome. Field names and names in `names` are
public: changing one breaks running workflows and clients.

Logic beyond parsing and validating one message belongs in `rules`. This package imports nothing
else of the project. Start with `team.Team` and `run.RunRequest`.
"""
