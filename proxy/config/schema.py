"""The configuration's shape: what may stand in config.yaml and models.yaml.

Keys are camelCase in the files and snake_case here. Durations are seconds unless the key says
otherwise. Every struct is frozen: a loaded configuration never changes, it is replaced.
``kind`` names what a text has to be, over and above its type: ``checks`` says what that means.
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import UNSET, Meta, Struct, UnsetType, field

# The upper bounds only keep slips of the keyboard from becoming timers that never fire.
PositiveInt = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Seconds = Annotated[float, Meta(ge=0, le=10_000_000)]
Minutes = Annotated[float, Meta(gt=0, le=100_000)]
Megabytes = Annotated[float, Meta(gt=0, le=1_000_000)]
Price = Annotated[float, Meta(ge=0, le=1_000_000)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Name = Annotated[str, Meta(min_length=1, max_length=200, extra={"kind": "name"})]
NewProvider = Annotated[str, Meta(min_length=1, max_length=200, extra={"kind": "new provider"})]
KnownProvider = Annotated[str, Meta(min_length=1, max_length=200, extra={"kind": "known provider"})]
OptionalProvider = Annotated[str, Meta(max_length=200, extra={"kind": "optional provider"})]
Key = Annotated[str, Meta(extra={"kind": "key"})]
BaseUrl = Annotated[str, Meta(min_length=1, max_length=2000, extra={"kind": "base url"})]
OptionalBaseUrl = Annotated[str, Meta(max_length=2000, extra={"kind": "optional base url"})]
OptionalName = Annotated[str, Meta(max_length=200, extra={"kind": "name"})]
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
Network = Annotated[str, Meta(min_length=1, max_length=100, extra={"kind": "network"})]
Folder = Annotated[str, Meta(min_length=1, max_length=4000, extra={"kind": "folder"})]
FileOrUrl = Annotated[str, Meta(max_length=4000, extra={"kind": "file or url"})]


class Section(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A mapping in the YAML; unknown keys are refused."""


class Timeouts(Section, frozen=True):
    """The six clocks in seconds; 0 switches one off, unset inherits (model, provider, top level, default).

    connect: TCP, TLS and proxy handshake. headers: request sent to response head, streams only.
    first_content: request sent to the first meaningful event, streams only. idle: between two reads.
    total: the whole attempt. client_stall: the client takes nothing although bytes wait for it.
    """

    connect: Seconds | UnsetType = UNSET
    headers: Seconds | UnsetType = UNSET
    first_content: Seconds | UnsetType = UNSET
    idle: Seconds | UnsetType = UNSET
    total: Seconds | UnsetType = UNSET
    client_stall: Seconds | UnsetType = UNSET


class Tls(Section, frozen=True):
    """How we meet a provider over TLS. ``verify: false`` is for experiments only."""

    verify: bool = True
    ca_file: File = ""
    cert_file: File = ""
    key_file: File = ""


class Pool(Section, frozen=True):
    """Keep-alive connections to each provider origin."""

    max_connections: Count = 0  # 0: no maximum
    wait_secs: Seconds = 5.0  # how long a request waits for a place below that maximum
    idle_secs: Seconds = 50.0
    max_age_secs: Seconds = 600.0


ProviderKind = Literal["openai", "azure"]
AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")


