"""One line per exchange, and the few words around it: JSON for collectors, readable text for a terminal.

What clients and providers wrote (names, codes, details) is bounded in length and cannot begin a new line.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable
from typing import BinaryIO, Literal

import msgspec

from proxy.exchange import Exchange
from proxy.observe.mask import Mask
from proxy.observe.sink import Sink
from proxy.wire.usage import Usage

Level = Literal["debug", "info", "warning", "error"]

RANKS: dict[Level, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}

# Characters kept of a name and of a text that others wrote.
NAME = 256
TEXT = 4096

# C0, C1 and the characters that end a line or turn the direction of the text in a terminal.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# A third of what it costs to format one.
_MILLISECONDS = tuple(f".{number:03d}Z" for number in range(1000))


class Line(msgspec.Struct, gc=False):
    """An exchange as it is logged. ``None`` is not known; times are milliseconds."""

    time: str
    level: Level
    event: str
    request_id: str
    endpoint: str
    model: str
    provider: str
    upstream_model: str
    status: int
    outcome: str
    error: str
    detail: str
    attempts: int
    failures: list[str] | msgspec.UnsetType
    fallback: bool | msgspec.UnsetType
    stream: bool
    ttft_ms: float | None
    duration_ms: float | None
    longest_gap_ms: float | None
    tokens: Usage | None
    bytes_in: int
    bytes_out: int
    client: str
    caller: str | msgspec.UnsetType


class Log:
    """Lines of at least ``level`` to ``stream``; ``now`` is the wall clock in seconds.

    No method raises or waits, whatever became of the stream.
    """

    def __init__(self, stream: BinaryIO, level: Level, *, readable: bool, now: Callable[[], float] = time.time) -> None:
        self._rank = RANKS[level]
        self._readable = readable
        self._now = now
        self._second = -1
        self._date = ""
        self._encoder = msgspec.json.Encoder()
        self._mask = Mask()
        self._sink = Sink(stream, self._notice)

    def attach(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Gather lines on this loop; ``None``: write each at once, as before there was one."""
        self._sink.attach(loop)

    def admit(self, level: Level) -> None:
        """From now on lines of at least ``level``."""
        self._rank = RANKS[level]

    def hide(self, secrets: Iterable[str]) -> None:
        """From now on these, and only these, are struck out of messages, details and fields."""
        self._mask = Mask(secrets)

    def exchange(self, exchange: Exchange) -> None:
        """The line of an exchange that was settled."""
        level = "info" if exchange.outcome == "ok" else _level(exchange)
        if RANKS[level] < self._rank:
            return
        began = exchange.began
        streamed = exchange.stream and exchange.first_content is not None
        # By position: a call with 22 names costs as much again.
        line = Line(
            self._stamp(),
            level,
            "exchange",
            exchange.request_id,
            exchange.endpoint.path,
            exchange.model if len(exchange.model) <= NAME else _short(exchange.model),
            exchange.provider,
            exchange.request_model if len(exchange.request_model) <= NAME else _short(exchange.request_model),
            exchange.status,
            exchange.outcome,
            _short(exchange.error) if exchange.error else "",
            self._text(exchange.error_detail) if exchange.error_detail else "",
            exchange.attempts,
            _failures(exchange) if exchange.attempts > 1 or exchange.outcome != "ok" else msgspec.UNSET,
            exchange.fallback_used or msgspec.UNSET,
            exchange.stream,
            _ms(exchange.first_content, began) if exchange.first_content is not None else None,
            _ms(exchange.ended, began) if exchange.ended is not None else None,
            _ms(exchange.longest_gap) if streamed else None,
            exchange.usage,
            exchange.bytes_in,
            exchange.bytes_out,
            exchange.client,
            _caller(exchange),
        )
        self._sink.put(_readable_exchange(line) if self._readable else self._encode(line))

    def debug(self, message: str, /, **fields: object) -> None:
        self.write("debug", message, fields)

    def info(self, message: str, /, **fields: object) -> None:
        self.write("info", message, fields)

    def warning(self, message: str, /, **fields: object) -> None:
        self.write("warning", message, fields)

    def error(self, message: str, /, **fields: object) -> None:
        self.write("error", message, fields)

    def write(self, level: Level, message: str, fields: dict[str, object]) -> None:
        """One line of ``message``; ``fields`` may hold anything, what JSON does not know becomes text."""
        if RANKS[level] >= self._rank:
            plain = {key: self._plain(value) for key, value in fields.items()}
            self._sink.put(self._line(level, self._text(message), plain))

    def flush(self, timeout: float = 0.0) -> None:
        """Write what is pending; at the stop, a slow reader is waited for at most ``timeout`` seconds."""
        self._sink.flush(timeout)

    def _notice(self, dropped: int) -> bytes:
        return self._line("warning", "Log lines were lost because nobody took them.", {"lines": dropped})

    def _line(self, level: Level, message: str, fields: dict[str, object]) -> bytes:
        stamp = self._stamp()
        if self._readable:
            words = [message, *(f"{key}={value}" for key, value in fields.items())]
            return _readable(stamp, level, "  ".join(words))
        own: dict[str, object] = {"time": stamp, "level": level, "event": "log", "message": message}
        return self._encode({**own, **fields, **own})  # ours come first, and win

    def _stamp(self) -> str:
        """RFC 3339, UTC, milliseconds. The date is formatted once per second."""
        now = self._now()
        second = int(now)
        if second != self._second:
            self._second = second
            self._date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return self._date + _MILLISECONDS[int((now - second) * 1000)]

    def _encode(self, line: Line | dict[str, object]) -> bytes:
        try:
            return self._encoder.encode(line) + b"\n"
        except UnicodeEncodeError:
            # aiohttp decodes stray bytes of a request to lone surrogates, which JSON cannot hold.
            return self._encoder.encode(_without_surrogates(msgspec.to_builtins(line))) + b"\n"

    def _text(self, text: str) -> str:
        # Masked before it is cut, so that no half of a secret stays at the end.
        masked = self._mask(text[: 2 * TEXT])
        return masked if len(masked) <= TEXT else masked[:TEXT] + "…"

    def _plain(self, value: object) -> object:
        if value is None or isinstance(value, (bool, float)):
            return value
        if isinstance(value, int) and -(2**63) <= value < 2**63:
            return value
        if isinstance(value, dict):
            return {self._text(str(key)): self._plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self._plain(item) for item in value]
        return self._text(str(value))


