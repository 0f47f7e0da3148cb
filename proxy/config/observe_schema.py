"""Sections about observability: logging, the dashboard's memory, probes, traces and error reports."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from proxy.config.types import BaseUrl, Header, Key, LogPath, Name, OptionalName, Section


class ProbeSettings(Section, frozen=True):
    """Periodic requests for the providers' model lists, to observe whether they answer. They may cost money."""

    enabled: bool = False
    every_secs: Annotated[float, Meta(ge=1, le=100_000)] = 60.0
    timeout_secs: Annotated[float, Meta(gt=0, le=60)] = 5.0


class TracingSettings(Section, frozen=True):
    """OpenTelemetry spans by OTLP over HTTP (extra ``otel``)."""

    enabled: bool = False
    endpoint: BaseUrl = "http://127.0.0.1:4318/v1/traces"
    headers: dict[Header, Key] = {}
    service_name: Name = "sluice"
    sample_ratio: Annotated[float, Meta(ge=0, le=1)] = 1.0


class SentrySettings(Section, frozen=True):
    """Reporting of unexpected errors (extra ``sentry``), and of requests as spans (extra ``otel``).

    ``traces_sample_rate``: the share of the requests whose spans are sent.
    """

    dsn: Key = ""
    environment: OptionalName = ""
    traces_sample_rate: Annotated[float, Meta(ge=0, le=1)] = 0.0


class Observe(Section, frozen=True):
    """Observability. ``capture_prompts``: the admin sees the prompts of clients."""

    keep_requests: Annotated[int, Meta(ge=0, le=100_000)] = 500
    capture_prompts: bool = False
    probes: ProbeSettings = field(default_factory=ProbeSettings)
    tracing: TracingSettings = field(default_factory=TracingSettings)
    sentry: SentrySettings = field(default_factory=SentrySettings)
    log_file: LogPath = ""  # "": standard error


class Logging(Section, frozen=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
