"""One POST to a webhook, by aiohttp's client: its TLS, and the forward proxies of the environment."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

from msgspec import Struct

from proxy.config.proxies import proxy_url
from proxy.errors import ConfigError

TIMEOUT_SECS: Final = 15.0  # Standard Webhooks, "Request timeouts": 15 to 30 s


class WebhookAnswer(Struct, frozen=True):
    """``retry_after``: seconds; ``None``: not said."""

    status: int
    retry_after: float | None


class NoAnswer(Exception):
    """The receiver did not answer. The text is the reason, without its address."""


class SendWebhook(Protocol):
    """Sends the body to the URL. Raises NoAnswer."""

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Awaitable[WebhookAnswer]: ...


class WebhookSender:
    """``tls`` makes the context of connections, ``environ`` names forward proxies, ``wall`` is Unix time.

    Each POST has a connection of its own: events are rare, and receivers close idle connections. Redirects are not
    followed. Nothing of the answer's body is read.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        tls: Callable[[], ssl.SSLContext],
        wall: Callable[[], float],
        timeout: float = TIMEOUT_SECS,
    ) -> None:
        self._environ = environ
        self._tls = tls
        self._wall = wall
        self._timeout = timeout

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        """Raises NoAnswer."""
        # A slow import, needed only here.
        from aiohttp import ClientError, ClientSession, ClientSSLError, ClientTimeout, DummyCookieJar, TCPConnector
        from yarl import URL

        address = str(url)  # a plain text: aiohttp must not see the type of a secret
        try:
            async with (
                ClientSession(
                    connector=TCPConnector(force_close=True),
                    cookie_jar=DummyCookieJar(),
                    timeout=ClientTimeout(total=self._timeout),
                    headers={"User-Agent": "sluice"},
                ) as session,
                session.post(
                    URL(address, encoded=True),
                    data=body,
                    headers=headers,
                    ssl=self._tls() if address.startswith("https:") else True,
                    proxy=proxy_url(address, self._environ),
                    allow_redirects=False,
                ) as response,
            ):
                return WebhookAnswer(response.status, self._retry_after(response.headers.get("Retry-After", "")))
        except TimeoutError:
            raise NoAnswer(f"no answer within {self._timeout:g} s") from None
        except ClientSSLError:
            raise NoAnswer("TLS failed, or its certificate is not valid") from None
        except ConfigError as error:
            raise NoAnswer(str(error)) from None
        except (ClientError, OSError, ValueError) as error:  # its text may contain the address
            raise NoAnswer(_reason(error)) from None

    def _retry_after(self, text: str) -> float | None:
        """Seconds, or an HTTP date (RFC 9110, section 10.2.3)."""
        if text.isascii() and text.isdecimal():
            return float(text[:9])
        try:
            return max(parsedate_to_datetime(text).timestamp() - self._wall(), 0.0)
        except (ValueError, OverflowError):
            return None


def _reason(error: Exception) -> str:
    cause = getattr(error, "os_error", error)
    return (cause.strerror if isinstance(cause, OSError) else None) or type(error).__name__
