"""Reporting unexpected errors to Sentry (extra ``sentry``), without content of requests.

Of an exception, only its type, frames and lines of our source are sent: not its text, which may quote the request, and
no variables. No integration of the SDK is installed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Final

from proxy.config.observe_schema import SentrySettings as Settings
from proxy.config.proxies import proxy_url
from proxy.errors import ConfigError
from proxy.observe.bridge import place

if TYPE_CHECKING:
    from sentry_sdk import Client

FLUSH: Final = 2.0  # seconds at the stop
# A report takes milliseconds of the loop, and a hundred equal ones add nothing.
EVERY: Final = 60.0  # seconds between two reports of one place
MOST_PLACES: Final = 100
_OWN: Final = ("sentry_sdk", "urllib3")  # loggers of the reporting itself


class Sentry:
    """``report`` is thread-safe and never raises. ``now`` is a clock in seconds.

    ``listen`` also reports exceptions that are logged (lost tasks, failing callbacks), until ``close``.
    """

    def __init__(self, client: Client, now: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._now = now
        self._lock = Lock()
        self._suppressed_until: dict[str, float] = {}  # by place
        self._suppressed: dict[str, int] = {}  # number of suppressed reports by place
        self._handler = _Handler(self)

    def __repr__(self) -> str:
        return f"<Sentry {len(self._suppressed_until)} places>"

    def report(self, error: BaseException, request_id: str = "") -> None:
        """Report an unexpected error, unless its place was reported recently."""
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
        """Send what is queued, within ``FLUSH`` seconds."""
        logging.getLogger().removeHandler(self._handler)
        loop, over = asyncio.get_running_loop(), asyncio.Event()

        def close() -> None:
            self._client.close(timeout=FLUSH)
            try:
                loop.call_soon_threadsafe(over.set)
            except RuntimeError:  # the loop has been closed
                pass

        Thread(target=close, name="sentry-flush", daemon=True).start()
        try:
            async with asyncio.timeout(FLUSH):
                await over.wait()
        except TimeoutError:
            pass

    def _turn(self, where: str) -> int | None:
        """Number of suppressed reports of this place since the last one; ``None``: suppress this one as well."""
        with self._lock:
            now = self._now()
            if now < self._suppressed_until.get(where, now):
                self._suppressed[where] = self._suppressed.get(where, 0) + 1
                return None
            if len(self._suppressed_until) >= MOST_PLACES:
                self._suppressed_until.clear()
                self._suppressed.clear()
            self._suppressed_until[where] = now + EVERY
            return self._suppressed.pop(where, 0)


class _Handler(logging.Handler):
    def __init__(self, sentry: Sentry) -> None:
        super().__init__(logging.ERROR)
        self._sentry = sentry

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not record.name.startswith(_OWN):
            self._sentry.report(error)


def opened(settings: Settings, environ: Mapping[str, str], *, version: str) -> Sentry:
    """A reporter that listens, and uses the proxy that ``environ`` names for the DSN.

    Raises ConfigError if the extra is not installed or the DSN is invalid.
    """
    try:
        from sentry_sdk import Client
        from sentry_sdk.utils import BadDsn
    except ImportError:
        raise _missing_sdk() from None
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
            # Personal data is off by default (send_default_pii, deprecated); these are switched off here.
            include_local_variables=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
            spotlight=False,
            before_send=_without_text,
        )
    except (BadDsn, ValueError):
        raise _bad_dsn() from None
    sentry = Sentry(client)
    sentry.listen()
    return sentry


def otlp_of(dsn: str) -> tuple[str, Mapping[str, str]]:
    """Where a Sentry project takes OTLP over HTTP, and the header that authenticates. Raises ConfigError.

    https://docs.sentry.io/concepts/otlp/
    """
    try:
        from sentry_sdk.consts import EndpointType
        from sentry_sdk.utils import BadDsn, Dsn
    except ImportError:
        raise _missing_sdk() from None
    try:
        auth = Dsn(dsn).to_auth("sluice")
    except (BadDsn, ValueError):
        raise _bad_dsn() from None
    return auth.get_api_url(EndpointType.OTLP_TRACES), {"X-Sentry-Auth": auth.to_header()}


def _missing_sdk() -> ConfigError:
    return ConfigError(["observe.sentry: the Sentry SDK is not installed: pip install 'sluice-gateway[sentry]'"])


def _bad_dsn() -> ConfigError:
    """The text of the SDK's error quotes the DSN."""
    return ConfigError(["observe.sentry.dsn: is not a valid DSN"])


def _send(client: Client, error: BaseException, tags: dict[str, str]) -> None:
    from sentry_sdk.utils import event_from_exception

    event, hint = event_from_exception(error, client_options=client.options)
    event["tags"] = dict(tags)
    client.capture_event(event, hint)


def _without_text(event: Any, hint: Any) -> Any:
    """Remove the texts of an exception and of its causes."""
    for value in event.get("exception", {}).get("values", ()):
        value["value"] = ""
        value.pop("mechanism", None)
    return event
