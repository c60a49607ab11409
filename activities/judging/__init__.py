"""Judges the answers of models and the schemas of teams, without holding the worker.

`judge.Judge` is what the activity of a call uses. Small work of linear cost (`cost_estimate`) is
done at once, in the worker. Everything else (JSON Schemas with patterns, references or
alternatives, many quotes against much text) goes to a process of its own (`judge_process`, which
runs `judge_child`), which is killed at its time limit: the event loop never waits for a regular
expression (docs/adr/027).

`answer_checks` has the checks themselves, `quotes` (with `faithful_text`, `quote_matches`) and
`schemas` their parts. They are pure functions, which run in both processes, and import nothing of
Temporal, so that the child starts fast. What stands around JSON is taken off by
`rules.json_in_text`. Imports contracts, rules, `output_formats`, and jsonschema.
"""
