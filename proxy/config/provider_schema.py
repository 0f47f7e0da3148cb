"""The configuration's shape: providers and models (models.yaml, or ``providers`` and ``models`` of config.yaml)."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import UNSET, Meta, UnsetType, field

from proxy.config.types import (
    BaseUrl,
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


class PoolSettings(Section, frozen=True):
    """Keep-alive connections to each provider origin."""

    max_connections: Count = 0  # 0: no maximum
    wait_secs: Seconds = 5.0  # how long a request waits for a place below that maximum
    idle_secs: Seconds = 50.0
    max_age_secs: Seconds = 600.0


ProviderKind = Literal["openai", "azure"]
AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")


class ProviderSettings(Section, frozen=True):
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


class ModelSettings(Section, frozen=True):
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

    models: list[ModelSettings] = []
