"""The section ``cache``: answers that are given again to equal requests."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from proxy.config.types import Header, Megabytes, Name, Section

CacheScope = Literal["owner", "key", "shared"]
CacheSecs = Annotated[float, Meta(gt=0, le=31_536_000)]


class CacheRule(Section, frozen=True):
    """What applies to some requests: those that match all of ``models``, ``clients`` and ``headers``.

    ``*`` matches any text. ``models``: as the client names them; of several, one has to match. ``clients``: their
    names, ids, or ids of keys. ``headers``: of the request. Members that are unset are those of the section.
    """

    models: list[Name] = []
    clients: list[Name] = []
    headers: dict[Header, str] = {}
    enabled: bool = True
    ttl_secs: CacheSecs | UnsetType = UNSET
    scope: CacheScope | UnsetType = UNSET


class CacheSettings(Section, frozen=True):
    """Exact answers to equal requests. Off by default.

    ``scope``: who shares answers: requests of one ``owner`` (of a credential without one: of one client), of one
    ``key``, or all. ``stale_secs``: how long an answer whose time is over is kept, for requests that no provider
    answers. ``max_temperature``: requests with a higher one are not cached. ``allow``: what else is cached:
    several ``choices``, requests with ``tools``, responses that the provider has ``stored``. ``wait_secs``: how long
    equal requests wait for the first one; 0: each is sent. ``max_answer_kb``: of one answer.
    The first of ``rules`` that matches a request applies to it.
    """

    enabled: bool = False
    ttl_secs: CacheSecs = 3600.0
    stale_secs: Annotated[float, Meta(ge=0, le=31_536_000)] = 0.0
    max_mb: Megabytes = 256.0
    max_answer_kb: Annotated[int, Meta(ge=1, le=32_768)] = 1024
    store: Literal["memory", "redis"] = "memory"
    scope: CacheScope = "owner"
    max_temperature: Annotated[float, Meta(ge=0, le=2)] = 1.0
    allow: list[Literal["choices", "tools", "stored"]] = []
    wait_secs: Annotated[int, Meta(ge=0, le=600)] = 30
    rules: list[CacheRule] = []
