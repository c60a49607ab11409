"""The models file: TOML with `[upstreams.NAME]` and `[models."NAME"]`. All problems at once.

Models and upstreams are data (docs/adr/037).
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from durable_agent_team.gateway.models.dialect import Dialect
from durable_agent_team.gateway.models.model import Kind, Planning
from durable_agent_team.gateway.models.presets import presets
from durable_agent_team.gateway.models.price import Price
from durable_agent_team.gateway.models.price_file import MAX_LINE, PriceError, read_bounded
from durable_agent_team.gateway.models.upstream_entry import UpstreamEntry
from durable_agent_team.providers.url_secrets import without_url_secrets

SECTIONS = ("upstreams", "models")
MAY_HOLD_KEYS = frozenset({"key_env", "headers", "query"})
"""Where someone may have written the key itself, which no error repeats."""
PRICE_KEYS = frozenset(Price.model_fields) - {"source"}


class ModelEntry(BaseModel):
    """`[models."NAME"]`, without its price keys, which are in `price`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    upstream: str | None = None
    upstream_model: str | None = Field(None, min_length=1, max_length=200)
    catalogue: str | None = Field(None, min_length=1, max_length=200)
    """The catalogue's name for it, where the upstream's own says nothing, as on Azure."""
    max_output_tokens: int | None = Field(None, ge=1)
    planning: Planning | None = None
    speaks: Literal["chat", "responses"] | None = None
    """Where its upstream takes both, by which of them it is called; None for what the upstream
    says."""
    kind: Kind | None = None
    dialect: dict[str, Any] = {}
    price: dict[str, Any] = {}


@dataclass(frozen=True)
class ModelsFile:
    """What was written. `upstreams` are merged with their presets."""

    path: Path
    upstreams: Mapping[str, UpstreamEntry] = field(default_factory=dict)
    models: Mapping[str, ModelEntry] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "ModelsFile":
        """Raises PriceError with every problem."""
        data = _read(path)
        problems = [
            f"[{name}]: this table is not known (known: {', '.join(SECTIONS)})"
            for name in data
            if name not in SECTIONS
        ]
        tables: dict[str, Mapping[str, Any]] = {}
        for name in SECTIONS:
            table = data.get(name, {})
            if not isinstance(table, dict):
                problems.append(f'{name}: must be tables, such as [{name}."NAME"]')
                table = {}
            tables[name] = table
        upstreams: dict[str, UpstreamEntry] = {}
        for name, given in tables["upstreams"].items():
            try:
                upstreams[name] = _upstream(name, given)
            except (ValidationError, ValueError) as error:
                problems += _problems(f"[upstreams.{name}]", error, UpstreamEntry)
        models: dict[str, ModelEntry] = {}
        for name, given in tables["models"].items():
            try:
                models[name] = _model(name, given)
            except (ValidationError, ValueError) as error:
                problems += _problems(f'[models."{name}"]', error, ModelEntry)
        known = {*tables["upstreams"], *presets(), "local", "default"}
        for name, entry in models.items():
            if entry.upstream is not None and entry.upstream not in known:
                problems.append(
                    f'[models."{name}"] upstream = {entry.upstream!r}: there is no such upstream'
                    f" (known: {', '.join(sorted(known))}; or add [upstreams.{entry.upstream}])"
                )
        if problems:
            lines = "\n  ".join(each[:MAX_LINE] for each in problems)
            raise PriceError(f"The models file {path} is wrong:\n  {lines}")
        return cls(path, upstreams, models)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_bounded(path), parse_float=Decimal)
    except OSError as error:
        raise PriceError(
            f"The models file {path} cannot be read: {error.strerror}. Set GATEWAY_MODELS to a file"
            " as described in docs/models.md, or leave it unset."
        ) from error
    except UnicodeDecodeError as error:
        raise PriceError(
            f"The models file {path} is not UTF-8 text (byte {error.start}). Save it as UTF-8."
        ) from error
    except (ValueError, RecursionError) as error:  # a number or a nesting that Python cannot read
        raise PriceError(f"The models file {path} is not TOML: {error}.") from error


def _upstream(name: str, given: Any) -> UpstreamEntry:
    if not isinstance(given, dict):
        raise ValueError("must be a table of keys, such as url")
    wanted = given.get("preset", name)
    base = presets().get(wanted) if isinstance(wanted, str) else None
    if base is None and "preset" in given:
        raise ValueError(f"preset = {wanted!r}: there is none (known: {', '.join(presets())})")
    kept = base.model_dump(exclude_unset=True) if base is not None else {}
    if "url" in given:
        kept.pop("url_env", None)
        kept.pop("url_path", None)
    merged = UpstreamEntry.model_validate({**kept, **given})
    if merged.url is None and merged.url_env is None:
        raise ValueError("url: is missing (add the base URL, such as https://api.openai.com/v1)")
    return merged


def _model(name: str, given: Any) -> ModelEntry:
    if not name or len(name) > 200:
        raise ValueError("the name must have 1 to 200 characters")
    if not isinstance(given, dict):
        raise ValueError("must be a table of keys, such as upstream")
    price = {key: value for key, value in given.items() if key in PRICE_KEYS}
    own = {key: value for key, value in given.items() if key not in PRICE_KEYS}
    entry = ModelEntry.model_validate({**own, "price": price} if price else own)
    Dialect.model_validate(entry.dialect)
    _check_price(price)
    return entry


def _check_price(price: Mapping[str, Any]) -> None:
    """What is given must be right; what is missing may be in the catalogue."""
    try:
        Price.model_validate(price)
    except ValidationError as error:
        wrong = [each for each in error.errors() if each["type"] != "missing"]
        if wrong:
            raise ValueError("; ".join(price_problem(each) for each in wrong)) from None


def price_problem(problem: Any) -> str:
    """One of pydantic's problems with a price: the key, its value, and what is wrong with it."""
    key, value = ".".join(str(part) for part in problem["loc"]), problem["input"]
    if problem["type"] == "missing":
        return f"{key}: is missing (add your provider's price, in USD per million tokens)"
    if "usd" in key and isinstance(value, str):
        return f"{key} = {value!r}: write your provider's price, a number without quotation marks"
    return f"{key} = {value}: {problem['msg']}"


def _problems(place: str, error: Exception, kind: type[BaseModel]) -> Iterator[str]:
    if not isinstance(error, ValidationError):
        yield f"{place} {error}"
        return
    for each in error.errors():
        key = ".".join(str(part) for part in each["loc"])
        if each["type"] == "extra_forbidden":
            names = set(kind.model_fields) - {"price"}
            if kind is ModelEntry:
                names |= PRICE_KEYS
            if error.title == "Dialect":
                key, names = f"dialect.{key}", set(Dialect.model_fields)
            yield f"{place} {key}: this key is not known (known: {', '.join(sorted(names))})"
        else:
            message = each["msg"].removeprefix("Value error, ")
            value = without_url_secrets(repr(each["input"]))
            shown = "" if key.partition(".")[0] in MAY_HOLD_KEYS else f" = {value}"
            yield f"{place} {key}{shown}: {message}"
