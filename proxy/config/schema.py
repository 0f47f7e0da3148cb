"""The configuration's shape: what config.yaml may contain.

Keys are camelCase in the files and snake_case here. Durations are seconds unless the key says otherwise. All structs
are frozen: a loaded configuration never changes, it is replaced. Constrained types are in ``types.py``, rate limits in
``limit_schema.py``, providers and models in ``provider_schema.py``, services and routes in ``service_schema.py``,
logging and observability in ``observe_schema.py``, money in ``billing_schema.py``, events in ``events_schema.py``, the
cache of answers in ``cache_schema.py``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, field

from proxy.config.billing_schema import Billing, BudgetSettings
from proxy.config.cache_schema import CacheSettings
from proxy.config.events_schema import Events
from proxy.config.limit_schema import Limits
from proxy.config.observe_schema import Logging, Observe
from proxy.config.provider_schema import ModelSettings, PoolSettings, ProviderSettings, Timeouts
from proxy.config.service_schema import DiscoverySettings, RouteSettings, ServiceSettings
from proxy.config.types import (
    AllowedHost,
    BasePath,
    Count,
    DatabaseUrl,
    File,
    FileOrUrl,
    Folder,
    Header,
    Hook,
    Key,
    KeyHash,
    KnownProvider,
    LabelMap,
    ListenAddress,
    ListenHost,
    ListUrl,
    Megabytes,
    Minutes,
    ModelNames,
    Moment,
    Name,
    Network,
    NewProvider,
    OptionalBaseUrl,
    OptionalName,
    OptionalProvider,
    Origin,
    Port,
    PositiveInt,
    RedisPrefix,
    RedisUrl,
    ScopeName,
    Seconds,
    Section,
    ServiceName,
    SocketMode,
    SpoolMegabytes,
)


class Fallback(Section, frozen=True):
    """The last candidate of every request; ``model`` may be an upstream name.

    ``on_limit``: also used if only rate limits and budgets of the gateway stand in the way. Otherwise the response is
    429, since a limit that sends its excess to a paid fallback limits nothing. Its own budgets apply in any case.
    """

    provider: OptionalProvider = ""  # both are needed unless it is disabled
    model: OptionalName = ""
    enabled: bool = True
    on_limit: bool = False


Strategy = Literal["smart", "round_robin", "weighted_round_robin", "least_connections", "lowest_latency", "lowest_cost"]
Recovery = Literal["fail", "hold", "continue"]


class Routing(Section, frozen=True):
    """Order of the candidates, and retries.

    ``strategy`` applies to all names, ``strategies`` to single ones (a model name, or ``auto``). By default ``auto`` is
    ``smart``, and other names use ``round_robin``.
    ``max_retry_after_secs``: if a 429 has a longer Retry-After, one request at a time is sent as a probe, the first
    after this many seconds; 0: Retry-After is always followed.
    """

    max_retries: Count = 3  # deployments that are tried, the first included, before the fallback; 0: one, and once
    rate_limit_retries: Count = 2  # the same candidate again
    retry_delay: Count = 1000  # milliseconds at least, doubled each time, with up to half of it as jitter
    max_retry_delay: Count = 0  # milliseconds, before the jitter; 0: no bound
    max_retry_after_secs: Seconds = 60.0
    deadline_secs: Seconds = 0.0  # over all attempts, up to the first content; 0: only the clocks
    timeout_secs: Seconds | UnsetType = UNSET
    fallback: Fallback | None = None
    strategy: Strategy | UnsetType = UNSET
    strategies: dict[Name, Strategy] = {}
    affinity: Literal["off", "session", "prefix"] = "off"
    affinity_header: Header = "x-session-id"
    on_auth_error: Literal["next", "fail"] = "next"
    stream_recovery: Recovery = "fail"
    hedge_after_ms: Count = 0  # 0: never


class FetchSettings(Section, frozen=True):
    """Content that translated requests name by an address. The gateway fetches it where the provider takes no address.

    ``max_mb`` and ``timeout_secs`` bound all content of one request. ``private_addresses``: hosts of any network may be
    fetched from, and any port. ``via_proxy``: a forward proxy of the environment may be used, which resolves names
    itself. Without it, what is behind a proxy is not fetched.
    """

    enabled: bool = True
    max_mb: Megabytes = 20.0
    timeout_secs: Annotated[float, Meta(gt=0, le=600)] = 10.0
    private_addresses: bool = False
    via_proxy: bool = False


class Translate(Section, frozen=True):
    """Requests whose dialect a provider does not speak.

    ``on_loss``: a member that the provider's dialect lacks is left out and named in the answer's header
    ``x-router-dropped``, or the request is refused. ``orphans``: results without their tool call, and calls without a
    result, are repaired or refused.
    """

    enabled: bool = True
    on_loss: Literal["tell", "refuse"] = "tell"
    orphans: Literal["repair", "refuse"] = "repair"
    fetch: FetchSettings = field(default_factory=FetchSettings)


class CircuitBreaker(Section, frozen=True):
    """When a deployment is taken out of service, and when it is tried again.

    ``missing_cooldown_secs``: a configured model that its provider does not have is requested again after this time,
    which doubles up to 600 s; 0: only after a restart, reset or reload.
    """

    enabled: bool = True  # false: no breaker ever opens
    failure_threshold: PositiveInt = 3
    cooldown_period_secs: Seconds = 60.0
    success_threshold: PositiveInt = 2
    missing_cooldown_secs: Seconds = 120.0
    stats_window_size_mins: Minutes = 5.0
    shared: bool = False  # replicas tell each other, through Redis, what is open or unavailable


class TokenEstimate(Section, frozen=True):
    """Tokens reserved for parts of a request without text, and for output of unknown length."""

    per_image: Count = 1000
    per_audio: Count = 1000
    output: Count = 1000  # where neither the request nor the model bounds it


class RateLimiting(Section, frozen=True):
    """``per_address`` applies to all clients of an address without authentication; unset: ten times ``per_client``."""

    enabled: bool = False
    store: Literal["memory", "redis"] = "memory"
    on_store_failure: Literal["local", "open", "closed"] = "local"
    max_clients: PositiveInt = 1_000_000  # distinguished in memory
    global_: Limits | None = field(default=None, name="global")
    per_client: Limits | None = None
    per_address: Limits | None = None
    per_model: Limits | None = None
    per_provider: Limits | None = None
    token_estimate: TokenEstimate = field(default_factory=TokenEstimate)


class Redis(Section, frozen=True):
    """The Redis that replicas share for limits and breakers."""

    url: RedisUrl = "redis://127.0.0.1:6379/0"
    prefix: RedisPrefix = "sluice"
    timeout_secs: Annotated[float, Meta(gt=0, le=60)] = 0.5


class Database(Section, frozen=True):
    """The database of keys made at run time and of the ledger; ``""``: a SQLite file in ``data_dir``.

    ``read_url``: where pages and analytics read, for example a replica; ``""``: the same.
    """

    enabled: bool = True
    url: DatabaseUrl = ""
    read_url: DatabaseUrl = ""


class LedgerSettings(Section, frozen=True):
    """What each attempt used and cost.

    ``mode``: ``database`` writes it into the database; ``events`` sends it to the broker of ``events.url``, from which
    ``sluice ledger consume`` writes it into a database elsewhere. ``lost``: how an attempt is rated whose gateway was
    killed before its end. ``spool_mb``: what may wait on the disk for the database or the broker. ``on_full``: then
    calls are refused, or go unrecorded.
    """

    enabled: bool = True
    mode: Literal["database", "events"] = "database"
    lost: Literal["estimate", "zero"] = "estimate"
    spool_mb: SpoolMegabytes = 1024.0
    on_full: Literal["refuse", "forget"] = "refuse"
    keep_days: PositiveInt = 90  # rows
    keep_hours_days: PositiveInt = 730  # sums by hour, run and label


class ConfiguredKey(Section, frozen=True):
    """An API key by its hash, as printed by ``sluice key new``. No models or providers: all of them.

    ``owner``, ``team``, ``project`` and ``labels`` say to whom its calls are accounted.
    """

    name: Name
    hash: KeyHash
    owner: OptionalName = ""
    team: OptionalName = ""
    project: OptionalName = ""
    labels: LabelMap = {}
    enabled: bool = True
    expires: Moment = ""  # ISO 8601; "": never
    models: list[Name] = []
    providers: list[KnownProvider] = []
    scopes: list[ScopeName] = []
    limits: Limits | None = None


class ConfiguredCertificate(Section, frozen=True):
    """Clients by the name in their certificate; ``*`` matches any text. No models or providers: all of them.

    ``owner`` ``""``: the name in the certificate.
    """

    name: Name
    owner: OptionalName = ""
    team: OptionalName = ""
    project: OptionalName = ""
    labels: LabelMap = {}
    models: list[Name] = []
    providers: list[KnownProvider] = []
    scopes: list[ScopeName] = []
    limits: Limits | None = None


class JwtClaims(Section, frozen=True):
    """Names of the claims; dots separate nested members. ``""``: no claim says it."""

    client: Name = "sub"
    owner: OptionalName = "sub"
    team: OptionalName = ""
    project: OptionalName = ""
    labels: OptionalName = ""
    models: Name = "models"
    providers: Name = "providers"
    limits: Name = "limits"
    scope: Name = "scope"


class Jwt(Section, frozen=True):
    """Verification of JWTs. Exactly one source of keys: a secret, a public key file or a JWKS URL."""

    algorithms: list[Literal["HS256", "RS256", "ES256", "EdDSA"]] = []
    secret: Key = ""
    public_key_file: File = ""
    jwks_url: OptionalBaseUrl = ""
    jwks_refresh_secs: Seconds = 300.0
    issuer: str = ""
    audience: list[str] = []
    leeway_secs: Seconds = 30.0
    token_minutes: PositiveInt = 30  # of tokens that `sluice token new` signs with the secret
    claims: JwtClaims = field(default_factory=JwtClaims)


class Auth(Section, frozen=True):
    """``certificates``: clients that need no other credential, in every mode but ``none``; the first match applies."""

    mode: Literal["none", "keys", "jwt", "certificates", "any"] = "none"
    keys: list[ConfiguredKey] = []
    certificates: list[ConfiguredCertificate] = []
    jwt: Jwt | None = None


class Admin(Section, frozen=True):
    """``token`` unset: one is generated at the first start and kept in ``data_dir``."""

    token: Key = ""
    protect_metrics: bool = False
    listen: ListenAddress = ""  # host:port, or unix:path; "": the address of the API


class ListenTls(Section, frozen=True):
    """The listener's certificate, and the CA of client certificates; all files are read again at SIGHUP."""

    cert_file: File
    key_file: File = ""  # "": the same file
    client_ca: File = ""  # one or more certificates; "": clients need none
    client_auth: Literal["require", "optional"] = "require"  # optional: an invalid certificate is still refused


