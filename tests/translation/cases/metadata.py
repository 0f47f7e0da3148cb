"""Metadata of requests, tiers of service, and what would need a state at the provider."""

from __future__ import annotations

from typing import Any

from tests.translation.cases.caching import AT_OPENAI, LIMIT_AT_OPENAI
from tests.translation.cells import APIS, GPT, Api, But, Feature, Json

TAGS = {"metadata": {"a": "b"}}
LABELS = {"labels": {"a": "b"}}
TAG_NAMES: dict[Api, str] = {"chat": "metadata", "responses": "metadata", "gemini": "labels"}
STORED: dict[Api, Json] = {"chat": {"store": True}, "responses": {"store": True}, "gemini": {"store": True}}

USERS = [
    Feature(
        "End user",
        call={
            "chat": {"user": "ann"},
            "responses": {"safety_identifier": "ann"},
            "messages": {"metadata": {"user_id": "ann"}},
        },
        sent={
            "chat": {"user": "ann"},
            "responses": {"safety_identifier": "ann"},
            "messages": {"metadata": {"user_id": "ann"}},
        },
        lost={"gemini": "told"}, names={"chat": "user", "responses": "safety_identifier", "messages": "metadata.user_id"},
    ),
    Feature(
        "End user", "by its other name",
        call={"chat": {"safety_identifier": "ann"}, "responses": {"user": "ann"}},
        sent={
            "chat": {"user": "ann"},
            "responses": {"safety_identifier": "ann"},
            "messages": {"metadata": {"user_id": "ann"}},
        },
        lost={"gemini": "told"}, names={"chat": "safety_identifier", "responses": "user"},
    ),
    Feature(
        "Metadata",
        call={"chat": TAGS, "responses": TAGS, "gemini": LABELS}, sent={"responses": TAGS},
        lost=dict.fromkeys(("chat", "messages", "gemini"), "told"), names=TAG_NAMES,
    ),
    Feature(
        "Metadata of messages",
        call={"messages": {"metadata": {"user_id": "ann", "a": "b"}}},
        sent={"chat": {"user": "ann"}, "responses": {"safety_identifier": "ann"}},
        lost=dict.fromkeys(("chat", "responses", "gemini"), "told"), names={"messages": "metadata.a"},
        but={("messages", "gemini"): But(dropped=("metadata.user_id", "metadata.a"))},
    ),
    Feature(
        "`store`",
        call=STORED,
        lost=dict.fromkeys(APIS, "told"),
        names={"chat": "store", "responses": "store", "gemini": "store"},
    ),
]  # fmt: skip


def tier(name: str) -> Json:
    return {"service_tier": name}


def g_tier(name: str) -> Json:
    return {"serviceTier": name}


TIER_NAMES: dict[Api, str] = {
    "chat": "service_tier", "responses": "service_tier", "messages": "service_tier", "gemini": "serviceTier",
}  # fmt: skip
TIERS = [
    Feature(
        "Service tier", "auto",
        call={"chat": tier("auto"), "responses": tier("auto"), "messages": tier("auto"), "gemini": g_tier("unspecified")},
        sent={"responses": tier("auto"), "messages": tier("auto")},
        but={("gemini", "responses"): But(sent={}), ("gemini", "messages"): But(sent={})},
    ),
    Feature(
        "Service tier", "default",
        call={
            "chat": tier("default"), "responses": tier("default"), "messages": tier("standard_only"), "gemini": g_tier("standard"),
        },
        sent={"responses": tier("default"), "messages": tier("standard_only"), "gemini": g_tier("standard")},
        providers=("responses", "messages", "gemini"),
    ),
    Feature(
        "Service tier", "flex",
        call={"chat": tier("flex"), "responses": tier("flex"), "gemini": g_tier("flex")},
        sent={"responses": tier("flex"), "gemini": g_tier("flex")},
        providers=("responses", "gemini"),
    ),
    Feature(
        "Service tier that the provider lacks",
        call={"responses": tier("flex"), "messages": tier("standard_only"), "gemini": g_tier("flex")},
        lost={"chat": "told"}, names=TIER_NAMES, providers=("chat",),
    ),
    Feature(
        "Service tier that the provider lacks", "flex",
        call={"chat": tier("flex"), "responses": tier("flex"), "gemini": g_tier("flex")},
        lost={"messages": "told"}, names=TIER_NAMES, providers=("messages",),
    ),
    Feature(
        "Service tier that the provider lacks", "scale",
        call={"chat": tier("scale"), "responses": tier("scale")},
        lost={"gemini": "told"}, names=TIER_NAMES, providers=("gemini",),
    ),
    Feature(
        "Service tier, at OpenAI",
        call={"responses": tier("flex"), "messages": tier("standard_only"), "gemini": g_tier("flex")},
        sent={"chat": tier("flex")},
        providers=("chat",), server=AT_OPENAI, model={"chat": GPT},
        but={("messages", "chat"): But(sent=tier("default") | LIMIT_AT_OPENAI)},
    ),
    Feature(
        "`speed`",
        call={"messages": {"speed": "fast"}}, sent={"responses": tier("fast")},
        lost={"chat": "told", "gemini": "told"}, names={"messages": "speed"},
    ),
]  # fmt: skip


def needs_state(row: str, client: Api, **members: Any) -> list[Feature]:
    return [
        Feature(
            row, name, call={client: {name: value}},
            lost=dict.fromkeys(APIS, "400"), names={client: name},
        )
        for name, value in members.items()
    ]  # fmt: skip


STATE = [
    *needs_state(
        "State: `previous_response_id`, `conversation`, `prompt`, `background`", "responses",
        previous_response_id="resp_1", conversation="conv_1", prompt={"id": "pmpt_1"}, background=True,
    ),
    *needs_state("State: `thread`, `compaction`, `safeguards`", "messages", thread={"id": "t"}, compaction={}, safeguards={}),
    *needs_state("State: `cachedContent`, `continuationToken`", "gemini", cachedContent="cachedContents/1", continuationToken="t"),
]  # fmt: skip

FEATURES = [*USERS, *TIERS, *STATE]
