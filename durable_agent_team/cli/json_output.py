"""What commands print with `--json` where no contract has it."""

from durable_agent_team.contracts.base import Message, Usd


class Started(Message):
    """The output of `start --json`."""

    workflow_id: str


class Continued(Started):
    """The output of `rerun --detach --json`, and of `start --reuse RUN --json`. USD."""

    reused_from: str
    tasks_taken_over: tuple[str, ...]
    tasks_to_run: tuple[str, ...]
    reused_usd: Usd


class Written(Message):
    """The output of `report --json`."""

    workflow_id: str
    file: str


class Drafted(Message):
    """The output of `init --json`."""

    team: str
    file: str


class GalleryEntry(Message):
    """What `init --from --json` prints for each team."""

    name: str
    summary: str


class Finding(Message):
    """One line of `validate --json`: the place, what is wrong with it, and the remedy."""

    level: str
    """`error` or `warning`."""
    file: str
    line: int | None
    field: str
    value: str
    what: str
    remedy: str
