"""The configuration's shape: services, the routes that lead to them, and where their addresses are found."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, field

from proxy.config.address_schema import ServerAddress as ServerAddress
from proxy.config.address_schema import Weight
from proxy.config.limit_schema import Limits
from proxy.config.provider_schema import Timeouts, Tls
from proxy.config.types import (
    BaseUrl,
    Count,
    File,
    Header,
    HeaderValue,
    Key,
    Name,
    OptionalBaseUrl,
    OptionalName,
    Port,
    PositiveInt,
    RouteHost,
    RouteId,
    RouteMethod,
    RoutePath,
    RoutePattern,
    RouteRewrite,
    ScopeName,
    Seconds,
    Section,
    ServiceName,
    StatusRange,
)


class HealthCheck(Section, frozen=True):
    """GET of ``path`` at each address, every ``interval_secs`` with a jitter of a tenth; ``path`` ``""``: no checks.

    An address is left out after ``unhealthy`` failures in a row, and used again after ``healthy`` successes.
    ``statuses``: those of a success.
    """

    path: RoutePath = ""
    interval_secs: Annotated[float, Meta(ge=0.1, le=86_400)] = 10.0
    timeout_secs: Annotated[float, Meta(gt=0, le=600)] = 2.0
    healthy: PositiveInt = 2
    unhealthy: PositiveInt = 3
    statuses: StatusRange = "200-399"


class ServiceBreaker(Section, frozen=True):
    """When an address is left out because requests to it fail, and when it is tried again."""

    enabled: bool = True
    failure_threshold: PositiveInt = 5
    cooldown_period_secs: Seconds = 10.0
    success_threshold: PositiveInt = 1


class Stickiness(Section, frozen=True):
    """Requests with the same value of a cookie or a header go to the same address while it is available.

    ``cookie``: the gateway sets it where it is missing. ``bound``: an address gets at most this many times its fair
    share of the running requests; beyond it another one is used.
    """

    cookie: OptionalName = ""
    header: OptionalName = ""
    bound: Annotated[float, Meta(ge=1, le=100)] = 1.25


class ConsulSource(Section, frozen=True):
    """Instances of a service of Consul that pass their checks. ``datacenter`` ``""``: the agent's own.

    Tags ``weight=2``, ``priority=1``, ``region=eu`` and ``scheme=https`` say more of an instance, as do members of its
    ``Meta`` with these names.
    """

    service: Name
    tags: list[Name] = []  # an instance needs all of them
    datacenter: OptionalName = ""
    passing_only: bool = True  # false: instances with a warning, too
    scheme: Literal["http", "https"] = "http"
    path: RoutePath = ""  # of the addresses


class DnsSource(Section, frozen=True):
    """Addresses of a name in DNS: its SRV records (``srv``), or its A and AAAA records (``host``) with a ``port``."""

    srv: OptionalName = ""
    host: OptionalName = ""
    port: Port = 0
    scheme: Literal["http", "https"] = "http"
    path: RoutePath = ""


class ServiceSettings(Section, frozen=True):
    """What serves requests: addresses, and how they are used.

    ``addresses``, ``consul``, ``dns`` and ``file`` add up. ``weight``: its share where a route splits requests among
    services without weights of its own. ``preserve_host``: the client's ``Host`` goes on; else it is the address's.
    ``slow_start_secs``: how long a new or recovered address takes to get its full share.
    """

    addresses: list[Annotated[ServerAddress, Meta(extra={"short": "url"})]] = []
    consul: ConsulSource | None = None
    dns: DnsSource | None = None
    file: File = ""
    weight: Weight = 1.0
    strategy: Literal["round_robin", "weighted", "least_connections", "healthiest"] = "weighted"
    sticky: Stickiness | None = None
    slow_start_secs: Seconds = 0.0
    health: HealthCheck = field(default_factory=HealthCheck)
    breaker: ServiceBreaker = field(default_factory=ServiceBreaker)
    tls: Tls = field(default_factory=Tls)
    timeouts: Timeouts = field(default_factory=Timeouts)
    preserve_host: bool = False

    @property
    def uses_tls(self) -> bool:
        """Whether some address may be reached by TLS."""
        urls = any(each.url.startswith("https:") for each in self.addresses)
        found = any(each is not None and each.scheme == "https" for each in (self.consul, self.dns))
        return urls or found or self.tls != Tls()


class AddressOverride(Section, frozen=True):
    """What an operator sets of one address at run time. ``drained``: no new requests go there."""

    weight: Weight | UnsetType = UNSET
    drained: bool = False


class ServiceOverride(Section, frozen=True):
    """What an operator sets of a service at run time, wherever it is defined; ``addresses`` by URL.

    It is kept for a service and for addresses that are not there yet.
    """

    weight: Weight | UnsetType = UNSET
    addresses: dict[BaseUrl, AddressOverride] = {}


class HeaderRules(Section, frozen=True):
    """Changes of header lines, in this order: ``remove``, ``set`` (replaces), ``add``."""

    remove: list[Header] = []
    set: dict[Header, HeaderValue] = {}
    add: dict[Header, HeaderValue] = {}


class RouteRetries(Section, frozen=True):
    """Further attempts at other addresses. A request that is not safe to repeat is sent again only if it never left.

    ``statuses``: answers after which a safe request is sent to another address. ``percent``: of the running requests
    of a service may be retries; 10 always may. Requests that were in flight when the breaker of their address opened
    do not count.
    """

    attempts: Annotated[int, Meta(ge=0, le=10)] = 2
    statuses: list[Literal[429, 500, 502, 503, 504]] = field(default_factory=lambda: [502, 503, 504])
    percent: Annotated[float, Meta(ge=0, le=100)] = 20.0


class RouteSettings(Section, frozen=True):
    """Which requests go to which service. All conditions must hold; the most specific route applies.

    ``host``: a name, or ``*.`` before one. ``path``: a prefix of whole segments. ``pattern``: instead of it, segments
    with ``{name}`` for one and ``{+name}`` for the rest. ``headers``: values by name, ``*`` for any value.
    ``split``: services by weight, instead of ``service``; a weight of 0 with others at 0: those of the services.
    ``strip``: the prefix is removed from the path. ``rewrite``: it takes the place of the prefix, or with a ``pattern``
    of the whole path, and ``{name}`` in it stands for what matched. ``public``: no credential is needed. ``scopes``:
    the client's credential must have all of them. ``forward_credentials``: it goes on to the service, too.
    """

    id: RouteId = ""
    host: RouteHost = ""
    path: RoutePath = ""
    pattern: RoutePattern = ""
    methods: list[RouteMethod] = []
    headers: dict[Header, HeaderValue] = {}
    service: OptionalName = ""
    split: dict[ServiceName, Weight] = {}
    strip: bool = False
    rewrite: RouteRewrite = ""
    request_headers: HeaderRules = field(default_factory=HeaderRules)
    response_headers: HeaderRules = field(default_factory=HeaderRules)
    public: bool = False
    scopes: list[ScopeName] = []
    forward_credentials: bool = False
    limits: Limits | None = None
    retries: RouteRetries = field(default_factory=RouteRetries)
    max_body_mb: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0  # 0: no bound, as bodies are never held


class ConsulRegistration(Section, frozen=True):
    """How the gateway registers itself at Consul. ``address`` and ``port`` unset: those it listens at."""

    enabled: bool = False
    name: Name = "sluice"
    address: OptionalName = ""
    port: Port = 0
    tags: list[Name] = []
    ttl_secs: Annotated[float, Meta(ge=5, le=3600)] = 15.0


class ConsulSettings(Section, frozen=True):
    """The Consul agent. ``url`` ``""``: CONSUL_HTTP_ADDR, else http://127.0.0.1:8500.

    ``prefix``: where services and routes are kept in the KV store, with ``store: consul``.
    """

    url: OptionalBaseUrl = ""
    token: Key = ""
    datacenter: OptionalName = ""
    tls: Tls = field(default_factory=Tls)
    prefix: Name = "sluice"
    stale: bool = True  # any server may answer, not only the leader
    register: ConsulRegistration = field(default_factory=ConsulRegistration)


class DnsSettings(Section, frozen=True):
    """``servers``: host, or host:port; []: those of the system. ``least_secs``: a shorter TTL counts as this."""

    servers: list[Name] = []
    least_secs: Annotated[float, Meta(ge=0.1, le=3600)] = 1.0
    most_secs: Annotated[float, Meta(ge=1, le=86_400)] = 60.0


class DiscoverySettings(Section, frozen=True):
    """Where services are found, and where those of the admin API are kept. ``region``: of this gateway.

    ``store``: ``database``, or Consul's KV store. ``models_secs``: seconds between looks at the models of a discovered
    address.
    """

    store: Literal["database", "consul"] = "database"
    region: OptionalName = ""
    consul: ConsulSettings = field(default_factory=ConsulSettings)
    dns: DnsSettings = field(default_factory=DnsSettings)
    models_secs: Annotated[float, Meta(ge=1, le=86_400)] = 30.0
    most_services: Count = 10_000