class Provider(Section, frozen=True):
    """Who answers, where, and with which credential.

    One address or several, which share the load; one key or several, of which those rest that are refused or
    rate-limited. No key at all means that none is sent; keys that are all empty leave the provider out.
    ``kind``: how its API is addressed; unset: ``azure`` for hosts of Azure, else ``openai``.
    ``quota_group``: 429 from one of its models rests all of them. ``passthrough`` entries are ``METHOD /prefix``.
    ``any_model``: whether names that the configuration does not know are handed on to it; unset: if it has no models
    in the configuration and is not there as the fallback only.
    """

    base_url: OptionalBaseUrl = ""
    base_urls: list[BaseUrl] = []
    kind: ProviderKind | UnsetType = UNSET
    enabled: bool = True
    api_key: Key | UnsetType = UNSET
    api_keys: list[Key] | UnsetType = UNSET
    quota_group: OptionalName = ""
    timeouts: Timeouts = field(default_factory=Timeouts)
    headers: dict[Header, HeaderValue] = {}
    forward_headers: list[ForwardHeader] = []
    tls: Tls = field(default_factory=Tls)
    on_disconnect: Literal["cancel", "drain"] = "cancel"
    usage_in_stream: Literal["auto", "always", "never"] = "auto"
    dialect: str = ""  # of the answers for text, where it is not the endpoint's
    passthrough: list[Passthrough] = []
    any_model: bool | UnsetType = UNSET

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every base URL, once."""
        return tuple(dict.fromkeys(filter(None, (self.base_url, *self.base_urls))))

    @property
    def kind_name(self) -> ProviderKind:
        """``kind``, or the kind that the first address suggests."""
        if self.kind is not UNSET:
            return self.kind
        host = urlsplit(next(iter(self.addresses), "")).hostname or ""
        return "azure" if host.endswith(AZURE_HOSTS) else "openai"

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that is not empty, once."""
        one = () if self.api_key is UNSET else (self.api_key,)
        more = () if self.api_keys is UNSET else tuple(self.api_keys)
        return tuple(dict.fromkeys(filter(None, (*one, *more))))

    @property
    def keyless(self) -> bool:
        """Whether no key is wanted, as for a server on this machine."""
        return self.api_key is UNSET and self.api_keys is UNSET


class Fallback(Section, frozen=True):
    """Where a request goes when nothing else is left; ``model`` may be the provider's own name for it.

    ``on_limit``: also where only a limit of ours stands in the way. Otherwise such a request is a 429, since a limit
    that sends its excess to a paid fallback limits nothing.
    """

    provider: OptionalProvider = ""  # both are needed unless it is disabled
    model: OptionalName = ""
    enabled: bool = True
    on_limit: bool = False


Strategy = Literal["smart", "round_robin", "weighted_round_robin", "least_connections", "lowest_latency", "lowest_cost"]
Recovery = Literal["fail", "hold", "continue"]


class Routing(Section, frozen=True):
    """Which deployment is asked, and which next.

    ``strategy`` holds for every name, ``strategies`` for single ones (a model's name, or ``auto``); where neither
    says anything, ``auto`` is smart and a name that several deployments serve rotates over them.
    ``max_retry_after_secs``: after a 429 whose Retry-After is longer, one request at a time is sent as a probe, the
    first after so many seconds; 0: Retry-After is believed, however long it is.
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


class CircuitBreaker(Section, frozen=True):
    """When a deployment is left alone, and when it is tried again.

    ``missing_cooldown_secs``: a configured model that its provider does not have is requested again after so long,
    and then after twice as long each time, up to 600 s; 0: not before a restart, a reset or a reload.
    """

    enabled: bool = True  # false: no breaker ever opens
    failure_threshold: PositiveInt = 3
    cooldown_period_secs: Seconds = 60.0
    success_threshold: PositiveInt = 2
    missing_cooldown_secs: Seconds = 120.0
    stats_window_size_mins: Minutes = 5.0
    shared: bool = False  # replicas tell each other, through Redis, what is open or unavailable


class Limits(Section, frozen=True):
    """What one level allows each of its members; what is unset has no bound.

    ``burst_size``: so many requests may come at once (unset: a minute's worth, or an hour's).
    """

    enabled: bool = True
    requests_per_minute: PositiveInt | UnsetType = UNSET
    requests_per_hour: PositiveInt | UnsetType = UNSET
    tokens_per_minute: PositiveInt | UnsetType = UNSET
    concurrent: PositiveInt | UnsetType = UNSET
    burst_size: PositiveInt | UnsetType = UNSET


class TokenEstimate(Section, frozen=True):
    """What is reserved for parts of a request that have no text, and for an answer of unknown length."""

    per_image: Count = 1000
    per_audio: Count = 1000
    output: Count = 1000  # where neither the request nor the model bounds it


class RateLimiting(Section, frozen=True):
    """``per_address`` bounds all clients of one address where nobody proves who he is; unset: ten clients' worth."""

    enabled: bool = False
    store: Literal["memory", "redis"] = "memory"
    on_store_failure: Literal["local", "open", "closed"] = "local"
    max_clients: PositiveInt = 1_000_000  # so many are told apart in memory
    global_: Limits | None = field(default=None, name="global")
    per_client: Limits | None = None
    per_address: Limits | None = None
    per_model: Limits | None = None
    per_provider: Limits | None = None
    token_estimate: TokenEstimate = field(default_factory=TokenEstimate)


