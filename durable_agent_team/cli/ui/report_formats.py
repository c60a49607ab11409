"""The formats of the file that `report` writes."""

from collections.abc import Callable

from durable_agent_team.cli.ui.report_facts import RunFile
from durable_agent_team.cli.ui.report_html import html_page
from durable_agent_team.cli.ui.report_markdown import markdown_page

FORMATS: dict[str, Callable[[RunFile], str]] = {
    ".md": markdown_page,
    ".html": html_page,
    ".json": lambda found: found.model_dump_json(indent=2) + "\n",
}
"""How a report is written, by the ending of the file's name."""
