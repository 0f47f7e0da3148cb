"""The child of a gateway: ``python -m proxy.ledger.recorder``, with its settings as JSON on standard input."""

from __future__ import annotations

import os
import sys
from typing import Final

import msgspec

from proxy.ledger.recorder.lines import LineWriter
from proxy.ledger.recorder.settings import RecorderSettings

STDIN: Final = 0
STDERR: Final = 2


def main() -> int:
    with open(STDIN, "rb", closefd=False) as file:
        settings = msgspec.json.decode(file.read(), type=RecorderSettings)
    os.set_blocking(STDERR, False)  # a gateway that does not read must not stop the recorder
    if settings.database.kind == "sqlite" and not settings.events.receivers:
        # asyncio does without TLS if there is none: 4 MB less. asyncpg needs it, and what sends events.
        sys.modules["ssl"] = None  # type: ignore[assignment]
    from proxy.ledger.recorder.process import run_recorder

    return run_recorder(settings, LineWriter(STDERR, readable=False))


if __name__ == "__main__":
    sys.exit(main())
