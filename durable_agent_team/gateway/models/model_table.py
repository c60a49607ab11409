"""All models that can be called, by name: from the models file, the price file, and the catalogue.

A name is looked up in this order: an entry of the models file or of the price file; `UPSTREAM/NAME`
for an upstream that can be called; a bare name in the catalogue, upstream by upstream in the order
of `upstreams`.
"""

import difflib
import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from durable_agent_team.gateway.models.answer_limits import longest_answer
from durable_agent_team.gateway.models.catalogue import CATALOGUE, Catalogue, CatalogueEntry
from durable_agent_team.gateway.models.dialects import find_dialect
from durable_agent_team.gateway.models.model import Kind, Model, Planning
from durable_agent_team.gateway.models.models_file import ModelEntry, ModelsFile, price_problem
from durable_agent_team.gateway.models.presets import presets
from durable_agent_team.gateway.models.price import Price
from durable_agent_team.gateway.models.price_file import DEFAULT_PRICE_FILE, PriceError, Prices
from durable_agent_team.gateway.models.upstreams import NamedUpstream

MAX_KNOWN = 5_000
"""Names whose model is kept; clients choose the names."""
NARROW = frozenset({"smollm2-135m"})
"""Bundled models, which cannot plan freely."""


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why a model cannot be called: `text` for people, the rest for programs."""

    text: str
    needs: str = ""
    nearest: Sequence[str] = ()

    @property
    def fields(self) -> dict[str, Any]:
        known = {"needs": self.needs, "nearest": list(self.nearest)}
        return {name: each for name, each in known.items() if each}


@dataclass
class ModelTable:
    """`upstreams` in the order in which bare names are looked up; `default` is the name of the one
    that serves entries without an `upstream`."""

    prices: Prices
    upstreams: Mapping[str, NamedUpstream]
    default: str
    file: ModelsFile | None = None
    catalogue: Catalogue = CATALOGUE
    _known: dict[str, Model | None] = field(default_factory=dict)
    _listed: list[Model] | None = None

    @classmethod
    def of(cls, prices: Prices) -> "ModelTable":
        """The models of a price file, all on one upstream."""
        return cls(prices, {"default": NamedUpstream("default")}, "default")

    def find(self, name: str) -> Model | None:
        """The model that a client means by `name`; None if it cannot be called."""
        if name not in self._known:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[name] = self._find(name)
        return self._known[name]

    def listed(self) -> list[Model]:
        """Everything that is known by name, each model once. The first time takes up to a second
        for a large catalogue. Upstreams that are free have more models than these."""
        if self._listed is None:
            named = [*(self.file.models if self.file else ()), *self.prices.models]
            found = {name: self.find(name) for name in named}
            for upstream in self.upstreams.values():
                found |= {each.name: each for each in self._catalogued(upstream)}
            self._listed = [model for model in found.values() if model is not None]
        return self._listed

    @property
    def uses_catalogue(self) -> bool:
        called = (each for each in self.upstreams.values() if each.missing is None)
        return any(each.entry.catalogue for each in called)

    @property
    def secrets(self) -> list[str]:
        """The upstreams' keys and passwords, so that they can be removed from logs and errors."""
        found = ((each.key, each.password) for each in self.upstreams.values())
        return [secret for each in found for secret in each if secret]

    def check(self) -> None:
        """Raises PriceError with every entry of the models file that cannot be priced."""
        problems = []
        for name, entry in self.file.models.items() if self.file else ():
            try:
                self._entry_model(name, entry)
            except (ValidationError, ValueError) as error:
                problems += [f'[models."{name}"] {each}' for each in _texts(error)]
        if problems:
            assert self.file is not None
            raise PriceError(
                f"The models file {self.file.path} is wrong:\n  " + "\n  ".join(problems)
            )

    @property
    def parameters(self) -> set[str]:
        """Further request fields that entries allow."""
        entries = [price.parameters for price in self.prices.models.values()]
        if self.file is not None:
            entries += [each.price.get("parameters", ()) for each in self.file.models.values()]
        return {name for each in entries for name in each}

    def why_not(self, name: str) -> WhyNot:
        """Why `name` cannot be called, and what to do: a key, another spelling, an entry."""
        if missing := self._missing(name):
            remedy = "set it in .env and start the gateway again"
            return WhyNot(f"The model {name!r} needs {missing}: {remedy}.", needs=missing)
        near = self.nearest(name)
        text = f"The model {name!r} has no price, so its cost cannot be limited."
        if near:
            text += f" Did you mean {' or '.join(map(repr, near))}?"
        path = self.file.path if self.file else self.prices.path
        where = f"add to {path}"
        if path == DEFAULT_PRICE_FILE:  # a part of the program, that the next version replaces
            where = "write a file, name it in GATEWAY_MODELS"
        lines = self.prices.lines_to_add(name)
        text += f" To call it, {where} and start the gateway again:\n\n{lines}"
        return WhyNot(text, nearest=near)

    def nearest(self, name: str) -> list[str]:
        """Names of models that look like it, the likeliest first."""
        names = {model.name.lower(): model.name for model in self.listed()}
        plain = name.lower().rpartition("/")[2]
        short = {each.rpartition("/")[2]: each for each in names}
        found = difflib.get_close_matches(name.lower(), names, 3, 0.6)
        found += [short[each] for each in difflib.get_close_matches(plain, short, 3, 0.6)]
        parts = [each for each in names if plain and len(plain) > 2 and plain in each]
        return [names[each] for each in dict.fromkeys([*found, *parts[:3]])][:3]

    def _find(self, name: str) -> Model | None:
        entry = self.file.models.get(name) if self.file else None
        if entry is not None:
            return self._entry_model(name, entry)
        if name in self.prices.models and self.default in self.upstreams:
            return self._priced_model(name)
        first, slash, rest = name.partition("/")
        if slash and rest and first in self.upstreams:
            return self._upstream_model(name, self.upstreams[first], rest)
        for upstream in self.upstreams.values():
            if not upstream.missing and upstream.entry.catalogue:
                found = self._upstream_model(name, upstream, name)
                if found is not None:
                    return found
        return None

    def _entry_model(self, name: str, entry: ModelEntry) -> Model | None:
        """Raises ValidationError or ValueError if it has no price."""
        assert self.file is not None
        upstream = self.upstreams.get(entry.upstream or self.default)
        if upstream is None:  # its preset has no key
            return None
        prefix = f"{upstream.name}/"
        wanted = entry.upstream_model or name.removeprefix(prefix)
        provider = upstream.entry.catalogue
        known = self.catalogue.find(provider, entry.catalogue or wanted) if provider else None
        fields: dict[str, Any] = dict(known.price) if known else {}
        if not fields and upstream.entry.free:
            fields = _free(upstream)
        if set(entry.price) & {each for each in Price.model_fields if "usd" in each}:
            base = fields.get("source")
            fields["source"] = self.file.path.name + (f" over {base}" if base else "")
        kind = entry.kind or (known.kind if known else "chat")
        if kind == "embedding":  # which has no output
            fields.setdefault("output_usd_per_million", 0)
        price = Price.model_validate({**fields, **entry.price})
        meant = entry.catalogue or wanted  # a deployment's name says nothing of its model
        model = Model(
            name=name,
            upstream=upstream.name,
            upstream_model=wanted,
            price=price,
            dialect=find_dialect(upstream.entry.preset, meant, entry.dialect),
            max_output_tokens=entry.max_output_tokens or _longest(upstream, meant, price),
            planning=entry.planning or _planning(name),
            speaks=entry.speaks or upstream.entry.speaks,
            trust_cost=upstream.entry.trust_cost,
            timeout_seconds=upstream.entry.timeout_seconds,
            kind=kind,
        )
        return None if upstream.missing else model

    def _priced_model(self, name: str) -> Model:
        return _served(name, self.upstreams[self.default], name, self.prices.models[name])

    def _upstream_model(self, name: str, upstream: NamedUpstream, wanted: str) -> Model | None:
        if upstream.missing:
            return None
        if upstream.name == self.default and wanted in self.prices.models:
            return self._priced_model(wanted)
        provider = upstream.entry.catalogue
        known = self.catalogue.find(provider, wanted) if provider else None
        if known is None and not upstream.entry.free:
            return None
        return _catalogue_model(name, upstream, wanted, known)

    def _catalogued(self, upstream: NamedUpstream) -> Iterator[Model]:
        """The upstream's models in the catalogue: under the bare name where that means this one.
        Those of routers, which serve the models of many makers, keep the upstream's name."""
        if upstream.missing or not upstream.entry.catalogue:
            return
        for name, known in self.catalogue.entries(upstream.entry.catalogue):
            own = any(fnmatch.fnmatchcase(name.lower(), each) for each in upstream.entry.names)
            bare = self.find(name) if own else None
            if bare is not None and bare.upstream == upstream.name:
                yield bare
            else:
                yield _catalogue_model(f"{upstream.name}/{name}", upstream, name, known)

    def _missing(self, name: str) -> str | None:
        """The variables without which `name` cannot be called."""
        entry = self.file.models.get(name) if self.file else None
        first, slash, rest = name.partition("/")
        if entry is not None:
            wanted = entry.upstream or self.default
        elif slash and rest and (first in self.upstreams or first in presets()):
            wanted = first
        else:
            ways = (
                each
                for each, preset in presets().items()
                if any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in preset.names)
            )
            wanted = next(ways, "")
        upstream = self.upstreams.get(wanted)
        if upstream is not None:
            return upstream.missing
        preset = presets().get(wanted)
        return NamedUpstream.of(wanted, preset, {}).missing if preset else None


