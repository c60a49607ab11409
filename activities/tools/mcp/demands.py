"""Whether a server wants to be paid, or wants somebody to sign in, before a tool runs.

Judged by the data of an answer, not by its words; the forms are those that are in use:

- ATXP: error -30402, `data.paymentRequestUrl` and `data.chargeAmount`; a server that turns
  exceptions into results gives the same as a text, "MCP error -30402: … pay at: URL";
- MPP (Machine Payments Protocol): error -32042, or -32043 after a payment that does not count,
  `data.challenges`; the same under `org.paymentauth/payment-required` in the `_meta` of a result;
  by HTTP, 402 with `WWW-Authenticate: Payment realm="…", method="…", request="…"`;
- sign-in by URL elicitation (MCP 2025-11-25, "URL Mode With Elicitation Required Error"): error
  -32042, `data.elicitations[].url`; in 2026-07-28, an input that is required, of mode `url`;
- x402: `accepts` beside `x402Version`, in the structured content or the text of an error result, in
  the data of an error, or with an HTTP 402: in its body, and since version 2 in its header
  `PAYMENT-REQUIRED` (coinbase/x402, specs/transports).

A call that is answered like this has not run.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.tool_call import ToolDemand
from durable_agent_team.rules.safe_text import one_line

ATXP_CODE: Final = -30402
URL_OR_PAYMENT_CODE: Final = -32042
UNVERIFIED_PAYMENT_CODE: Final = -32043
PAYMENT_META: Final = "org.paymentauth/payment-required"
MAX_URL: Final = 2_000
MAX_AMOUNT: Final = 200
MAX_PART: Final = 100
LOOKED_AT: Final = 20_000
"""Characters of an error's text."""
_ATXP_TEXT: Final = re.compile(r"(?<![\d.-])-30402(?!\d)")
_SIGN_IN_TEXT: Final = re.compile(r"(?<![\d.-])-32042(?!\d)")
_PAYMENT_SCHEME: Final = re.compile(r"(?:^|,)\s*Payment\s+(?=\w+=)", re.IGNORECASE)
_PARAMETER: Final = re.compile(r'\b(realm|method|request)="([^"]{0,20000})"')
_URL: Final = re.compile(r"https?://[^\s\"'<>\\)]{1,1990}")


def demand_in_error(code: int, message: str, data: Any) -> ToolDemand | None:
    """What a JSON-RPC error asks for; None where it is an error like any other."""
    data = data if isinstance(data, Mapping) else {}
    if code == ATXP_CODE:
        url = _url(data.get("paymentRequestUrl")) or _url_in(message)
        return _payment(url, _text(data.get("chargeAmount")))
    if found := _x402(data):
        return found
    if code in (URL_OR_PAYMENT_CODE, UNVERIFIED_PAYMENT_CODE) and (found := _challenged(data)):
        return found
    if code != URL_OR_PAYMENT_CODE:
        return None
    for elicitation in _mappings(data.get("elicitations")):
        if url := _url(elicitation.get("url")):
            return ToolDemand(kind="sign_in", url=url)
    return ToolDemand(kind="sign_in", url=_url_in(message))


def demand_in_result(result: Mapping[str, Any]) -> ToolDemand | None:
    """What a result asks for in place of an answer."""
    if result.get("resultType") == "input_required":
        return _required_sign_in(result.get("inputRequests"))
    meta = result.get("_meta")
    if isinstance(meta, Mapping) and (found := _challenged(meta.get(PAYMENT_META))):
        return found
    if not result.get("isError"):
        return None
    if found := _x402(result.get("structuredContent")):
        return found
    for block in _mappings(result.get("content")):
        text = block.get("text")
        if isinstance(text, str) and (found := _demand_in_text(text[:LOOKED_AT])):
            return found
    return None


def demand_in_refusal(
    status: int, body: str, challenge: str = "", offer: str = ""
) -> ToolDemand | None:
    """What an HTTP refusal asks for: by its body, and its headers `WWW-Authenticate` and
    `PAYMENT-REQUIRED`."""
    if status != 402:
        return None
    return (
        _x402(_json(_decoded(offer)))
        or _in_challenge(challenge)
        or _demand_in_text(body[:LOOKED_AT])
        or _payment(_url_in(body), "")
    )


