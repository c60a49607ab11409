"""What the gateway of a stack can call, asked when it is ready: keys, models, the default model.

The gateway itself asks its upstreams, so that their keys stay there. A key that is refused, or an
upstream that does not answer, stops nothing: other models may be all that is needed. A default
model that the gateway would refuse stops the stack, since every run would fail with it.
"""

from collections.abc import Callable
from typing import Any

import httpx

ANSWER_SECONDS = 20.0
"""The gateway gives its upstreams five, and a list of thousands of models takes it two."""


class DefaultModelRefused(Exception):
    """The gateway cannot call the default model. The text says why, and names similar ones."""


async def report_models(
    gateway_url: str, parent_key: str, default_model: str | None, say: Callable[[str], None]
) -> None:
    """Says what can be called, a line for each upstream. Raises `DefaultModelRefused`."""
    async with httpx.AsyncClient(
        base_url=gateway_url, timeout=ANSWER_SECONDS, trust_env=False
    ) as http:
        try:
            authorization = {"Authorization": f"Bearer {parent_key}"}
            states = (await http.get("/v1/upstreams", headers=authorization)).json()
            for each in states["upstreams"]:
                say(upstream_line(each))
            if default_model is None:
                say("no DEFAULT_MODEL is set: every agent must name its `model`")
                return
            found = await http.get(f"/v1/models/{default_model}")
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            say(f"warning: the gateway did not say what it can call ({type(error).__name__})")
            return
    if found.status_code == 404:
        why = found.json()["error"]["message"]
        raise DefaultModelRefused(f"DEFAULT_MODEL = {default_model}: {why}")
    if found.status_code == 200:
        say(default_model_line(found.json()))


def upstream_line(state: dict[str, Any]) -> str:
    """One upstream: what can be called there, or what is wrong with it."""
    name, count, detail = state["name"], state["models"], state["detail"]
    models = f"{count:,} model{'' if count == 1 else 's'} with a price"
    match state["state"]:
        case "ready":
            return f"upstream {name}: ready, {models}"
        case "key_refused" | "key_missing":
            return f"error: upstream {name}: {detail}"
        case "unreachable":
            return f"warning: upstream {name}: {detail}"
    return f"upstream {name}: {models}; its key could not be checked: {detail}"


def default_model_line(model: dict[str, Any]) -> str:
    """The default model with its price."""
    pricing = model.get("pricing") or {}
    prices = [
        f"{pricing[key]:.15g} {word}"
        for key, word in (("input_usd_per_million", "in"), ("output_usd_per_million", "out"))
        if isinstance(pricing.get(key), int | float)
    ]
    where = f" (upstream {model['upstream']})" if model.get("upstream") else ""
    cost = f": USD per million tokens {', '.join(prices)}" if prices else ""
    return f"default model {model['id']}{where}{cost}"
