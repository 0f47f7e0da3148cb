"""The private names of aiohttp that the server uses. They may change in any release, so they are checked at start.

A name stands in this list or is not used: ``tests/server/test_aiohttp_internals.py`` walks the sources.
"""

from __future__ import annotations

from typing import Final

from aiohttp import __version__ as version
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from proxy.errors import ConfigError

__all__ = ["ErrInfo", "check"]

_MISFIT: Final = (
    f"aiohttp {version} does not fit: it has no %s."
    " Install the version that Sluice was tested with: pip install 'aiohttp~=3.14.0'"
)
try:
    from aiohttp.web_protocol import _ErrInfo as ErrInfo
except ImportError as error:
    raise ImportError(_MISFIT % "_ErrInfo") from error

NAMES: Final[dict[type, tuple[str, ...]]] = {
    BaseProtocol: (
        "_buffer_paused",
        "_loop",
        "_parser",
        "_pause_transport_reading",
        "_paused",
        "_reading_paused",
        "_resume_transport_reading",
        "_upgraded",
    ),
    RequestHandler: (
        "_close",
        "_force_close",
        "_keepalive_handle",
        "_keepalive_timeout",
        "_manager",
        "_messages",
        "_msg_queue_resume_size",
        "_next_keepalive_close_time",
        "_process_keepalive",
        "_resume_reading_if_drained",
        "_task_handler",
        "_waiter",
    ),
    StreamReader: ("_buffer", "_cursor", "_eof", "_exception", "_protocol"),
    ErrInfo: ("exc",),
}


def check(names: dict[type, tuple[str, ...]] = NAMES) -> None:
    """Raises ConfigError if this version of aiohttp lacks one of the names."""
    missing = [f"{each.__name__}.{name}" for each, found in names.items() for name in found if not hasattr(each, name)]
    if missing:
        raise ConfigError([_MISFIT % ", ".join(missing)])
