"""The log: one line per exchange, and messages. JSON for collectors, or readable text for terminals.

Text from clients and providers (names, codes, details) is truncated and cannot contain a line break.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import BinaryIO, Literal, Protocol, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from proxy.dialects.usage import Usage
from proxy.errors import ConfigError
from proxy.exchange import Exchange
from proxy.observe.logfile import LogFile
from proxy.observe.mask import Mask
from proxy.observe.sink import LogSink
from proxy.observe.truncate import NAME, truncate
from proxy.pricing.rates import NANO

Level = Literal["debug", "info", "warning", "error"]

RANKS: dict[Level, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}

# Most characters of a text from others.
TEXT = 4096

# Seconds; no callback blocks the loop longer.
LONGEST_CALLBACK = 60.0

# C0, C1, and characters that end a line or change the direction of text in a terminal.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Three times as fast as formatting.
_MILLISECONDS = tuple(f".{number:03d}Z" for number in range(1000))


def close(log: Log, timeout: float) -> None:
    """Write what is queued, within ``timeout`` seconds, and from now on each line at once."""
    log.attach(None)
    log.flush(timeout)


def opened(path: str, level: Level) -> Log:
    """The log of the process: in the file ``path``, or on standard error if it is ``""``. Raises ConfigError."""
    errors = Log(sys.stderr.buffer, level, readable=sys.stderr.isatty())
    if not path:
        return errors
    try:
        return Log(LogFile(path, errors.error), level, readable=False)
    except OSError as error:
        why = f"{error.strerror or error}; its folder must exist, and the gateway's user must be able to write there"
        raise ConfigError([f"observe.logFile: cannot open {path}: {why}"]) from None


class Line(msgspec.Struct, gc=False):
    """The log line of an exchange. ``None``: unknown; times are milliseconds."""

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
    failures: list[str] | UnsetType
    fallback: bool | UnsetType
    cache: str | UnsetType
    saved_usd: float | UnsetType
    patches: tuple[str, ...] | UnsetType
    dropped: tuple[str, ...] | UnsetType
    stream: bool
    ttft_ms: float | None
    duration_ms: float | None
    longest_gap_ms: float | None
    tokens: Usage | None
    cost_usd: float | UnsetType
    bytes_in: int
    bytes_fetched: int | UnsetType
    bytes_out: int
    client: str
    caller: str | UnsetType
    owner: str | UnsetType
    team: str | UnsetType
    project: str | UnsetType
    run: str | UnsetType
    labels: dict[str, str] | UnsetType


class Timed(Protocol):
    """What has ended, in seconds of the loop's clock."""

    @property
    def began(self) -> float: ...
    @property
    def ended(self) -> float | None: ...


class TimedLine(Protocol):
    """A line of what has ended."""

    @property
    def time(self) -> str: ...
    @property
    def level(self) -> Level: ...


T = TypeVar("T", bound=Timed)
L = TypeVar("L", bound=TimedLine)


