"""Events as CloudEvents 1.0 in JSON, in structured mode.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md and .../formats/json-format.md
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import UNSET, Struct, UnsetType, json, to_builtins

from proxy.events.base import GatewayEvent, OutboxEvent

MEDIA_TYPE: Final = "application/cloudevents+json"
BATCH_TYPE: Final = "application/cloudevents-batch+json"
TYPE_PREFIX: Final = "io.sluice."
SOURCE: Final = "/sluice"  # a relative reference; ids are unique without it


class CloudEvent(Struct, frozen=True):
    """The attributes, as they are in JSON."""

    specversion: str
    id: str
    source: str
    type: str
    time: str
    subject: str
    datacontenttype: str
    data: object
    sequence: str | UnsetType = UNSET  # an extension: CloudEvents, extensions/sequence.md


def encode(event: GatewayEvent) -> bytes:
    """The body of a request. Text that UTF-8 cannot represent is replaced."""
    made = CloudEvent(
        "1.0",
        event.id,
        SOURCE,
        TYPE_PREFIX + event.type,
        rfc3339(event.time),
        event.subject,
        "application/json",
        event.data,
        f"{event.sequence:020}" if event.sequence else UNSET,
    )
    try:
        return json.encode(made)
    except UnicodeEncodeError:
        return json.encode(_representable(to_builtins(made)))


def waiting(event: GatewayEvent) -> OutboxEvent:
    """The event as it waits to be sent."""
    return OutboxEvent(event.id, event.type, event.time, encode(event))


def batch(bodies: Sequence[bytes]) -> bytes:
    """Several encoded events as one (formats/json-format.md, section 4)."""
    return b"[%b]" % b",".join(bodies)


def rfc3339(moment: float) -> str:
    """Unix seconds as a UTC time, in whole seconds or with milliseconds."""
    whole = float(moment).is_integer()
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds" if whole else "milliseconds")
    return text.replace("+00:00", "Z")


def _representable(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_representable(key): _representable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_representable(item) for item in value]
    return value
