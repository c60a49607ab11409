"""What the gateway knows about a scope: its cost, and why it was refused last."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from activities.programs.exceptions import ProgramError
from activities.programs.runner import Scope
from durable_agent_team.atxp.exceptions import ProviderRefused, error_fields, scrub
from durable_agent_team.atxp.httpx_client import HttpxClient
from durable_agent_team.atxp.transport import exchange
from durable_agent_team.contracts.base import count_of, decimal_of, signed_usd_of, usd_of
from durable_agent_team.contracts.call import Usage
from durable_agent_team.contracts.effects import EffectAnswer
from durable_agent_team.contracts.error_types import ErrorType

READ_SECONDS: Final = 10.0
NOT_SERVED: Final = (404, 405, 501)
TOKENS: Final = (
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
AMOUNTS: Final = ("remaining_usd", "required_usd", "reserved_usd", "possibly_billed_usd")


@dataclass(frozen=True)
class ScopeState:
    """`GET /v1/scopes/{scope}`."""

    spent_usd: Decimal = Decimal(0)
    reserved_usd: Decimal = Decimal(0)
    in_flight: int = 0
    possibly_billed_calls: int = 0
    possibly_billed_usd: Decimal = Decimal(0)
    last_refusal: Mapping[str, Any] | None = None
    """`{status, error, at}`: what the gateway answered last instead of making a call."""
    last_failure: Mapping[str, Any] | None = None
    """The same for a call that was made and failed."""
    last_limit: int | None = None
    """The newest attempt of which a call ran into a limit of the gateway's own; None also where the
    gateway does not say it."""
    usage: Usage = field(default_factory=Usage)
    """The usage of all its charged calls."""

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "ScopeState":
        calls = body.get("calls")
        refusal, failed = body.get("last_refusal"), body.get("last_failure")
        return cls(
            spent_usd=usd_of(body.get("spent_usd")),
            reserved_usd=usd_of(body.get("reserved_usd")),
            in_flight=count_of(calls.get("in_flight")) if isinstance(calls, dict) else 0,
            possibly_billed_calls=count_of(body.get("possibly_billed_calls")),
            possibly_billed_usd=usd_of(body.get("possibly_billed_usd")),
            last_refusal=refusal if isinstance(refusal, dict) else None,
            last_failure=failed if isinstance(failed, dict) else None,
            last_limit=count_of(body.get("last_limit")) or None,
            usage=_usage(body.get("usage")),
        )

    def refusal_since(self, before: "ScopeState") -> ProviderRefused | None:
        """The last refusal, as the error that a paid call would have raised; None where it is an
        older one."""
        return _error(self.last_refusal, before.last_refusal)

    def failure_since(self, before: "ScopeState") -> ProviderRefused | None:
        """The last failure, in the same way."""
        return _error(self.last_failure, before.last_failure)


def _usage(told: object) -> Usage:
    """What the gateway says was used; a gateway from before it said so, nothing."""
    if not isinstance(told, Mapping):
        return Usage()
    tokens = {name: count_of(told.get(name)) for name in TOKENS}
    saved = {"saved_usd": signed_usd_of(told.get("saved_usd"))}
    return Usage(**{name: each for name, each in {**tokens, **saved}.items() if each})


def _error(
    answered: Mapping[str, Any] | None, before: Mapping[str, Any] | None
) -> ProviderRefused | None:
    if answered is None or answered == before:
        return None
    error = error_fields(answered)
    return ProviderRefused(
        what="the gateway, called by the program,",
        status=count_of(answered.get("status")),
        message=scrub(str(error.get("message") or "")),
        kind=str(error.get("type") or "")[:100],
        code=str(error.get("code") or "")[:100],
        amounts={
            name: amount for name in AMOUNTS if (amount := decimal_of(error.get(name))) is not None
        },
        body=dict(answered),
    )


class ScopeAccount:
    """Scopes at one gateway. `llm_url` is the base of its API, which ends in `/v1`."""

    def __init__(self, http: HttpxClient, llm_url: str, parent_key: SecretStr | None) -> None:
        self._http = http
        self.gateway_url = llm_url.rstrip("/").removesuffix("/v1")
        self._parent_key = parent_key

    async def read(
        self,
        scope: Scope,
        seconds: float = READ_SECONDS,
        *,
        known_usd: Decimal | None = None,
        wait_seconds: float = 0,
        begins: bool = False,
    ) -> ScopeState:
        """With `known_usd`, waits up to `wait_seconds` until it has cost another amount. `begins`:
        older attempts are superseded, and what becomes of their calls from now on is this
        attempt's. Raises an `AtxpError`; `ProgramError` where this provider has no scopes."""
        url = httpx.URL(f"{self.gateway_url}/v1/scopes/{scope.name}")
        if begins:
            url = url.copy_merge_params({"attempt": str(scope.attempt)})
        if known_usd is not None:
            waiting = {"spent_usd": f"{known_usd:f}", "wait_seconds": f"{wait_seconds:.3f}"}
            url = url.copy_merge_params(waiting)
        try:
            answer = await exchange(
                self._http,
                "GET",
                url,
                key=scope.key.get_secret_value(),
                timeout_seconds=seconds + wait_seconds,
            )
        except ProviderRefused as refused:
            if refused.status in NOT_SERVED:
                raise ProgramError(
                    ErrorType.BAD_REQUEST,
                    f"{self.gateway_url} has no scopes (GET /v1/scopes answered {refused.status}),"
                    " so the calls of a program could be paid twice: let ATXP_LLM_URL be this"
                    " project's gateway, which can have that provider as its upstream",
                    final=True,
                ) from None
            raise
        return ScopeState.of(answer.body)

    async def answer(self, scope: Scope, account: str, decided: EffectAnswer) -> None:
        """Gives the gateway a person's decision about an effect, unless it has it already. Raises
        an `AtxpError`."""
        if self._parent_key is None:
            return
        body: dict[str, object] = {"decision": decided.decision.value}
        if decided.result is not None:
            body["result"] = _json_or_text(decided.result)
        if decided.attempt is not None:
            body["attempt"] = decided.attempt
        path = f"/v1/scopes/{scope.name}/effects/{quote(decided.effect, safe='')}/resolve"
        try:
            await exchange(
                self._http,
                "POST",
                httpx.URL(f"{self.gateway_url}{path}", params={"agent": account}),
                key=self._parent_key.get_secret_value(),
                timeout_seconds=READ_SECONDS,
                content=json.dumps(body).encode(),
            )
        except ProviderRefused as refused:
            if refused.status not in (404, 409):
                raise


def _json_or_text(result: str) -> object:
    try:
        return json.loads(result)
    except (ValueError, RecursionError):
        return result
