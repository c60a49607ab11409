"""The price file: TOML, exact amounts in USD per million tokens."""

import errno
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from durable_agent_team.gateway.models.price import Price

DEFAULT_PRICE_FILE = Path(__file__).with_name("prices.toml")
MAX_FILE = 4_000_000
MAX_LINE = 1_000
"""Characters of one problem in an error."""
EXAMPLE = f"{DEFAULT_PRICE_FILE} is one to copy."


class PriceError(ValueError):
    """The price file cannot be used; the message says where and why."""


def read_bounded(path: Path) -> str:
    """The text of a file; not all of a device, which has no end, and nothing of a pipe, which may
    have no beginning. Raises OSError, ValueError."""
    if path.is_fifo():
        raise OSError(errno.EINVAL, "it is a pipe, and only a file is read")
    with path.open("rb") as file:
        content = file.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise OSError(errno.EFBIG, f"it has more than {MAX_FILE:,} bytes")
    return content.decode()


class Prices:
    """All priced models, and the path of their file."""

    def __init__(self, path: Path, models: dict[str, Price]) -> None:
        self.path = path
        self.models = models

    @classmethod
    def load(cls, path: Path) -> "Prices":
        try:
            data = tomllib.loads(read_bounded(path), parse_float=Decimal)
        except OSError as error:
            raise PriceError(
                f"The price file {path} cannot be read: {error.strerror}. Set GATEWAY_PRICES to one"
                f" like {DEFAULT_PRICE_FILE}."
            ) from error
        except UnicodeDecodeError as error:
            raise PriceError(
                f"The price file {path} is not UTF-8 text (byte {error.start}). Save it as UTF-8."
            ) from error
        except (ValueError, RecursionError) as error:
            raise PriceError(f"The price file {path} is not TOML: {error}. {EXAMPLE}") from error
        models = data.get("models")
        if not isinstance(models, dict) or not models or set(data) - {"models"}:
            raise PriceError(
                f'The price file {path} must contain tables [models."NAME"], and nothing else. '
                + EXAMPLE
            )
        return cls(path, _parse(path, models))

    def lines_to_add(self, model: str) -> str:
        """The lines to add to the file so that `model` can be called. Its prices are not numbers,
        so that no one pastes a price that is wrong."""
        name = model.replace("\\", "\\\\").replace('"', '\\"')
        return (
            f'[models."{name}"]\n'
            'input_usd_per_million = "?"   # your provider\'s price\n'
            'output_usd_per_million = "?"  # your provider\'s price\n'
        )


def _parse(path: Path, models: dict[str, Any]) -> dict[str, Price]:
    found: dict[str, Price] = {}
    problems: list[str] = []
    for name, entry in models.items():
        try:
            found[name] = Price.model_validate(
                {"source": path.name, **entry} if isinstance(entry, dict) else entry
            )
        except ValidationError as error:
            problems += [f'[models."{name}"] {_problem_text(each)}' for each in error.errors()]
    if problems:
        lines = "\n  ".join(each[:MAX_LINE] for each in problems)
        raise PriceError(f"The price file {path} is wrong:\n  {lines}")
    return found


def _problem_text(problem: Any) -> str:
    """One of pydantic's problems: the key, its value, and what to write instead."""
    key, kind = ".".join(str(part) for part in problem["loc"]), problem["type"]
    if kind == "missing":
        return f"{key}: is missing (add it, in USD per million tokens)"
    if kind == "extra_forbidden":
        return f"{key}: this key is not known (known: {', '.join(Price.model_fields)})"
    if not key:
        return f"= {problem['input']}: must contain keys, such as input_usd_per_million"
    return f"{key} = {problem['input']}: {problem['msg']}"