def _catalogue_model(
    name: str, upstream: NamedUpstream, wanted: str, known: CatalogueEntry | None
) -> Model:
    """A model that no file names."""
    price = Price.model_validate(known.price if known else _free(upstream))
    return _served(name, upstream, wanted, price, known.kind if known else "chat")


def _served(
    name: str, upstream: NamedUpstream, wanted: str, price: Price, kind: Kind = "chat"
) -> Model:
    """With all that its upstream says of it."""
    return Model(
        name=name,
        upstream=upstream.name,
        upstream_model=wanted,
        price=price,
        dialect=find_dialect(upstream.entry.preset, wanted),
        max_output_tokens=_longest(upstream, wanted, price),
        planning=_planning(name),
        speaks=upstream.entry.speaks,
        trust_cost=upstream.entry.trust_cost,
        timeout_seconds=upstream.entry.timeout_seconds,
        kind=kind,
    )


def _longest(upstream: NamedUpstream, wanted: str, price: Price) -> int | None:
    return longest_answer(upstream.entry.preset, wanted, price.context_tokens)


def _planning(name: str) -> Planning:
    return "narrow" if name in NARROW else "whole"


def _free(upstream: NamedUpstream) -> dict[str, Any]:
    return {
        "input_usd_per_million": 0,
        "output_usd_per_million": 0,
        "source": f"free: upstream {upstream.name}",
    }


def _texts(error: Exception) -> list[str]:
    if isinstance(error, ValidationError):
        return [price_problem(each) for each in error.errors()]
    return [str(error)]