def _level(exchange: Exchange) -> Level:
    """A warning where the gateway or a provider failed; what clients did wrong or broke off is no news."""
    if exchange.outcome in ("broken", "cancelled"):
        return "warning"
    if exchange.outcome == "error" and not 400 <= exchange.status < 500:
        return "warning"
    return "info"


def _failures(exchange: Exchange) -> list[str] | msgspec.UnsetType:
    """What was tried in vain, in order."""
    found = [f"{trial.deployment.label} {trial.failure}" for trial in exchange.trials if trial.failure]
    return found or msgspec.UNSET


def _caller(exchange: Exchange) -> str | msgspec.UnsetType:
    """Who asked, beyond the address: a key's id, a token's subject, or the name that a client gave itself."""
    caller = exchange.caller
    return msgspec.UNSET if caller is None or caller.id.startswith("address:") else _short(caller.id)


def _ms(moment: float, since: float = 0.0) -> float:
    return round((moment - since) * 1e6) / 1e3


def _short(name: str) -> str:
    return name if len(name) <= NAME else name[:NAME] + "…"


def _readable(stamp: str, level: Level, text: str) -> bytes:
    visible = _CONTROL.sub(lambda found: ascii(found.group())[1:-1], text)
    return f"{stamp} {level:<7} {visible}\n".encode()


def _readable_exchange(line: Line) -> bytes:
    words = [
        f"{line.status or '---'} {line.outcome} {line.endpoint}",
        f"{line.model or '-'} -> {line.provider or '-'}/{line.upstream_model or '-'}",
    ]
    if line.attempts > 1:
        words.append(f"{line.attempts} attempts")
    if line.ttft_ms is not None:
        words.append(f"first token {line.ttft_ms:.0f} ms")
    if line.duration_ms is not None:
        words.append(f"{line.duration_ms:.0f} ms")
    if line.tokens is not None:
        words.append(f"{_known(line.tokens.total_input)} + {_known(line.tokens.total_output)} tokens")
    words.append(line.request_id)
    words += filter(None, (line.error, line.detail))
    return _readable(line.time, line.level, "  ".join(words))


def _known(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)


def _without_surrogates(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    return value
