"""Handler for the standard library's logging, with warnings of asyncio and aiohttp, without text of clients.

Their exceptions quote the request (aiohttp's "Bad status line" contains the line). So only the type and place of an
exception are logged, and only the first line of a message.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from proxy.observe.log import Level, Log

_FRAMES = 5


def install(log: Log) -> Callable[[], None]:
    """Send records of the root logger (warnings and above) to ``log``. Returns a function that undoes it."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    root.handlers[:] = [Bridge(log)]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)

    def undo() -> None:
        logging.captureWarnings(False)
        root.handlers[:] = before[0]
        root.setLevel(before[1])

    return undo


class Bridge(logging.Handler):
    """Writes records as lines of ``log``."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, object] = {"logger": record.name}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            fields["exception"] = place(error)
        self._log.write(_level(record.levelno), _message(record), fields)


def place(error: BaseException) -> str:
    """Type and innermost frames of an exception, without its text: ``ValueError at wire/sse.py:12 in feed``."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = [f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno} in {frame.name}" for frame in frames]
    return " at ".join((type(error).__name__, *reversed(places)))


def _level(number: int) -> Level:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"


def _message(record: logging.LogRecord) -> str:
    text = str(_tame(record.msg))
    try:
        if isinstance(record.args, Mapping):
            text %= {key: _tame(value) for key, value in record.args.items()}
        elif record.args:
            text %= tuple(map(_tame, record.args))
    except (TypeError, ValueError, KeyError, OverflowError):
        pass  # log the template unformatted
    return text.partition("\n")[0]


def _tame(value: object) -> object:
    """Numbers and text unchanged; anything else as its type, since its ``repr`` may quote the request."""
    return value if isinstance(value, (str, int, float, type(None))) else f"<{type(value).__name__}>"
