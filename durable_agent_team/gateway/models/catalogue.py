"""The catalogue: prices and context windows that providers publish, from the package genai-prices.

It is a snapshot inside the installed package; nothing is fetched. Its import takes up to a second,
so it is loaded when the first upstream needs it, and a gateway with the bundled model alone never
loads it.
"""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from typing import Any

from durable_agent_team.gateway.models.model import Kind
from durable_agent_team.gateway.models.published_price import price_fields

PACKAGE = "genai-prices"


NOT_CHAT = (
    "image",
    "audio",
    "tts",
    "transcribe",
    "realtime",
    "voice",
    "whisper",
    "ocr",
    "moderation",
)
"""Parts of names of models that make or read something other than text. They are not listed."""


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A model's published figures: `price` has the fields of a `Price`."""

    price: Mapping[str, Any]
    kind: Kind


class Catalogue:
    """Answers by the catalogue's id of a provider, and the provider's name for a model."""

    @cached_property
    def source(self) -> str:
        """Name and version, as they are in the ledger."""
        return f"{PACKAGE} {version(PACKAGE)}"

    def find(self, provider: str, model: str) -> CatalogueEntry | None:
        """None where the provider or the model is unknown, or the model has no price per token."""
        found = self._providers.get(provider)
        if found is None:
            return None
        info = found.find_model(model, all_providers=self._all)
        return None if info is None else self._entry(info)

    def entries(self, provider: str) -> Iterator[tuple[str, CatalogueEntry]]:
        """The provider's current models, each with a name under which it can be called."""
        found = self._providers.get(provider)
        for info in found.models if found else ():
            name = None if info.deprecated else _callable_name(info)
            entry = self._entry(info) if name is not None else None
            if name is not None and entry is not None:
                yield name, entry

    def _entry(self, info: Any) -> CatalogueEntry | None:
        now = datetime.now(UTC)
        price = price_fields(info, now)
        if price is None:
            return None
        if info.context_window:
            price["context_tokens"] = info.context_window
        price["source"] = self.source
        embedding = info.get_prices(now).__dict__.get("output_mtok") is None
        return CatalogueEntry(price, "embedding" if embedding else "chat")

    @cached_property
    def _all(self) -> list[Any]:
        snapshot = importlib.import_module("genai_prices.data_snapshot").get_snapshot()
        providers: list[Any] = snapshot.providers
        return providers

    @cached_property
    def _providers(self) -> dict[str, Any]:
        return {each.id: each for each in self._all}


def _callable_name(info: Any) -> str | None:
    """The entry's id where it is a name of the API, else the first name that it matches. None for
    families of models, such as fine-tuned ones, and for what cannot chat."""
    if (
        info.id.startswith("ft:")
        or info.id.endswith("-")
        or any(each in info.id for each in NOT_CHAT)
    ):
        return None
    if info.is_match(info.id):
        return str(info.id)
    parts = getattr(info.match, "or_", None) or [info.match]
    return next((str(part.equals) for part in parts if hasattr(part, "equals")), None)


CATALOGUE = Catalogue()
