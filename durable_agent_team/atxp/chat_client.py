"""Chat completions over an OpenAI-compatible endpoint, and what each of them cost."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from durable_agent_team.atxp.completion_message import (
    answer_text,
    finish_reason,
    refusal_text,
    thinking_text,
)
from durable_agent_team.atxp.exceptions import (
    AtxpError,
    MalformedAnswer,
    ProviderRefused,
    error_fields,
    scrub,
)
from durable_agent_team.atxp.httpx_client import HttpxClient
from durable_agent_team.atxp.pricing import Cost, priced_cost, reported_cost, usage_of, worst_case
from durable_agent_team.atxp.transport import Answer, exchange
from durable_agent_team.contracts.call import Usage
from durable_agent_team.contracts.model_catalog import ModelPrice
from durable_agent_team.contracts.provider_info import model_price, model_prices
from durable_agent_team.providers.error_body import failed_choice
from durable_agent_team.providers.error_kind import error_inside

TIMEOUT_HEADER = "X-Call-Timeout-Seconds"
KNOWN_LIMITS_HEADER = "X-Known-Limits"
PRICES_LIVE_SECONDS = 300
MODELS_TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class CompletionRequest:
    """One request as it goes over the wire; `model` and `max_tokens` are in `body` too."""

    body: bytes
    model: str
    max_tokens: int
    idempotency_key: str
    key: SecretStr
    timeout_seconds: float
    call_timeout_seconds: float | None = None
    """How long the gateway may work at the call, on which the attempts wait in turn."""
    known_limits: int | None = None
    """How often it is known that the gateway has ended the call at a limit of its own."""


@dataclass(frozen=True)
class Completion:
    text: str
    finish_reason: str
    """As the provider spells it; empty where it gives none."""
    usage: Usage
    cost: Cost
    replayed: bool
    account_spent_usd: Decimal | None
    account_possibly_billed_calls: int = 0
    account_possibly_billed_usd: Decimal = Decimal(0)
    refusal: str = ""
    """The model's words, where it refuses to answer."""
    thinking: str = ""
    """Where the provider keeps it apart from the text."""
    message: Mapping[str, Any] = field(default_factory=dict)
    """As the provider sent it, with the calls of tools and what it wants back."""


@dataclass(frozen=True)
class StoredAnswer:
    """A billed, unusable answer that the gateway stored: each attempt gets it again."""

    usage: Usage
    cost: Cost

    @classmethod
    def of(cls, error: MalformedAnswer | ProviderRefused) -> "StoredAnswer | None":
        """None where another attempt may get another answer."""
        cost = reported_cost(error.body) if isinstance(error.body, Mapping) else None
        return cls(usage_of(error.body), cost) if error.replayed and cost else None


