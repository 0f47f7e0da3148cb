"""Failures because this machine ran out of a resource: neither the provider's fault nor the client's."""

from __future__ import annotations

import errno
import socket
from typing import Final

from proxy.errors import Overloaded

CODE: Final = "insufficient_resources"

_DESCRIPTORS: Final = "The gateway has run out of file descriptors. Raise its limit of open files (ulimit -n)."
_MEMORY: Final = "The gateway has run out of memory or threads."
_DISK: Final = "The gateway cannot write to its disk."
_BY_ERRNO: Final = {
    errno.EMFILE: _DESCRIPTORS,
    errno.ENFILE: _DESCRIPTORS,
    errno.ENOMEM: _MEMORY,
    errno.ENOBUFS: _MEMORY,
    errno.ENOSPC: _DISK,
    errno.EDQUOT: _DISK,
}


def shortage(cause: BaseException, where: str) -> Overloaded | None:
    """The 503 for a failure to reach ``where`` that a shortage caused; ``None`` for any other failure."""
    message = _message(cause)
    return None if message is None else _fault(message, cause, where)


def disk_failed(cause: OSError, where: str) -> Overloaded:
    """The 503 for a temporary file that cannot be made, written or read: full, read-only or missing alike."""
    return _fault(_BY_ERRNO.get(cause.errno or 0, _DISK), cause, where)


def _fault(message: str, cause: BaseException, where: str) -> Overloaded:
    found = Overloaded(message, code=CODE)
    found.detail = f"{where}: {cause!r}"
    return found


def _message(cause: BaseException) -> str | None:
    if isinstance(cause, MemoryError) or (isinstance(cause, RuntimeError) and "start new thread" in str(cause)):
        return _MEMORY
    if not isinstance(cause, OSError):
        return None
    if cause.errno in _BY_ERRNO:
        return _BY_ERRNO[cause.errno]
    # A resolver without a descriptor reports an unknown name, or to try again. Several failures have no number.
    unclear = isinstance(cause, socket.gaierror) or cause.errno is None
    return _DESCRIPTORS if unclear and _no_descriptor_left() else None


def _no_descriptor_left() -> bool:
    try:
        socket.socket().close()
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    return False