class Redis(Section, frozen=True):
    """Where replicas share limits and breakers."""

    url: RedisUrl = "redis://127.0.0.1:6379/0"
    prefix: RedisPrefix = "sluice"
    timeout_secs: Annotated[float, Meta(gt=0, le=60)] = 0.5


class Database(Section, frozen=True):
    """Where keys made at run time are kept: ``""`` is a SQLite file in ``data_dir``."""

    enabled: bool = True
    url: DatabaseUrl = ""


class ConfiguredKey(Section, frozen=True):
    """An API key by its hash, as ``sluice key new`` prints it. ``()`` of models or providers: all of them."""

    name: Name
    hash: KeyHash
    owner: OptionalName = ""
    enabled: bool = True
    expires: Moment = ""  # ISO 8601; "": never
    models: list[Name] = []
    providers: list[KnownProvider] = []
    scopes: list[Literal["passthrough"]] = []
    limits: Limits | None = None


class JwtClaims(Section, frozen=True):
    """Which claims say what; dots lead into objects."""

    client: Name = "sub"
    models: Name = "models"
    providers: Name = "providers"
    limits: Name = "limits"
    scope: Name = "scope"


class Jwt(Section, frozen=True):
    """Exactly one source of keys: a secret, a public key (file) or a JWKS URL. ``algorithms`` says what is accepted."""

    algorithms: list[Literal["HS256", "RS256", "ES256", "EdDSA"]] = []
    secret: Key = ""
    public_key_file: File = ""
    jwks_url: OptionalBaseUrl = ""
    jwks_refresh_secs: Seconds = 300.0
    issuer: str = ""
    audience: list[str] = []
    leeway_secs: Seconds = 30.0
    claims: JwtClaims = field(default_factory=JwtClaims)


class Auth(Section, frozen=True):
    mode: Literal["none", "keys", "jwt", "any"] = "none"
    keys: list[ConfiguredKey] = []
    jwt: Jwt | None = None


class Admin(Section, frozen=True):
    """``token`` unset: one is made at the first start and kept in ``data_dir``."""

    token: Key = ""
    protect_metrics: bool = False
    listen: ListenAddress = ""  # host:port, or unix:path; "": the address of the API


class ListenTls(Section, frozen=True):
    """The certificate that clients see; both files are read again at SIGHUP."""

    cert_file: File
    key_file: File = ""  # "": the same file


class Server(Section, frozen=True):
    """The listener and the bounds of the whole process."""

    host: ListenHost = "127.0.0.1"
    port: Port = 8080
    unix_socket: str = ""
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
    tls: ListenTls | None = None
    max_connections: PositiveInt = 20_000
    max_connections_per_address: Count = 0  # 0: no bound
    max_handshakes: PositiveInt = 200  # TLS handshakes at once
    trusted_proxies: list[Network] = []  # whose X-Forwarded-For is believed


class Probes(Section, frozen=True):
    """Asks providers for their list of models now and then, which may cost money, and tells how they answer."""

    enabled: bool = False
    every_secs: Annotated[float, Meta(ge=1, le=100_000)] = 60.0
    timeout_secs: Annotated[float, Meta(gt=0, le=60)] = 5.0


