"""zstd (RFC 8878), which Codex compresses its requests with, in bounded pieces."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from proxy.net.inflate import PIECE, BadCompression

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

WINDOW_LOG = 23  # RFC 9659: a window in HTTP has 8 MB at most; the decoder holds it
MAX_FRAMES = 500  # of one body: each costs 20 us, however little it holds
# The library hands back what lies behind a frame as a copy, so it is given little at a time.
_STEP = 16 * 1024
_FIRST_STEP = 256

_OPTIONS: Mapping[int, int] = {zstd.DecompressionParameter.window_log_max: WINDOW_LOG}


class ZstdDecoder:
    """Decodes one body, as ``inflate.Inflater`` does."""

    __slots__ = ("_decoder", "_frames", "_started", "_step")

    def __init__(self) -> None:
        self._decoder = zstd.ZstdDecompressor(options=_OPTIONS)
        self._frames = 1
        self._step = _STEP
        self._started = False

    @property
    def finished(self) -> bool:
        return bool(self._decoder.eof)

    @property
    def cut(self) -> bool:
        """Something was taken, but its end was not seen."""
        return self._started and not self._decoder.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decoded pieces of at most ``PIECE`` bytes, each made on demand. Raises BadCompression."""
        at = 0
        while at < len(data):
            self._started = True
            if self._decoder.eof:
                self._begin_frame()
            portion = data[at : at + self._step]
            piece = self._decompress(portion)
            while piece:
                yield piece
                piece = b"" if self._decoder.needs_input or self._decoder.eof else self._decompress(b"")
            at += len(portion) - len(self._decoder.unused_data)
            self._step = _FIRST_STEP if self._decoder.eof else min(2 * self._step, _STEP)

    def _begin_frame(self) -> None:
        """RFC 8878 3: a body is a series of frames."""
        self._frames += 1
        if self._frames > MAX_FRAMES:
            raise BadCompression("too many frames")
        self._decoder = zstd.ZstdDecompressor(options=_OPTIONS)

    def _decompress(self, data: bytes) -> bytes:
        try:
            piece: bytes = self._decoder.decompress(data, PIECE)
        except zstd.ZstdError as exc:
            raise BadCompression(str(exc)) from None
        return piece
