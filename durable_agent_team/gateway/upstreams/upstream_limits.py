"""What a call to an upstream may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UpstreamLimits:
    """UPSTREAM_TIMEOUT_SECONDS, GATEWAY_MAX_STREAM_BYTES and GATEWAY_MAX_ANSWER_BYTES."""

    timeout_seconds: float
    max_stream_bytes: int
    max_answer_bytes: int
