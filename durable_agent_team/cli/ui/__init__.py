"""What runs, plans and money look like: on a terminal, in a pipe, and in a report.

- Text: `run_tables.py` (state, report, list), `spend_table.py`, `charge_table.py` (the lines that
  `charge_lines.py` makes), `estimate_table.py`, `task_calls.py` (`task`), `plain_lines.py` (a run
  that is followed without a terminal).
- Pictures: `graph_drawing.py` (text, Mermaid), `graph_layout.py` and `graph_picture.py` (SVG),
  `call_timeline.py` (SVG).
- The report: `report_facts.py` and `report_tasks.py` (what it contains), `report_markdown.py`,
  `report_html.py`, `report_style.py`, and `remedies.py`, what to do about a failure.
- Following a run: `watch_run.py` yields its states as they change, `follow_run.py` prints them,
  `live_view.py` and `live_tables.py` draw them.

It imports the client, contracts, rules and `cli/output.py`, and neither commands nor the demo. A
module that begins with "Pure" does no I/O.
"""
