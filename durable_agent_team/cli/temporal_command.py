"""The Temporal CLI's command that starts a run as `start` does."""

import json
from pathlib import Path

from durable_agent_team.contracts import names
from durable_agent_team.contracts.run import RunRequest, RunStatus
from durable_agent_team.process.settings import SettingsError, StackNotUp, client_settings
from durable_agent_team.rules.safe_text import shell_word


def temporal_start(request: RunRequest, run: str, start_input: str, file: Path | None) -> str:
    """To be pasted into a shell. The input is in the file, or else in the command. Of the settings
    it has address and namespace; TLS and keys, which `temporal` reads from its environment, not."""
    options = {
        **_place(),
        "--type": names.WORKFLOW,
        "--task-queue": names.TASK_QUEUE,
        "--workflow-id": run,
        "--id-reuse-policy": "RejectDuplicate",
        "--id-conflict-policy": "Fail",
    }
    words = ["temporal", "workflow", "start"]
    for option, value in options.items():
        words += [option, shell_word(value)]
    for attribute, value in (
        (names.ATTRIBUTE_TEAM, request.team.name),
        (names.ATTRIBUTE_STATUS, RunStatus.STARTING.value),
    ):
        words += ["--search-attribute", shell_word(f"{attribute}={json.dumps(value)}")]
    words += ["--memo", f"{names.FORMAT_MEMO}={names.HISTORY_FORMAT}"]
    if file is not None:
        words += ["--input-file", shell_word(str(file))]
    else:
        words += ["--input", shell_word(start_input)]
    return " ".join(words)


def _place() -> dict[str, str]:
    """Nothing while the local stack is down: `temporal` then uses its own defaults."""
    try:
        settings = client_settings()
    except (SettingsError, StackNotUp):
        return {}
    return {
        "--address": settings.temporal_address,
        "--namespace": settings.temporal_namespace,
    }