class ServerSettings(Section, frozen=True):
    """The listener, and limits of the whole process."""

    host: ListenHost = "127.0.0.1"
    port: Port = 8080
    unix_socket: str = ""
    unix_socket_mode: SocketMode = ""  # octal; "": as the umask has it
    base_path: BasePath = "/api/v1"  # /v1 is always there
    reuse_port: bool = False
    insecure: bool = False  # listen beyond loopback without authentication
    allowed_hosts: list[AllowedHost] = []
    cors_origins: list[Origin] = []
    max_body_mb: Megabytes = 50.0
    max_answer_mb: Megabytes = 32.0
    max_in_flight: PositiveInt = 10_000
    max_buffered_mb: Megabytes = 1024.0
    header_timeout_secs: Seconds = 15.0
    body_timeout_secs: Seconds = 30.0
    keep_alive_secs: Seconds = 75.0
    ping_after: Seconds = 15.0
    drain_secs: Seconds = 10.0
    shutdown_delay_secs: Seconds = 0.0  # serve on while /ready is 503, before the drain
    tls: ListenTls | None = None
    max_connections: PositiveInt = 20_000
    max_connections_per_address: Count = 0  # 0: no bound
    max_handshakes: PositiveInt = 200  # TLS handshakes at once
    trusted_proxies: list[Network] = []  # whose X-Forwarded-For is believed
    proxy_protocol: bool = False  # connections from trusted_proxies begin with its header


