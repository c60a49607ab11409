"""The row `telemetry`: its arithmetic, and that the hooks that it times are those of a call."""

from benchmarks.rows_telemetry import Telemetry, hooks_microseconds


def test_the_share_is_of_the_same_round() -> None:
    samples = [
        {"hooks_us": 20.0, "call_us": 2_000.0, "on": 3.0, "off": 2.0},
        {"hooks_us": 10.0, "call_us": 5_000.0, "on": 2.0, "off": 2.0},
        {"hooks_us": 30.0, "call_us": 1_000.0, "on": 4.0, "off": 2.0},
    ]
    hooks, share, ratio = Telemetry().figures(samples)
    assert (hooks.value, hooks.unit) == (20.0, "µs CPU")
    assert (share.value, share.low, share.high) == (1.0, 0.2, 3.0)
    assert share.met
    assert ratio.value == 1.5


def test_the_hooks_run_as_they_are() -> None:
    assert hooks_microseconds() > 0
