"""Converting API keys to rows of the table, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from msgspec import ValidationError, convert, to_builtins

from proxy.auth.apikey import ApiKey
from proxy.config.limit_schema import Limits

Record = Mapping[str, Any]


class KeyFields(TypedDict, total=False):
    """Fields of a key that can be chosen. ``expires_at``: Unix seconds, ``None``: never."""

    name: str
    owner: str
    enabled: bool
    expires_at: float | None
    models: Sequence[str]
    providers: Sequence[str]
    scopes: Sequence[str]
    limits: Limits | None
    team: str
    project: str
    labels: Mapping[str, str]


DEFAULTS: KeyFields = {
    "owner": "",
    "enabled": True,
    "expires_at": None,
    "models": (),
    "providers": (),
    "scopes": (),
    "limits": None,
    "team": "",
    "project": "",
    "labels": {},
}


def columns(fields: KeyFields) -> dict[str, Any]:
    """The columns for these fields."""
    return {name: to_builtins(value) for name, value in fields.items()}


class RecordReader:
    """Converts rows. Reports a row that cannot be read to ``warn`` once, and treats its key as disabled."""

    def __init__(self, warn: Callable[[str], object]) -> None:
        self._warn = warn
        self._told: set[tuple[str, int]] = set()

    def key(self, record: Record) -> ApiKey:
        try:
            return convert(record, ApiKey)
        except ValidationError as error:
            # For example limits of a newer version: ignoring them would lift them.
            self._tell(record, str(error))
            kept = {name: record[name] for name in ("id", "name", "hash", "previous_hash", "revision")}
            return ApiKey(**kept, enabled=False)

    def _tell(self, record: Record, why: str) -> None:
        version = (record["id"], record["revision"])
        if version not in self._told:
            self._told.add(version)
            self._warn(f"the API key {record['id']} cannot be read and is off: {why}")
