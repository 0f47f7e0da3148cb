"""Events of API keys: ``key_created`` when one works from now on, ``key_revoked`` when it no longer does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from proxy.auth.records import Record
from proxy.events.base import Announcer, GatewayEvent, event_id
from proxy.events.receivers import EventReceivers

if TYPE_CHECKING:
    from proxy.database.outbox import OutboxRow

Reason = Literal["created", "rotated", "enabled", "deleted", "disabled", "expired"]
_Type = Literal["key_created", "key_revoked"]


class KeyData(Struct, frozen=True):
    """A key after the change. Neither its secret nor a hash of it.

    ``reason``: ``created``, ``rotated`` (it has a new secret) or ``enabled`` again; or ``deleted``, ``disabled`` or
    ``expired`` by an earlier ``expires_at``. Times are Unix seconds, ``None``: never. ``models``, ``providers``: all,
    if empty. ``revision`` orders the events of a key. ``previous_until``: until when the secret before the rotation
    works; ``None``: there is none that does.
    """

    id: str
    name: str
    reason: Reason
    at: float
    owner: str
    team: str
    project: str
    labels: Mapping[str, str]
    models: Sequence[str]
    providers: Sequence[str]
    scopes: Sequence[str]
    enabled: bool
    expires_at: float | None
    revision: int
    previous_until: float | None


class KeyAnnouncer:
    """Tells changes of keys in the database: the ``KeyEvents`` of its table.

    ``announcer``: where events go after the commit instead, if this database has no outbox that is sent
    (``ledger.mode: events``). A process that is killed between the two loses them.
    """

    def __init__(self, receivers: EventReceivers, announcer: Announcer | None = None) -> None:
        self._receivers = receivers
        self._announcer = announcer

    def wanted(self) -> bool:
        """Whether any receiver gets events of keys."""
        return self._receivers.want("key_created") or self._receivers.want("key_revoked")

    def rows(self, before: Record | None, after: Record) -> Sequence[OutboxRow]:
        """Rows of the outbox for a change. ``before``: ``None``: the key is new."""
        event = None if self._announcer is not None else key_event(before, after)
        return [] if event is None else self._receivers.rows(event)

    def committed(self, before: Record | None, after: Record) -> None:
        """The change is in the database."""
        event = None if self._announcer is None else key_event(before, after)
        if self._announcer is not None and event is not None:
            self._announcer.offer(event)


def key_event(before: Record | None, after: Record) -> GatewayEvent | None:
    """The event of a change; ``None``: the key worked before as it does now, or neither."""
    change = _change(before, after)
    if change is None:
        return None
    type_, reason = change
    at, until = after["changed_at"], after["previous_until"]
    data = KeyData(
        id=after["id"],
        name=after["name"],
        reason=reason,
        at=at,
        owner=after["owner"],
        team=after["team"],
        project=after["project"],
        labels=after["labels"],
        models=after["models"],
        providers=after["providers"],
        scopes=after["scopes"],
        enabled=after["enabled"] and reason != "deleted",
        expires_at=after["expires_at"],
        revision=after["revision"],
        previous_until=until if until is not None and until > at else None,
    )
    return GatewayEvent(event_id(type_, data.id, data.revision), type_, at, data.id, data)


def _change(before: Record | None, after: Record) -> tuple[_Type, Reason] | None:
    if before is None:
        return "key_created", "created"
    if after["deleted"]:
        return "key_revoked", "deleted"
    if after["hash"] != before["hash"]:
        return "key_created", "rotated"
    at = after["changed_at"]
    worked, works = _works(before, at), _works(after, at)
    if works and not worked:
        return "key_created", "enabled"
    if worked and not works:
        return "key_revoked", "expired" if after["enabled"] else "disabled"
    return None


def _works(record: Mapping[str, Any], at: float) -> bool:
    expires_at = record["expires_at"]
    return record["enabled"] and (expires_at is None or expires_at > at)
