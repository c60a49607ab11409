"""A model as `GET /v1/models` shows it."""

from durable_agent_team.gateway.amounts import usd
from durable_agent_team.gateway.api.gateway_context import GatewayContext
from durable_agent_team.gateway.api.response_shapes import DialectJson, ModelJson, Pricing
from durable_agent_team.gateway.models.model import Model


def model_json(gateway: GatewayContext, model: Model) -> ModelJson:
    price = model.price
    overrun = gateway.calls.overruns.get((model.name, price.fingerprint), 0)
    return ModelJson(
        id=model.name,
        object="model",
        created=0,
        owned_by="gateway",
        upstream=model.upstream,
        upstream_model=model.upstream_model,
        kind=model.kind,
        speaks=model.speaks,
        pricing=Pricing.model_validate(
            price.model_dump(mode="json", include=set(Pricing.model_fields))
        ),
        price_source=price.source,
        context_tokens=model.context_tokens,
        max_output_tokens=model.max_output_tokens,
        dialect=DialectJson.model_validate(
            model.dialect.model_dump(mode="json", include=set(DialectJson.model_fields))
        ),
        planning=model.planning,
        default_max_tokens=price.default_max_tokens,
        message_tokens=price.message_tokens,
        request_tokens=price.request_tokens,
        status="refused" if overrun else "active",
        overrun_usd=usd(overrun),
        note=price.note,
    )
