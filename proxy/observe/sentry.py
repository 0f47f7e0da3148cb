"""Unexpected errors on their way to Sentry (the extra ``sentry``): where they happened, never what was in the request.

Of an exception go its type, its frames and the lines of our source; not its text, which may quote the request, and no
variables. Nothing of the SDK's own is installed anywhere: it neither patches nor listens.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Final

from proxy.config.proxies import proxy_url
from proxy.config.schema import SentrySettings as Settings
from proxy.errors import ConfigError
from proxy.observe.bridge import place

if TYPE_CHECKING:
    from sentry_sdk import Client

FLUSH: Final = 2.0  # seconds at the stop
# A report costs milliseconds of the loop, and a hundred of the same tell nothing more.
EVERY: Final = 60.0  # seconds between two reports of one place
PLACES: Final = 100  # that are remembered
_OWN: Final = ("sentry_sdk", "urllib3")  # loggers of the way to Sentry: it must not report itself


class Sentry:
    """``report`` may be called in any thread and never raises; ``now`` is a clock in seconds.

    ``listen`` has it report, until it is closed, what is logged with its exception: lost tasks, failing callbacks.
    """

    def __init__(self, client: Client, now: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._now = now
        self._lock = Lock()
        self._rests: dict[str, float] = {}  # until when a place is not reported again
        self._passed_over: dict[str, int] = {}  # how often it was not
        self._handler = _Handler(self)

    def __repr__(self) -> str:
        return f"<Sentry {len(self._rests)} places>"

    def report(self, error: BaseException, request_id: str = "") -> None:
        """Tell of an error that nobody expected, unless its place was told of a moment ago."""
        where = place(error)
        passed_over = self._turn(where)
        if passed_over is None:
            return
        tags = {"request_id": request_id} if request_id else {}
        if passed_over:
            tags["passed_over"] = str(passed_over)
        try:
            _send(self._client, error, tags)
        except Exception as failure:
            logging.getLogger(__name__).warning("An error could not be reported: %s", place(failure))

    def listen(self) -> None:
        logging.getLogger().addHandler(self._handler)

    async def close(self) -> None:
        """Send what waits, for at most ``FLUSH`` seconds."""
        logging.getLogger().removeHandler(self._handler)
        loop, over = asyncio.get_running_loop(), asyncio.Event()

        def close() -> None:
            self._client.close(timeout=FLUSH)
            try:
                loop.call_soon_threadsafe(over.set)
            except RuntimeError:  # the loop was closed meanwhile
                pass

        Thread(target=close, name="sentry-flush", daemon=True).start()
        try:
            async with asyncio.timeout(FLUSH):
                await over.wait()
        except TimeoutError:
            pass

    def _turn(self, where: str) -> int | None:
        """How many reports of this place were passed over since the last; ``None``: this one is, too."""
        with self._lock:
            now = self._now()
            if now < self._rests.get(where, now):
                self._passed_over[where] = self._passed_over.get(where, 0) + 1
                return None
            if len(self._rests) >= PLACES:
                self._rests.clear()
                self._passed_over.clear()
            self._rests[where] = now + EVERY
            return self._passed_over.pop(where, 0)


class _Handler(logging.Handler):
    def __init__(self, sentry: Sentry) -> None:
        super().__init__(logging.ERROR)
        self._sentry = sentry

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not record.name.startswith(_OWN):
            self._sentry.report(error)


def opened(settings: Settings, environ: Mapping[str, str], *, version: str) -> Sentry:
    """It listens from now on, and reports through the proxy that ``environ`` names for the DSN.

    Raises ConfigError where the extra is not installed, or the DSN is none.
    """
    try:
        from sentry_sdk import Client
        from sentry_sdk.utils import BadDsn
    except ImportError:
        text = "the Sentry SDK is not installed: pip install 'sluice-gateway[sentry]'"
        raise ConfigError([f"observe.sentry: {text}"]) from None
    proxy = proxy_url(settings.dsn, environ) if "://" in settings.dsn else None
    try:
        client = Client(
            http_proxy=proxy or "",  # "": it does not look at the environment itself
            https_proxy=proxy or "",
            dsn=settings.dsn,
            environment=settings.environment or None,
            release=f"sluice@{version}",
            default_integrations=False,
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            send_client_reports=False,
            # Personal data is not sent unless asked for (send_default_pii, deprecated, is off); neither are these.
            include_local_variables=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
            spotlight=False,
            before_send=_without_text,
        )
    except (BadDsn, ValueError):  # whose text quotes it
        raise ConfigError(["observe.sentry.dsn: is no valid DSN"]) from None
    sentry = Sentry(client)
    sentry.listen()
    return sentry


def _send(client: Client, error: BaseException, tags: dict[str, str]) -> None:
    from sentry_sdk.utils import event_from_exception

    event, hint = event_from_exception(error, client_options=client.options)
    event["tags"] = dict(tags)
    client.capture_event(event, hint)


def _without_text(event: Any, hint: Any) -> Any:
    """Of an exception, and of those that led to it, all but what it says."""
    for value in event.get("exception", {}).get("values", ()):
        value["value"] = ""
        value.pop("mechanism", None)
    return event