class Log:
    """Writes lines of at least ``level`` to ``stream``. ``now`` is the wall clock in seconds.

    No method raises or waits, even if the stream is gone. ``catch_up`` is called before any other line is written, and
    before the level or the secrets change: observers flush their batch of exchanges there.
    """

    def __init__(self, stream: BinaryIO, level: Level, *, readable: bool, now: Callable[[], float] = time.time) -> None:
        self._rank = RANKS[level]
        self._readable = readable
        self._now = now
        self._second = -1
        self._date = ""
        self._encoder = msgspec.json.Encoder()
        self._mask = Mask()
        self._sink = LogSink(stream, self._notice)
        self._loop: asyncio.AbstractEventLoop | None = None
        self.catch_up: Callable[[], None] = _nothing

    def attach(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Batch lines on this loop, whose clock the exchanges use; ``None``: write each line at once."""
        self.catch_up()
        self._loop = loop
        self._sink.attach(loop)

    def admit(self, level: Level) -> None:
        """Set the level."""
        self.catch_up()
        self._rank = RANKS[level]

    def hide(self, secrets: Iterable[str]) -> None:
        """Set the secrets to mask in messages, details and fields."""
        self.catch_up()
        self._mask = Mask(secrets)

    def exchanges(self, ended: Sequence[Exchange]) -> None:
        """Write a line for each settled exchange, with the time of its end; all in one write."""
        self.ended(ended, _level, self._line_of, _readable_exchange)

    def ended(
        self,
        ended: Sequence[T],
        level_of: Callable[[T], Level],
        line_of: Callable[[T, str], L],
        readable: Callable[[L], str],
    ) -> None:
        """Write a line for each of what has ended, with the time of its end; all in one write.

        ``line_of`` gets the time. ``readable``: the line for a terminal, without its time and level.
        """
        rank = self._rank
        if rank > RANKS["info"]:
            ended = [each for each in ended if RANKS[level_of(each)] >= rank]
        if not ended:
            return
        lines = [line_of(each, stamp) for each, stamp in zip(ended, self._stamps(ended), strict=False)]
        if self._readable:
            self._sink.write(b"".join(_readable(line.time, line.level, readable(line)) for line in lines))
            return
        try:
            self._sink.write(self._encoder.encode_lines(lines))
        except UnicodeEncodeError:
            self._sink.write(b"".join(map(self._encode, lines)))

    def _stamps(self, ended: Sequence[Timed]) -> Iterable[str]:
        """The end of each exchange as wall time; without a loop, the present time."""
        wall = self._now()
        if self._loop is None:
            return repeat(self._stamp(wall))
        apart, stamp = wall - _running(self._loop), self._stamp
        return [stamp((exchange.ended or exchange.began) + apart) for exchange in ended]

    def _line_of(self, exchange: Exchange, stamp: str) -> Line:
        began, first, ended = exchange.began, exchange.first_content, exchange.ended
        model, upstream = exchange.model, exchange.request_model
        outcome, caller, usage = exchange.outcome, exchange.caller, exchange.usage
        if len(model) + len(upstream) > NAME:
            model, upstream = truncate(model), truncate(upstream)
        labels = exchange.labels
        usual = outcome == "ok" and len(exchange.attempts) < 2
        # By position, since 30 keyword arguments would double the cost.
        return Line(
            stamp,
            "info" if usual else _level(exchange),
            "exchange",
            exchange.request_id,
            exchange.endpoint.path,
            model,
            exchange.provider,
            upstream,
            exchange.status,
            outcome,
            exchange.error and truncate(exchange.error),
            exchange.error_detail and self.text(exchange.error_detail),
            len(exchange.attempts),
            UNSET if usual else _failures(exchange),
            exchange.fallback_used or UNSET,
            exchange.cache or UNSET,
            UNSET if exchange.saved is None else exchange.saved / NANO,
            exchange.patches or UNSET,
            exchange.dropped or UNSET,
            exchange.stream,
            round((first - began) * 1e6) / 1e3 if first is not None else None,
            round((ended - began) * 1e6) / 1e3 if ended is not None else None,
            round(exchange.longest_gap * 1e6) / 1e3 if first is not None and exchange.stream else None,
            usage if usage is None or usage.details is UNSET else usage.summed(),
            UNSET if exchange.cost is None else exchange.cost / NANO,
            exchange.bytes_in,
            exchange.bytes_fetched or UNSET,
            exchange.bytes_out,
            exchange.client,
            UNSET if caller is None else caller_name(caller.id),
            UNSET if caller is None else caller.owner or UNSET,
            UNSET if caller is None else caller.team or UNSET,
            UNSET if caller is None else caller.project or UNSET,
            exchange.run or UNSET,
            dict(labels) if labels else UNSET,
        )

    def debug(self, message: str, /, **fields: object) -> None:
        self.write("debug", message, fields)

    def info(self, message: str, /, **fields: object) -> None:
        self.write("info", message, fields)

    def warning(self, message: str, /, **fields: object) -> None:
        self.write("warning", message, fields)

    def error(self, message: str, /, **fields: object) -> None:
        self.write("error", message, fields)

    def write(self, level: Level, message: str, fields: dict[str, object]) -> None:
        """Write a message. Values of ``fields`` that JSON does not support become text."""
        if RANKS[level] >= self._rank:
            self.catch_up()
            plain = {key: _plain(value, self.text) for key, value in fields.items()}
            self._sink.put(self._line(level, self.text(message), plain))

    def flush(self, timeout: float = 0.0) -> None:
        """Write what is queued. Waits at most ``timeout`` seconds for a slow reader, for the shutdown."""
        self.catch_up()
        self._sink.flush(timeout)

    def reopen(self) -> None:
        """Open the file of ``observe.logFile`` again, after a rotation; nothing for any other stream."""
        self.catch_up()
        self._sink.reopen()

    def _notice(self, dropped: int) -> bytes:
        return self._line("warning", "Log lines were lost because the output was blocked or full.", {"lines": dropped})

    def _line(self, level: Level, message: str, fields: dict[str, object]) -> bytes:
        stamp = self._stamp(self._now())
        if self._readable:
            words = [message, *(f"{key}={value}" for key, value in fields.items())]
            return _readable(stamp, level, "  ".join(words))
        own: dict[str, object] = {"time": stamp, "level": level, "event": "log", "message": message}
        return self._encode({**own, **fields, **own})  # our fields come first and take precedence

    def _stamp(self, moment: float) -> str:
        """RFC 3339, UTC, milliseconds. The date is formatted once per second."""
        second = int(moment)
        if second != self._second:
            self._second = second
            self._date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return self._date + _MILLISECONDS[int((moment - second) * 1000)]

    def _encode(self, line: object) -> bytes:
        try:
            return self._encoder.encode(line) + b"\n"
        except UnicodeEncodeError:
            # aiohttp decodes invalid bytes of a request to lone surrogates, which JSON cannot represent.
            return self._encoder.encode(_without_surrogates(msgspec.to_builtins(line))) + b"\n"

    def text(self, text: str) -> str:
        """Text from others for a line: without secrets, and truncated."""
        # Masked before it is truncated, so that no part of a secret remains.
        masked = self._mask(text[: 2 * TEXT])
        return truncate(masked, TEXT)


def _plain(value: object, text: Callable[[str], str]) -> object:
    """``value`` as JSON supports it; its texts pass ``text``."""
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    if isinstance(value, dict):
        return {text(str(key)): _plain(item, text) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, text) for item in value]
    return text(str(value))


def _level(exchange: Exchange) -> Level:
    """``warning`` if the gateway or a provider failed; errors and disconnects of clients are ``info``."""
    if exchange.outcome in ("damaged", "broken", "cancelled"):
        return "warning"
    if exchange.outcome == "error" and not 400 <= exchange.status < 500:
        return "warning"
    return "info"


def _failures(exchange: Exchange) -> list[str] | UnsetType:
    """Failed attempts, in order."""
    found = [f"{attempt.deployment.label} {attempt.failure}" for attempt in exchange.attempts if attempt.failure]
    return found or UNSET


def caller_name(caller: str) -> str | UnsetType:
    """The client's ID beyond its address: of a key, a token's subject, or a name from a header."""
    return UNSET if caller[:8] == "address:" else truncate(caller)


def _readable(stamp: str, level: Level, text: str) -> bytes:
    visible = _CONTROL.sub(lambda found: ascii(found.group())[1:-1], text)
    return f"{stamp} {level:<7} {visible}\n".encode()


def _readable_exchange(line: Line) -> str:
    words = [
        f"{line.status or '---'} {line.outcome} {line.endpoint}",
        f"{line.model or '-'} -> {line.provider or '-'}/{line.upstream_model or '-'}",
    ]
    if line.attempts > 1:
        words.append(f"{line.attempts} attempts")
    if line.cache is not UNSET:
        words.append(f"cache {line.cache}")
    if line.ttft_ms is not None:
        words.append(f"first token {line.ttft_ms:.0f} ms")
    if line.duration_ms is not None:
        words.append(f"{line.duration_ms:.0f} ms")
    if line.tokens is not None:
        words.append(f"{_known(line.tokens.total_input)} + {_known(line.tokens.total_output)} tokens")
    if line.cost_usd is not UNSET:
        words.append(f"${line.cost_usd:.6f}")
    if line.patches:
        words.append(f"patched: {', '.join(line.patches)}")
    if line.dropped:
        words.append(f"dropped: {', '.join(line.dropped)}")
    if line.labels:
        words += [f"{name}={value}" for name, value in line.labels.items()]
    words.append(line.request_id)
    words += filter(None, (line.error, line.detail))
    return "  ".join(words)


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


def _running(loop: asyncio.AbstractEventLoop) -> float:
    """The loop's clock at this moment. uvloop's clock stands still during an iteration."""
    stands, runs = loop.time(), time.monotonic()
    # A large difference means that the loop uses another clock.
    return runs if 0.0 <= runs - stands < LONGEST_CALLBACK else stands


def _nothing() -> None:
    """Default of ``catch_up``."""
