"""The price file: TOML, USD per million tokens, exact."""

import hashlib
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

SCALE = 10**9
"""USD per million tokens is micro-USD per token; nine places of it are kept."""

EXAMPLE = f"{Path(__file__).with_name('prices.toml')} is one to copy."
SHIPPED = Path(__file__).with_name("prices.toml")


class PriceError(ValueError):
    """The price file cannot be used; the message says where and why."""


class Price(BaseModel):
    """One model's entry. The bounds are what makes a reservation a true upper bound."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_usd_per_million: Decimal = Field(ge=0, le=10**6, decimal_places=9)
    output_usd_per_million: Decimal = Field(ge=0, le=10**6, decimal_places=9)
    context_tokens: int | None = Field(None, ge=1)
    default_max_tokens: int = Field(1024, ge=1)
    message_tokens: int = Field(16, ge=0)
    request_tokens: int = Field(64, ge=0)
    parameters: tuple[str, ...] = ()
    note: str = ""

    def cost(self, prompt_tokens: int, completion_tokens: int) -> int:
        """Micro-USD, rounded up once."""
        scaled = prompt_tokens * int(self.input_usd_per_million * SCALE)
        scaled += completion_tokens * int(self.output_usd_per_million * SCALE)
        return -(-scaled // SCALE)

    def bound(self, body_bytes: int, messages: int, max_tokens: int) -> int:
        """Micro-USD that a request cannot exceed: no tokenizer makes more tokens than bytes."""
        prompt = body_bytes + messages * self.message_tokens + self.request_tokens
        return self.cost(prompt, max_tokens)

    @property
    def fingerprint(self) -> str:
        """Changes with the entry: a model refused for a wrong entry is let in by a new one."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


class Prices:
    """All priced models, and where they are written."""

    def __init__(self, path: Path, models: dict[str, Price]) -> None:
        self.path = path
        self.models = models

    @classmethod
    def load(cls, path: Path) -> "Prices":
        try:
            data = tomllib.loads(path.read_text(), parse_float=Decimal)
        except OSError as error:
            raise PriceError(
                f"The price file {path} cannot be read: {error.strerror}. Set GATEWAY_PRICES to one"
                f" like {SHIPPED}."
            ) from error
        except UnicodeDecodeError as error:
            raise PriceError(
                f"The price file {path} is no UTF-8 text (byte {error.start}). Save it as such."
            ) from error
        except tomllib.TOMLDecodeError as error:
            raise PriceError(f"The price file {path} is not TOML: {error}. {EXAMPLE}") from error
        models = data.get("models")
        if not isinstance(models, dict) or not models or set(data) - {"models"}:
            raise PriceError(
                f'The price file {path} must hold tables [models."NAME"], and nothing else. '
                + EXAMPLE
            )
        return cls(path, _parse(path, models))

    def lines_to_add(self, model: str) -> str:
        """What to write into the price file, to the letter, so that `model` can be called."""
        name = model.replace("\\", "\\\\").replace('"', '\\"')
        return (
            f'[models."{name}"]\n'
            "input_usd_per_million = 0.00   # your provider's price\n"
            "output_usd_per_million = 0.00  # your provider's price\n"
        )


def _parse(path: Path, models: dict[str, Any]) -> dict[str, Price]:
    found: dict[str, Price] = {}
    problems: list[str] = []
    for name, entry in models.items():
        try:
            found[name] = Price.model_validate(entry)
        except ValidationError as error:
            problems += [f'[models."{name}"] {_in_words(each)}' for each in error.errors()]
    if problems:
        raise PriceError(f"The price file {path} is wrong:\n  " + "\n  ".join(problems))
    return found


def _in_words(problem: Any) -> str:
    """One of pydantic's: the key, its value, what to write instead."""
    key, kind = ".".join(str(part) for part in problem["loc"]), problem["type"]
    if kind == "missing":
        return f"{key}: is missing (add it, in USD per million tokens)"
    if kind == "extra_forbidden":
        return f"{key}: this key is not known (known: {', '.join(Price.model_fields)})"
    if not key:
        return f"= {problem['input']}: must hold keys, such as input_usd_per_million"
    return f"{key} = {problem['input']}: {problem['msg']}"