class Config(Section, frozen=True):
    """The whole configuration, loaded and checked. ``models`` includes those of ``models_file``."""

    models_file: FileOrUrl = ""
    models_refresh_secs: Seconds = 300.0  # between fetches of a URL; 0: only at a reload
    prices_url: ListUrl = ""  # "": the shipped prices of providers
    prices_refresh_secs: Seconds = 86_400.0  # between fetches of it; 0: only at a reload
    default_provider: OptionalProvider = ""
    demo: Literal["auto", "never"] = "never"  # auto: the built-in provider serves while there is no other
    hooks: list[Hook] = []  # package.module:attribute, see proxy/hooks.py
    server: ServerSettings = field(default_factory=ServerSettings)
    logging: Logging = field(default_factory=Logging)
    timeouts: Timeouts = field(default_factory=Timeouts)
    pool: PoolSettings = field(default_factory=PoolSettings)
    providers: dict[NewProvider, ProviderSettings] = {}
    routing: Routing = field(default_factory=Routing)
    translate: Translate = field(default_factory=Translate)
    circuit_breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    rate_limiting: RateLimiting = field(default_factory=RateLimiting)
    cache: CacheSettings = field(default_factory=CacheSettings)
    auth: Auth = field(default_factory=Auth)
    admin: Admin = field(default_factory=Admin)
    observe: Observe = field(default_factory=Observe)
    redis: Redis = field(default_factory=Redis)
    database: Database = field(default_factory=Database)
    billing: Billing = field(default_factory=Billing)
    budgets: list[BudgetSettings] = []
    events: Events = field(default_factory=Events)
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    data_dir: Folder = "data"  # of the working directory
    models: list[ModelSettings] = []
    aliases: dict[Name, ModelNames] = {}  # `*` in an alias matches any text
    services: dict[ServiceName, ServiceSettings] = {}
    routes: list[RouteSettings] = []
    discovery: DiscoverySettings = field(default_factory=DiscoverySettings)

    @property
    def records_usage(self) -> bool:
        """Whether each attempt is recorded, for the database or for the broker."""
        return self.ledger.enabled and (self.ledger.mode == "events" or self.database.enabled)

    @property
    def has_ledger(self) -> bool:
        """Whether the database has the ledger, so that it tells what was used and spent."""
        return self.ledger.enabled and self.ledger.mode == "database" and self.database.enabled