def _in_challenge(header: str) -> ToolDemand | None:
    scheme = _PAYMENT_SCHEME.search(header)
    if scheme is None:
        return None
    given = reversed(_PARAMETER.findall(header[scheme.end() :]))  # of several, the first
    return _mpp(dict(given))


def _challenged(data: Any) -> ToolDemand | None:
    challenges = _mappings(data.get("challenges")) if isinstance(data, Mapping) else []
    return _mpp(challenges[0]) if challenges else None


def _demand_in_text(text: str) -> ToolDemand | None:
    found = _json(text)
    if isinstance(found, Mapping):
        inner = found.get("error", found)
        code = inner.get("code") if isinstance(inner, Mapping) else None
        if demand := _x402(found):
            return demand
        if isinstance(inner, Mapping) and isinstance(code, int):
            message = inner.get("message")
            message = message if isinstance(message, str) else ""
            if demand := demand_in_error(code, message, inner.get("data")):
                return demand
    if _ATXP_TEXT.search(text):
        return _payment(_url_in(text), "")
    if _SIGN_IN_TEXT.search(text) and (url := _url_in(text)):
        return ToolDemand(kind="sign_in", url=url)
    return None


def _required_sign_in(requests: Any) -> ToolDemand | None:
    for request in _mappings(list(requests.values()) if isinstance(requests, Mapping) else []):
        params = request.get("params")
        if isinstance(params, Mapping) and (url := _url(params.get("url"))):
            return ToolDemand(kind="sign_in", url=url)
    return None


def _x402(data: Any) -> ToolDemand | None:
    if not isinstance(data, Mapping) or "x402Version" not in data:
        return None
    accepted = _mappings(data.get("accepts"))
    if not accepted:
        return None
    first = accepted[0]
    resource = data.get("resource", first.get("resource"))
    url = _url(resource.get("url") if isinstance(resource, Mapping) else resource)
    amount = _text(first.get("amount", first.get("maxAmountRequired")))
    extra = first.get("extra")
    name = extra.get("name") if isinstance(extra, Mapping) else None
    unit = " on ".join(
        part for part in (_text(name or first.get("asset")), _text(first.get("network"))) if part
    )
    units = f"{amount} atomic units of {unit}" if amount and unit else amount
    return _payment(url, _to(units, first.get("payTo")))


def _to(amount: str, recipient: Any) -> str:
    """Who gets it, where the answer says so: the address of a server is not the payee's."""
    payee = _text(recipient)
    return f"{amount}, to {payee}" if amount and payee else amount


def _mpp(challenge: Mapping[str, Any]) -> ToolDemand:
    request = challenge.get("request")
    if isinstance(request, str):
        request = _json(_decoded(request)) or _json(request)
    request = request if isinstance(request, Mapping) else {}
    parts = (request.get("amount"), request.get("currency"), challenge.get("method"))
    amount = " ".join(_text(part) for part in parts if part is not None)
    amount = _to(amount, request.get("recipient"))
    realm = _text(challenge.get("realm"))
    url = _url(request.get("url")) or _url(realm) or _url(f"https://{realm}" if realm else "")
    return _payment(url, amount)


def _payment(url: str, amount: str) -> ToolDemand:
    return ToolDemand(kind="payment", url=url, amount=cut(one_line(amount), MAX_AMOUNT))


def _url(value: Any) -> str:
    """The value if it is an address that can be shown to be opened; else nothing."""
    if not isinstance(value, str) or len(value) > MAX_URL:
        return ""
    return value if _URL.fullmatch(value) and value.isprintable() else ""


def _url_in(text: str) -> str:
    found = _URL.search(text)
    return _url(found[0].rstrip(".,;")) if found else ""


def _text(value: Any) -> str:
    is_text = isinstance(value, str | int | float) and not isinstance(value, bool)
    return str(value)[:MAX_PART] if is_text else ""


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _json(text: str) -> Any:
    if not text.lstrip().startswith("{"):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _decoded(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (ValueError, binascii.Error):
        return ""
