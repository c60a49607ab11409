"""The key `run` of an agent: the kinds of programs that an agent can be."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from durable_agent_team.contracts.base import Message

MAX_PATH = 1_000
MAX_VARIABLES = 50

VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,99}$"
"""A name of an environment variable."""

VariableName = Annotated[str, Field(pattern=VARIABLE)]
VariableReference = Annotated[str, Field(pattern=r"^\$[A-Za-z_][A-Za-z0-9_]{0,99}$")]
"""A variable of the worker's environment, as `$NAME`."""

Variables = (
    Annotated[tuple[VariableName, ...], Field(max_length=MAX_VARIABLES)]
    | Annotated[dict[VariableName, VariableReference], Field(max_length=MAX_VARIABLES)]
)
"""What a program gets of the worker's environment: names, or its own names for them."""

FUNCTION = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"
"""`module:function`; the module may have dots, the function may be an attribute of a class."""

RESERVED_HEADERS = frozenset(
    {
        *("accept", "accept-encoding", "a2a-version", "connection", "content-length"),
        *("content-type", "cookie", "expect", "host", "te", "trailer", "transfer-encoding"),
        *("upgrade", "user-agent"),
    }
)
"""What the client itself sends; `Agent-...` is sent with `send_key`."""


def _free_header(name: str) -> str:
    if name.lower() in RESERVED_HEADERS or name.lower().startswith("agent-"):
        raise PydanticCustomError(
            "reserved_header", "the client itself sends this header: choose another one"
        )
    return name


class _Run(Message):
    """What every program on the worker's machine has."""

    env: Variables = ()

    @property
    def variables(self) -> dict[str, str]:
        """The name in the program's environment -> the name in the worker's."""
        if isinstance(self.env, dict):
            return {name: reference.removeprefix("$") for name, reference in self.env.items()}
        return {name: name for name in self.env}


class PythonRun(_Run):
    """A Python function, in a child process of an environment of its own.

    A team file names paths relative to itself; in a run they are absolute.
    """

    python: str = Field(pattern=FUNCTION, max_length=300)
    """`module:function`."""
    environment: str | None = Field(None, min_length=1, max_length=MAX_PATH)
    """A directory with `requirements.lock`; without it, the worker's own Python."""
    directory: str | None = Field(None, min_length=1, max_length=MAX_PATH)
    """Where the module is imported from; by default, the directory of the team file."""


class CommandRun(_Run):
    """Any program: the task on its standard input, the answer on its standard output."""

    command: tuple[Annotated[str, Field(min_length=1, max_length=4_000)], ...] = Field(
        min_length=1, max_length=100
    )
    """The program and its arguments; no shell reads them."""
    directory: str | None = Field(None, min_length=1, max_length=MAX_PATH)
    """Where relative paths of the command begin; by default, the directory of the team file."""


HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,100}$"), AfterValidator(_free_header)]
HeaderReference = Annotated[
    str, Field(pattern=r"^([A-Za-z0-9-]{1,40} )?\$[A-Za-z_][A-Za-z0-9_]{0,99}$")
]
"""A variable of the worker's environment, as `$NAME`, or `Bearer $NAME` with any such word."""


class RemoteRun(Message):
    """An agent elsewhere, which speaks A2A."""

    a2a: str = Field(max_length=2_000, pattern=r"^https?://[^\s/?#@]+([/?#]\S*)?$")
    """The address of the agent, or of its agent card."""
    headers: dict[HeaderName, HeaderReference] = Field({}, max_length=20)
    """Sent with every request, for the agent's own authentication: a header's name -> `$NAME` of a
    variable in the worker's environment."""
    send_key: bool = False
    """The agent gets the address and key of its account here, as headers, and calls models through
    our gateway. Only for a server that is trusted with the whole limit."""


KINDS = ("python", "command", "a2a")


def only_kind(value: Any, kinds: tuple[str, ...]) -> str | None:
    """The one of these keys that the value has; each of them names the kind that alone has it."""
    if isinstance(value, BaseModel):
        return next((kind for kind in kinds if kind in type(value).model_fields), None)
    named = [kind for kind in kinds if isinstance(value, dict) and kind in value]
    return named[0] if len(named) == 1 else None


def _kind(value: Any) -> str | None:
    return only_kind(value, KINDS)


Run = Annotated[
    Annotated[PythonRun, Tag("python")]
    | Annotated[CommandRun, Tag("command")]
    | Annotated[RemoteRun, Tag("a2a")],
    Discriminator(
        _kind,
        custom_error_type="no_kind_of_program",
        custom_error_message="give exactly one of python, command and a2a",
    ),
]
"""Where the program is that an agent is."""
