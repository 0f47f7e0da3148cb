"""Constrained types of the configuration's values.

``kind`` names a check of a text beyond its type; ``checks.py`` has the checks.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from proxy.config.labels import LONGEST_LABEL, LONGEST_VALUE, MOST_LABELS

# The upper bounds only catch typing errors that would make timers that never fire.
PositiveInt = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Seconds = Annotated[float, Meta(ge=0, le=10_000_000)]
Minutes = Annotated[float, Meta(gt=0, le=100_000)]
Megabytes = Annotated[float, Meta(gt=0, le=1_000_000)]
SpoolMegabytes = Annotated[float, Meta(ge=8, le=1_000_000)]  # two segments: one is written, one is being recorded
Price = Annotated[float, Meta(ge=0, le=1_000_000)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Name = Annotated[str, Meta(min_length=1, max_length=200, extra={"kind": "name"})]
# A model specification of one or more names; a single one may be written as text.
ModelNames = Annotated[list[Name], Meta(min_length=1, extra={"one_or_more": True})]
NewProvider = Annotated[str, Meta(min_length=1, max_length=200, extra={"kind": "new provider"})]
KnownProvider = Annotated[str, Meta(min_length=1, max_length=200, extra={"kind": "known provider"})]
OptionalProvider = Annotated[str, Meta(max_length=200, extra={"kind": "optional provider"})]
Key = Annotated[str, Meta(extra={"kind": "key"})]
BaseUrl = Annotated[str, Meta(min_length=1, max_length=2000, extra={"kind": "base url"})]
OptionalBaseUrl = Annotated[str, Meta(max_length=2000, extra={"kind": "optional base url"})]
OptionalName = Annotated[str, Meta(max_length=200, extra={"kind": "name"})]
LabelName = Annotated[str, Meta(min_length=1, max_length=LONGEST_LABEL, extra={"kind": "label name"})]
LabelValue = Annotated[str, Meta(min_length=1, max_length=LONGEST_VALUE, extra={"kind": "label value"})]
LabelMap = Annotated[dict[LabelName, LabelValue], Meta(max_length=MOST_LABELS)]
BasePath = Annotated[str, Meta(min_length=1, max_length=200, extra={"kind": "base path"})]
ListenHost = Annotated[str, Meta(min_length=1, max_length=255, extra={"kind": "listen host"})]
AllowedHost = Annotated[str, Meta(min_length=1, max_length=255, extra={"kind": "allowed host"})]
Origin = Annotated[str, Meta(min_length=1, max_length=500, extra={"kind": "origin"})]
Header = Annotated[str, Meta(min_length=1, max_length=200, extra={"kind": "header"})]
ForwardHeader = Annotated[str, Meta(min_length=1, max_length=200, extra={"kind": "forward header"})]
HeaderValue = Annotated[str, Meta(max_length=8000, extra={"kind": "header value"})]
Passthrough = Annotated[str, Meta(min_length=1, max_length=2000, extra={"kind": "passthrough"})]
Hook = Annotated[str, Meta(min_length=1, max_length=500, extra={"kind": "hook"})]
File = Annotated[str, Meta(max_length=4000, extra={"kind": "file"})]  # relative to the file that names it
RedisUrl = Annotated[str, Meta(min_length=1, max_length=2000, extra={"kind": "redis url"})]
RedisPrefix = Annotated[str, Meta(min_length=1, max_length=100, extra={"kind": "redis prefix"})]
DatabaseUrl = Annotated[str, Meta(max_length=2000, extra={"kind": "database url"})]
KeyHash = Annotated[str, Meta(extra={"kind": "key hash"})]
ListenAddress = Annotated[str, Meta(max_length=1000, extra={"kind": "listen address"})]
Moment = Annotated[str, Meta(max_length=40, extra={"kind": "moment"})]
Hours = Annotated[str, Meta(max_length=11, extra={"kind": "hours"})]
Network = Annotated[str, Meta(min_length=1, max_length=100, extra={"kind": "network"})]
Folder = Annotated[str, Meta(min_length=1, max_length=4000, extra={"kind": "folder"})]
SocketMode = Annotated[str, Meta(max_length=4, extra={"kind": "socket mode"})]
LogPath = Annotated[str, Meta(max_length=4000, extra={"kind": "log path"})]  # relative to the working directory
ListUrl = Annotated[str, Meta(max_length=4000, extra={"kind": "list url"})]
WebhookAddress = Annotated[str, Meta(min_length=1, max_length=4000, extra={"kind": "webhook url"})]
BrokerAddresses = Annotated[str, Meta(max_length=4000, extra={"kind": "broker url"})]
ExchangeName = Annotated[str, Meta(min_length=1, max_length=100, extra={"kind": "exchange name"})]
WebhookSecret = Annotated[str, Meta(max_length=1000, extra={"kind": "webhook secret"})]
BudgetName = Annotated[str, Meta(extra={"kind": "budget name"})]
BudgetLevel = Annotated[str, Meta(extra={"kind": "budget level"})]
TimeZone = Annotated[str, Meta(extra={"kind": "time zone"})]
Currency = Annotated[str, Meta(extra={"kind": "currency"})]
ServiceName = Annotated[str, Meta(min_length=1, max_length=100, extra={"kind": "service name"})]
ScopeName = Annotated[str, Meta(min_length=1, max_length=100, extra={"kind": "scope"})]
RouteId = Annotated[str, Meta(max_length=200, extra={"kind": "route id"})]
RouteHost = Annotated[str, Meta(max_length=255, extra={"kind": "route host"})]
RoutePath = Annotated[str, Meta(max_length=2000, extra={"kind": "route path"})]
RoutePattern = Annotated[str, Meta(max_length=2000, extra={"kind": "route pattern"})]
RouteRewrite = Annotated[str, Meta(max_length=2000, extra={"kind": "route rewrite"})]
RouteMethod = Annotated[str, Meta(min_length=1, max_length=30, extra={"kind": "route method"})]
StatusRange = Annotated[str, Meta(min_length=3, max_length=100, extra={"kind": "statuses"})]
FileOrUrl = Annotated[str, Meta(max_length=4000, extra={"kind": "file or url"})]


class Section(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A mapping in the YAML; unknown keys are refused."""
