"""Images and files in a request: what they may be, and what is known of their tokens."""

from dataclasses import dataclass
from typing import Any

from durable_agent_team.gateway.api_error import ApiError, invalid, shown
from durable_agent_team.gateway.models.price import Price
from durable_agent_team.gateway.models.rates import TEXT, PromptParts

SCHEMES = ("https://", "data:")
HEAD = 60
"""Characters of a URL that tell its scheme and its type; the rest can be megabytes."""


@dataclass(slots=True)
class Media:
    """What one request has. `data_bytes` are those of data URLs, which no model reads as text."""

    images: int = 0
    files: int = 0
    data_bytes: int = 0

    def add(self, path: str, part: dict[str, Any]) -> None:
        """Raises ApiError for what is no image and no file as chat completions have them."""
        kind = part["type"]
        value = part.get(kind)
        if not isinstance(value, dict):
            raise invalid(f"`{path}.{kind}` must be an object; got {shown(value)}")
        if kind == "image_url":
            self.images += 1
            url = _text(value, "url", f"{path}.{kind}")
            if not url[:HEAD].lower().startswith(SCHEMES):
                raise _unsupported(f"{path}.{kind}.url", "a data URL or an https URL", url)
            self.data_bytes += len(url) if url[:5].lower() == "data:" else 0
        else:
            self.files += 1
            if value.get("file_id") is not None:
                remedy = "files are not stored here; send `file_data`, base64 in a data URL"
                raise _unsupported(f"{path}.file.file_id", remedy, value["file_id"])
            data = _text(value, "file_data", f"{path}.{kind}")
            if data[:5].lower() != "data:":
                raise _unsupported(f"{path}.file.file_data", "a data URL", data)


def _text(data: dict[str, Any], name: str, path: str) -> str:
    value = data.get(name)
    if not isinstance(value, str):
        raise invalid(f"`{path}.{name}` must be a string; got {shown(value)}")
    return value


def _unsupported(path: str, needed: str, value: object) -> ApiError:
    cut = value[:HEAD] if isinstance(value, str) else value
    return invalid(f"`{path}` must be {needed}; got {shown(cut)}", "unsupported_content")


def can_bound(price: Price, media: Media) -> bool:
    """Whether it is known how many tokens the images and files of a request can have."""
    if price.context_tokens is not None or not (media.images or media.files):
        return True
    return price.image_tokens is not None and not media.files


def bound_of(
    price: Price,
    body_bytes: int,
    messages: int,
    max_tokens: int,
    media: Media,
    *,
    long_cache: bool = False,
    service_tier: str | None = None,
) -> int:
    """The most that a request can cost, in micro-USD. It has no more tokens than bytes, an image no
    more than `image_tokens`, and a model reads no more than its context."""
    prompt = body_bytes + messages * price.message_tokens + price.request_tokens
    context, seen = price.context_tokens, media.images + media.files
    if seen and price.image_tokens is not None and not media.files:
        prompt += media.images * price.image_tokens - media.data_bytes
    elif seen and context is not None:
        prompt = context
    if context is not None:
        prompt = min(prompt, context)
    parts = PromptParts(images=True, long_cache=long_cache) if seen else TEXT
    if long_cache and not seen:
        parts = PromptParts(long_cache=True)
    return price.most(prompt, max_tokens, parts=parts, service_tier=service_tier)


def unbounded(model: str) -> ApiError:
    """For a model of which neither its context nor a bound of one image's tokens is known."""
    return invalid(
        f"only text can be bounded: how many tokens an image or a file has is not known for the"
        f" model {model!r}. Add `context_tokens` to its entry, the most that it reads, or for"
        " images `image_tokens`, the most that one of them has",
        "unsupported_content",
    )
