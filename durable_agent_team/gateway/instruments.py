"""The gateway's metrics: money, calls, refusals, durations. Labels are team, agent and model, never
the run, since runs are unlimited in number."""

from opentelemetry.metrics import Meter

from durable_agent_team.gateway.request_labels import metric_labels

SECONDS = [0.01 * 2**power for power in range(14)]


class Instruments:
    """One set for each gateway. They do nothing if the meter has no reader."""

    def __init__(self, meter: Meter) -> None:
        self.reservations = meter.create_counter(
            "gateway.reservations", unit="{call}", description="Calls whose bound was reserved."
        )
        self.reserved = meter.create_up_down_counter(
            "gateway.reserved_micro_usd",
            unit="{micro_usd}",
            description="Reserved by calls in flight in this process.",
        )
        self.spend = meter.create_counter(
            "gateway.spend_micro_usd",
            unit="{micro_usd}",
            description="Charges settled by this process: lines of the ledger.",
        )
        self.overrun = meter.create_counter(
            "gateway.overrun_micro_usd",
            unit="{micro_usd}",
            description="What the upstream charged above the bound; the operator pays it.",
        )
        self.tokens = meter.create_counter(
            "gateway.tokens", unit="{token}", description="Tokens of settled calls, as charged."
        )
        self.token_parts = meter.create_counter(
            "gateway.token_parts",
            unit="{token}",
            description="Of the tokens of settled calls, those with a price of their own, by kind.",
        )
        self.saved = meter.create_up_down_counter(
            "gateway.saved_micro_usd",
            unit="{micro_usd}",
            description="What caching saved on settled calls; it falls where caching cost more.",
        )
        self.released = meter.create_counter(
            "gateway.released",
            unit="{call}",
            description="Reservations released without a charge.",
        )
        self.calls = meter.create_counter(
            "gateway.calls",
            unit="{call}",
            description="Requests for a chat completion.",
        )
        self.refusals = meter.create_counter(
            "gateway.refusals", unit="{call}", description="Refused before the upstream was called."
        )
        self.duration = meter.create_histogram(
            "gen_ai.server.request.duration",
            unit="s",
            description="From a chat completion's request to the end of its answer.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )

    def record_call(self, model: str, outcome: str, reason: str, seconds: float) -> None:
        """Records one request: how it ended, why it was refused, how long it took."""
        attributes = {**metric_labels(), "gen_ai.request.model": model}
        self.calls.add(1, {**attributes, "gateway.outcome": outcome})
        if reason:
            self.refusals.add(1, {**attributes, "gateway.reason": reason})
        duration_attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "atxp",
            "gen_ai.request.model": model,
        }
        if outcome not in ("ok", "replayed"):
            duration_attributes["error.type"] = outcome
        self.duration.record(seconds, duration_attributes)
