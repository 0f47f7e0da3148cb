"""Required values and their verdicts."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from tests.bench.run import Column, Result

Value = Callable[[Result], float | None]


class Target(Struct, frozen=True):
    """``value`` is ``None`` if not measured; otherwise it must be at most ``limit``."""

    text: str
    limit: float
    unit: str
    value: Value

    def verdict(self, result: Result) -> str:
        value = self.value(result)
        if value is None:
            return "not measured"
        return "reached" if value <= self.limit else "**not reached**"


def of(title: str, metric: str) -> Value:
    def value(result: Result) -> float | None:
        column = result.column(title)
        return column.median(metric) if column else None

    return value


def ratio(metric: str, ours: str, theirs: str) -> Value:
    def value(result: Result) -> float | None:
        return quotient(result.column(ours), result.column(theirs), metric)

    return value


def beyond(metric: str, ours: str, theirs: str) -> Value:
    def value(result: Result) -> float | None:
        us, them = of(ours, metric)(result), of(theirs, metric)(result)
        return None if us is None or them is None else us - them

    return value


def quotient(ours: Column | None, theirs: Column | None, metric: str) -> float | None:
    """Ratio of the medians."""
    if ours is None or theirs is None:
        return None
    above, below = ours.median(metric), theirs.median(metric)
    return above / below if above is not None and below else None


BOTH = ("sluice (translated)", "sluice (passed)")
TARGETS = (
    Target("CPU per token, against nginx", 1.3, "x", ratio("token_us", "sluice", "nginx")),
    Target("CPU per token, against Envoy", 1.0, "x", ratio("token_us", "sluice", "envoy")),
    Target("CPU per token over TLS, against nginx", 1.4, "x", ratio("token_us", "sluice (TLS)", "nginx (TLS)")),
    Target("CPU per request, 16 connections, against Envoy", 1.3, "x", ratio("request16_us", "sluice", "envoy")),
    Target("CPU per request, 64 connections, against Envoy", 1.3, "x", ratio("request64_us", "sluice", "envoy")),
    Target("added time to first token p99, beyond nginx's", 1.0, "ms", beyond("ttft_p99", "sluice", "nginx")),
    Target("memory per open stream", 24.0, "KB", of("sluice", "stream_kb")),
    Target("idle memory", 60.0, "MB", of("sluice", "idle_mb")),
    Target("start to first answer", 1.0, "s", of("sluice", "start_s")),
    Target("2,000 streams at 20 events/s: every stream whole, longest gap", 1.0, "s", of("sluice", "long_longest")),
    Target("CPU per token, translated against passed", 1.4, "x", ratio("token_us", *BOTH)),
    Target("CPU per piece of a call's arguments, translated against passed", 2.0, "x", ratio("call_us", *BOTH)),
    Target("CPU per request of 4 KB, translated against passed", 2.5, "x", ratio("request4k_us", *BOTH)),
    Target("CPU per request of 400 KB, translated against passed", 2.5, "x", ratio("request400k_us", *BOTH)),
    Target("memory per open translated stream", 30.0, "KB", of("sluice (translated)", "stream_kb")),
    Target("added gap of other streams during a 50 MB body", 60.0, "ms", of("sluice", "body_gap")),
)
