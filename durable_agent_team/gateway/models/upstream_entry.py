"""One upstream: where it is, which variable holds its key, and how it is called."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from durable_agent_team.gateway.models.model import Speaks

Auth = Literal["bearer", "api-key", "x-api-key", "none"]
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"


def check_url(text: str) -> str:
    """A base URL without its last slash. Raises ValueError."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is not a number, half an IPv6 address
        good = None
    if not good or any(each.isspace() or not each.isprintable() for each in text):
        raise ValueError("must be a base URL such as https://api.openai.com/v1")
    if parts.query or parts.fragment:
        raise ValueError('must not contain a query: write it as `query = { NAME = "VALUE" }`')
    return text.rstrip("/")


Url = Annotated[str, AfterValidator(check_url)]
Variable = Annotated[str, Field(pattern=VARIABLE, max_length=100)]


class UpstreamEntry(BaseModel):
    """`[upstreams.NAME]` of a models file, or a preset. A key never stands in it: `key_env` is the
    name of the environment variable that holds it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str | None = None
    url: Url | None = None
    """`{model}` in it is replaced by the upstream's name for the model."""
    url_env: Variable | None = None
    """The variable that holds the URL, where each user has another one."""
    url_path: str = ""
    """What is added to that URL."""
    key_env: Variable | None = None
    key_required: bool = True
    check_path: str = "/models"
    """Where to ask whether the key is right, without a call that costs."""
    auth: Auth = "bearer"
    query: dict[str, str] = Field({}, max_length=20)
    headers: dict[str, str] = Field({}, max_length=20)
    timeout_seconds: float | None = Field(None, gt=0, le=3600)
    speaks: Speaks = "chat"
    trust_cost: bool = False
    catalogue: str | None = None
    """The provider's id in the catalogue of prices; None where it is not there."""
    free: bool = False
    """Whether every model of it costs nothing, since it runs on the operator's own machine."""
    names: tuple[str, ...] = ()
    """Patterns of its models' names, by which a missing key is recognised."""

    @property
    def key_header(self) -> Auth:
        """`auth`, but `x-api-key` where nothing is said and the upstream speaks Messages."""
        if self.speaks == "messages" and "auth" not in self.model_fields_set:
            return "x-api-key"
        return self.auth