class ChatClient:
    """`llm_url` is the base of the OpenAI-compatible API, such as `https://llm.atxp.ai/v1`."""

    def __init__(self, http: HttpxClient, llm_url: str) -> None:
        self._http = http
        base = llm_url.rstrip("/")
        self._chat_url = httpx.URL(f"{base}/chat/completions")
        self._models_url = httpx.URL(f"{base}/models")
        self._prices: tuple[ModelPrice, ...] = ()
        self._prices_until = 0.0
        self._unlisted: dict[str, ModelPrice | None] = {}

    async def complete(self, order: CompletionRequest) -> Completion:
        """One POST, no retry. Raises an `AtxpError`; a `MalformedAnswer` says what it cost."""
        try:
            answer = await self._post(order)
        except ProviderRefused as refused:
            refused.billed_usd = _billed(refused.body, refused.replayed)
            raise
        choice = _first_choice(answer.body)
        refused_inside = _refused_inside(answer, choice, order)
        if refused_inside is not None:
            raise refused_inside
        if choice is None:
            raise _without_choices(answer, order)
        message = choice["message"]
        return Completion(
            text=answer_text(message),
            finish_reason=finish_reason(choice),
            usage=usage_of(answer.body),
            cost=await self._cost(answer.body, order),
            replayed=answer.replayed,
            account_spent_usd=answer.account_spent_usd,
            account_possibly_billed_calls=answer.possibly_billed_calls,
            account_possibly_billed_usd=answer.possibly_billed_usd,
            refusal=refusal_text(message),
            thinking=thinking_text(message),
            message=message,
        )

    async def _post(self, order: CompletionRequest) -> Answer:
        headers = {"Idempotency-Key": order.idempotency_key}
        if order.call_timeout_seconds is not None:
            headers[TIMEOUT_HEADER] = f"{order.call_timeout_seconds:g}"
        if order.known_limits is not None:
            headers[KNOWN_LIMITS_HEADER] = str(order.known_limits)
        return await exchange(
            self._http,
            "POST",
            self._chat_url,
            key=order.key.get_secret_value(),
            timeout_seconds=order.timeout_seconds,
            content=order.body,
            headers=headers,
        )

    async def read_models(self, key: SecretStr | None) -> tuple[ModelPrice, ...]:
        """The endpoint's models, with prices where it reports them. Raises an `AtxpError`."""
        return model_prices(await self.read_models_page(key)) or ()

    async def read_models_page(
        self, key: SecretStr | None, timeout_seconds: float = MODELS_TIMEOUT_SECONDS
    ) -> Mapping[str, Any]:
        """What `GET /models` answers, capabilities included. Raises an `AtxpError`."""
        answer = await exchange(
            self._http,
            "GET",
            self._models_url,
            key=key.get_secret_value() if key else None,
            timeout_seconds=timeout_seconds,
        )
        return answer.body

    async def read_model(
        self, name: str, timeout_seconds: float = MODELS_TIMEOUT_SECONDS
    ) -> Mapping[str, Any]:
        """What `GET /models/{name}` answers. Raises an `AtxpError`."""
        url = httpx.URL(f"{self._models_url}/{quote(name)}")
        answer = await exchange(self._http, "GET", url, key=None, timeout_seconds=timeout_seconds)
        return answer.body

    async def _cost(self, body: Mapping[str, Any], order: CompletionRequest) -> Cost:
        told = reported_cost(body)
        if told is not None:
            return told
        catalog = await self._known_prices(order.key)
        price = next((model for model in catalog if model.model == order.model), None)
        if price is None and any(each.is_priced for each in catalog):
            price = await self._unlisted_price(order.model)
        priced = priced_cost(usage_of(body), price)
        return priced or worst_case(len(order.body), order.max_tokens, order.model, catalog)

    async def _known_prices(self, key: SecretStr) -> tuple[ModelPrice, ...]:
        """The price list, read at most every five minutes. A billed answer never fails for it."""
        if time.monotonic() >= self._prices_until:
            try:
                self._prices = await self.read_models(key)
            except AtxpError:
                self._prices = ()
            self._prices_until = time.monotonic() + PRICES_LIVE_SECONDS
            self._unlisted.clear()
        return self._prices

    async def _unlisted_price(self, model: str) -> ModelPrice | None:
        """The price of a model that the endpoint can call and does not list, such as a free one of
        a local server. Asked for as rarely as the list."""
        if model not in self._unlisted:
            try:
                self._unlisted[model] = model_price(await self.read_model(model))
            except AtxpError:
                self._unlisted[model] = None
        return self._unlisted[model]


def _first_choice(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return None
    return choices[0] if isinstance(choices[0].get("message"), dict) else None


def _refused_inside(
    answer: Answer, choice: Mapping[str, Any] | None, order: CompletionRequest
) -> ProviderRefused | None:
    """An error inside a 200, which says what it is, is read like any other; None if there is none,
    or if there is an answer beside it that did not break off."""
    if choice is not None and _has_answer(choice["message"]) and not failed_choice(answer.body):
        return None
    error = error_inside(answer.body)
    if error is None or not error.is_known:
        return None
    codes = error.body.codes
    return ProviderRefused(
        what="POST /chat/completions",
        status=error.status,
        message=scrub(error.body.message or "", [order.key.get_secret_value()]),
        kind=codes[0][:100] if codes else "",
        code=(error.body.code or "")[:100],
        headers=dict(answer.headers),
        body=answer.body,
        replayed=answer.replayed,
        billed_usd=_billed(answer.body, answer.replayed),
    )


def _has_answer(message: Mapping[str, Any]) -> bool:
    return any(message.get(name) for name in ("content", "tool_calls", "refusal"))


def _without_choices(answer: Answer, order: CompletionRequest) -> MalformedAnswer:
    said = str(error_fields(answer.body).get("message") or "")
    words = scrub(said, [order.key.get_secret_value()]) or "no choices in it"
    return MalformedAnswer(
        f"POST /chat/completions answered 200 without an answer: {words}",
        billed_usd=_billed(answer.body, answer.replayed),
        body=answer.body,
        replayed=answer.replayed,
    )


def _billed(body: Any, replayed: bool) -> Decimal:
    """What an unusable answer says it cost; a stored one was counted the first time."""
    told = reported_cost(body) if isinstance(body, Mapping) and not replayed else None
    return told.usd if told else Decimal(0)
