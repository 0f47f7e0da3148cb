"""Events are sent beside the rows: by the recorder, which has the machine's only connection to their receivers."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.ledger.recorder.base import Notices
from proxy.ledger.recorder.settings import RecorderSettings

if TYPE_CHECKING:
    from proxy.events.sending.deliveries import Deliveries

HOLDER: Final = "holder"
_BYTES: Final = 8


def sending_of(settings: RecorderSettings, folder: Path, log: Notices) -> Deliveries | None:
    """``None``: there are no receivers, or (``ledger.mode: events``) no outbox. Raises ImportError."""
    events = settings.events
    if not events.receivers or (events.broker is not None and events.broker.ledger):
        return None
    from proxy.events.sending.opening import open_deliveries

    return open_deliveries(events, settings.database, holder_of(folder), log)


def holder_of(folder: Path) -> str:
    """The name of the folder's recorder among those that send events: the same each time, as only one runs.

    So a recorder that was killed does not have to wait until its hold of the receivers ends.
    """
    path = folder / HOLDER
    try:
        if found := path.read_text("ascii").strip():
            return found
    except (OSError, ValueError):
        pass
    made = secrets.token_hex(_BYTES)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, made.encode())
        finally:
            os.close(descriptor)
    except OSError:
        pass  # a read-only disk: the next recorder has another name
    return made
