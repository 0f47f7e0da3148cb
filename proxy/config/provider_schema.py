"""The configuration's shape: providers and models (models.yaml, or ``providers`` and ``models`` of config.yaml)."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from msgspec import UNSET, Meta, UnsetType, field

from proxy.config.address_schema import OptionalProviderUrl, ProviderAddress, service_url
from proxy.config.patches import PatchName
from proxy.config.price_schema import PriceRows
from proxy.config.types import (
    Count,
    File,
    ForwardHeader,
    Header,
    HeaderValue,
    Key,
    KnownProvider,
    Name,
    OptionalBaseUrl,
    OptionalName,
    Passthrough,
    Price,
    Seconds,
    Section,
)


class Timeouts(Section, frozen=True):
    """The six timeouts in seconds. 0: off. Unset: inherited from provider, top level, default.

    connect: TCP, TLS and proxy handshake. headers: from the request to the head of the response, streams only.
    first_content: from the request to the first meaningful event, streams only. idle: between two reads.
    total: the whole attempt. client_stall: the client reads nothing although bytes are waiting.
    """

    connect: Seconds | UnsetType = UNSET
    headers: Seconds | UnsetType = UNSET
    first_content: Seconds | UnsetType = UNSET
    idle: Seconds | UnsetType = UNSET
    total: Seconds | UnsetType = UNSET
    client_stall: Seconds | UnsetType = UNSET


class Tls(Section, frozen=True):
    """TLS to a provider. ``verify: false`` is for experiments only."""

    verify: bool = True
    ca_file: File = ""
    cert_file: File = ""
    key_file: File = ""


class PoolSettings(Section, frozen=True):
    """Keep-alive connections to each provider origin."""

    max_connections: Count = 0  # 0: no maximum
    wait_secs: Seconds = 5.0  # how long a request waits for a place below that maximum
    idle_secs: Seconds = 50.0
    max_age_secs: Seconds = 600.0


ProviderKindName = Literal["openai", "azure", "anthropic", "gemini", "vertex", "bedrock"]
CLOUD_KINDS: Final = ("vertex", "bedrock")  # their clouds issue credentials for a time
AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")

# What a provider may speak. ``chat`` stands for all of OpenAI's endpoints except ``responses``.
WireDialect = Literal["chat", "responses", "messages", "gemini"]
CredentialName = Literal["bearer", "api-key", "x-api-key", "x-goog-api-key"]


class DialectSettings(Section, frozen=True):
    """How a provider speaks one dialect.

    Unset: its own base URL, and the credential and patches that are usual for the dialect. ``enabled: false``: not at
    all.
    """

    base_url: OptionalBaseUrl = ""
    credential: CredentialName | UnsetType = UNSET
    patches: list[PatchName] | UnsetType = UNSET
    enabled: bool = True


class Dialects(Section, frozen=True):
    """The dialects of a provider that differ from what is usual for its kind."""

    chat: DialectSettings | UnsetType = UNSET
    responses: DialectSettings | UnsetType = UNSET
    messages: DialectSettings | UnsetType = UNSET
    gemini: DialectSettings | UnsetType = UNSET


class CloudSettings(Section, frozen=True):
    """The credential of a provider whose cloud issues one for a time. Unset: what the cloud's own tools would use.

    ``credentials_file``: Google's JSON file, or AWS's shared credentials. ``profile``: its section, for AWS. The next
    three are AWS's keys. ``region``, ``service``: of AWS's signature, where the base URL's host does not name them.
    """

    credentials_file: File = ""
    profile: OptionalName = ""
    access_key_id: Key = ""
    secret_access_key: Key = ""
    session_token: Key = ""
    region: OptionalName = ""
    service: Literal["bedrock", "bedrock-mantle"] | UnsetType = UNSET


class ProviderSettings(Section, frozen=True):
    """A provider: addresses and credentials.

    Several addresses share the load by their weights; ``service://name`` stands for those of a service.
    Of several keys, those that are refused or rate-limited get a cooldown. Without a key setting, none is sent; if all
    keys are empty, the provider is not used.
    ``kind``: how its API is addressed; unset: that of the host (Azure's, Anthropic's, Google's or AWS's), else
    ``openai``, also for a service.
    ``cloud``: without a key, for the kinds ``vertex`` and ``bedrock``.
    ``dialects``: what it speaks beside or instead of the dialects of its kind.
    ``quota_group``: a 429 for one of its models starts a cooldown for all. ``passthrough``: entries ``METHOD /prefix``.
    ``any_model``: whether it accepts names that are not configured; unset: if it has no configured models and is not
    only the fallback.
    """

    base_url: OptionalProviderUrl = ""
    base_urls: list[Annotated[ProviderAddress, Meta(extra={"short": "url"})]] = []
    kind: ProviderKindName | UnsetType = UNSET
    dialects: Dialects = field(default_factory=Dialects)
    enabled: bool = True
    api_key: Key | UnsetType = UNSET
    api_keys: list[Key] | UnsetType = UNSET
    cloud: CloudSettings = field(default_factory=CloudSettings)
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
    def entries(self) -> tuple[ProviderAddress, ...]:
        """All addresses, the first of each URL."""
        own = (ProviderAddress(self.base_url),) if self.base_url else ()
        found: dict[str, ProviderAddress] = {}
        for each in (*own, *self.base_urls):
            found.setdefault(each.url, each)
        return tuple(found.values())

    @property
    def addresses(self) -> tuple[str, ...]:
        """All base URLs, without duplicates; ``service://name`` for those of a service."""
        return tuple(each.url for each in self.entries)

    @property
    def services(self) -> tuple[str, ...]:
        """Names of the services that it takes addresses from."""
        found = (service_url(address) for address in self.addresses)
        return tuple(dict.fromkeys(each.name for each in found if each is not None))

    @property
    def kind_name(self) -> ProviderKindName:
        """``kind``, or the kind suggested by the first address."""
        return _kind_at(next(iter(self.addresses), "")) if self.kind is UNSET else self.kind

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys that are not empty, without duplicates."""
        one = () if self.api_key is UNSET else (self.api_key,)
        more = () if self.api_keys is UNSET else tuple(self.api_keys)
        return tuple(dict.fromkeys(filter(None, (*one, *more))))

    @property
    def keyless(self) -> bool:
        """Whether no key is configured, as for a server on this machine."""
        return self.api_key is UNSET and self.api_keys is UNSET


_is_vertex_host = re.compile(r"(?:[a-z0-9-]+-)?aiplatform(?:\.[a-z]+\.rep)?\.googleapis\.com").fullmatch
_is_bedrock_host = re.compile(r"(?:.+\.)?bedrock-(?:runtime|mantle)(?:-fips)?\..+").fullmatch


def _kind_at(address: str) -> ProviderKindName:
    if service_url(address) is not None:
        return "openai"
    parts = urlsplit(address)
    host, path = parts.hostname or "", parts.path.rstrip("/")
    if host.endswith(AZURE_HOSTS):  # Foundry serves Claude at https://RESOURCE.services.ai.azure.com/anthropic/v1
        return "anthropic" if path.startswith("/anthropic") else "azure"
    if host == "api.anthropic.com":
        return "anthropic"
    if host == "generativelanguage.googleapis.com" and not path.endswith("/openai"):
        return "gemini"
    if _is_vertex_host(host) and not path.endswith("/openapi"):  # there it speaks OpenAI's chat
        return "vertex"
    if _is_bedrock_host(host):
        return "bedrock"
    return "openai"


# A path below the base path, or the first segment of several; ``chat`` is chat/completions, ``gemini`` are the methods
# of Google's API that generate or count.
EndpointName = Literal[
    "chat",
    "completions",
    "responses",
    "messages",
    "gemini",
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


EffortName = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
ThinkingModes = Literal["none", "budget", "both", "adaptive"]
ReturnedReasoning = Literal["no", "calls", "yes"]
CacheMarks = Literal["none", "breakpoint", "cache_control"]


class Capabilities(Section, frozen=True):
    """What a model takes in requests that are translated for it. Unset: what is known of the model and its server.

    ``like``: name of a known model that takes the same. The others are those of ``ModelFacts``
    (``proxy/dialects/translation/model_facts.py``).
    """

    like: OptionalName = ""
    efforts: list[EffortName] | UnsetType = UNSET
    fetches: bool | UnsetType = UNSET
    sampling: bool | UnsetType = UNSET
    late_system: bool | UnsetType = UNSET
    structured: bool | UnsetType = UNSET
    forced_tools: bool | UnsetType = UNSET
    thinking: ThinkingModes | UnsetType = UNSET
    returned_reasoning: ReturnedReasoning | UnsetType = UNSET
    cache_marks: CacheMarks | UnsetType = UNSET


class ModelSettings(Section, frozen=True):
    """One model of a provider: ``name`` for clients, ``model`` at the provider.

    ``endpoints`` unset: those of the ``type``. If both are unset, the endpoints are unknown. ``patches`` replace those
    of the provider, for all its dialects. ``input_price``, ``output_price``: short forms of ``prices``.
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
    prices: PriceRows | UnsetType = UNSET
    prefill: bool = False  # it continues from an assistant message at the end
    quota_group: OptionalName = ""
    timeouts: Timeouts = field(default_factory=Timeouts)
    patches: list[PatchName] | UnsetType = UNSET
    capabilities: Capabilities = field(default_factory=Capabilities)

    @property
    def upstream_model(self) -> str:
        return self.model or self.name

    @property
    def kind(self) -> str:
        """The type, ``chat`` by default."""
        return "chat" if self.type is UNSET else self.type


class ModelsFile(Section, frozen=True):
    """Content of a models file, or of a list at a URL: no addresses and no credentials."""

    models: list[ModelSettings] = []