class Tracing(Section, frozen=True):
    """OpenTelemetry spans over OTLP (HTTP), the extra ``otel``."""

    enabled: bool = False
    endpoint: BaseUrl = "http://127.0.0.1:4318/v1/traces"
    headers: dict[Header, Key] = {}
    service_name: Name = "sluice"
    sample_ratio: Annotated[float, Meta(ge=0, le=1)] = 1.0


class Sentry(Section, frozen=True):
    """Where unexpected errors are reported, the extra ``sentry``."""

    dsn: Key = ""
    environment: OptionalName = ""


class Observe(Section, frozen=True):
    """What is kept and told for who watches. ``capture_prompts``: the admin sees what clients asked."""

    keep_requests: Annotated[int, Meta(ge=0, le=100_000)] = 500
    capture_prompts: bool = False
    probes: Probes = field(default_factory=Probes)
    tracing: Tracing = field(default_factory=Tracing)
    sentry: Sentry = field(default_factory=Sentry)


class Logging(Section, frozen=True):
    level: Literal["debug", "info", "warning", "error"] = "info"


# A path below the base path, or the first segment of several; ``chat`` is chat/completions.
EndpointName = Literal[
    "chat",
    "completions",
    "responses",
    "embeddings",
    "moderations",
    "images",
    "images/generations",
    "images/edits",
    "audio",
    "audio/speech",
    "audio/transcriptions",
    "audio/translations",
]


class Model(Section, frozen=True):
    """One deployment: a name that clients ask for, served by ``provider`` under its own name ``model``.

    ``endpoints`` unset: those of the ``type``. Where neither is set, nothing is known of what it serves.
    """

    name: Name
    provider: KnownProvider
    model: str = ""  # "": the same as name
    type: Name | UnsetType = UNSET
    endpoints: Annotated[list[EndpointName], Meta(min_length=1)] | UnsetType = UNSET
    context_size: Count = 0  # 0: unknown
    max_output_tokens: Count = 0
    speed_tier: Literal["fast", "medium", "slow"] = "medium"
    tags: list[Name] = []
    json_response: bool = False
    available: bool = True
    weight: Annotated[float, Meta(ge=0, le=1_000_000)] = 1.0
    max_concurrent: Count = 0  # 0: no bound
    input_price: Price | UnsetType = UNSET  # USD for a million tokens
    output_price: Price | UnsetType = UNSET
    prefill: bool = False  # it continues from an assistant message at the end
    quota_group: OptionalName = ""
    timeouts: Timeouts = field(default_factory=Timeouts)

    @property
    def upstream_model(self) -> str:
        return self.model or self.name

    @property
    def kind(self) -> str:
        """The type, ``chat`` by default."""
        return "chat" if self.type is UNSET else self.type


class ModelsFile(Section, frozen=True):
    """What a file of models may hold, or the list at a URL: no address and no credential."""

    models: list[Model] = []


class Config(Section, frozen=True):
    """Everything, loaded and checked. ``models`` has those of ``models_file`` as well."""

    models_file: FileOrUrl = ""
    models_refresh_secs: Seconds = 300.0  # how often a URL there is asked again; 0: only at a reload
    default_provider: OptionalProvider = ""
    demo: Literal["auto", "never"] = "never"  # auto: the built-in provider serves while there is no other
    hooks: list[Hook] = []  # package.module:attribute, see proxy/hooks.py
    server: Server = field(default_factory=Server)
    logging: Logging = field(default_factory=Logging)
    timeouts: Timeouts = field(default_factory=Timeouts)
    pool: Pool = field(default_factory=Pool)
    providers: dict[NewProvider, Provider] = {}
    routing: Routing = field(default_factory=Routing)
    circuit_breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    rate_limiting: RateLimiting = field(default_factory=RateLimiting)
    auth: Auth = field(default_factory=Auth)
    admin: Admin = field(default_factory=Admin)
    observe: Observe = field(default_factory=Observe)
    redis: Redis = field(default_factory=Redis)
    database: Database = field(default_factory=Database)
    data_dir: Folder = "data"  # of the working directory
    models: list[Model] = []
