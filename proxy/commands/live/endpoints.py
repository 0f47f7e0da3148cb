"""Other addresses of the configuration: the model list, the key set for tokens, traces and Sentry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from proxy.auth import jwks, keyset
from proxy.client.dial import Dialer
from proxy.commands.live.finding import Finding, Live, failed, ok, warning
from proxy.commands.live.reach import reach, reason, through
from proxy.config import remote
from proxy.config.checks import is_url
from proxy.config.loader import bare
from proxy.config.provider_schema import Tls
from proxy.config.proxies import Proxies
from proxy.config.remote import FetchFailed
from proxy.errors import GatewayError

if TYPE_CHECKING:
    from proxy.commands.live.run import Check


def checks(live: Live) -> Iterator[Check]:
    config = live.config
    if is_url(config.models_file):
        yield "modelsFile", partial(_models_file, live)
    jwt = config.auth.jwt if config.auth.mode in ("jwt", "any") else None
    if jwt is not None and jwt.jwks_url:
        yield "auth.jwt.jwksUrl", partial(_jwks, live, jwt.jwks_url)
    if config.observe.tracing.enabled:
        yield "observe.tracing", partial(_reached, live, "observe.tracing", config.observe.tracing.endpoint)
    if dsn := config.observe.sentry.dsn:
        yield "observe.sentry", partial(_reached, live, "observe.sentry", dsn)


async def _models_file(live: Live) -> Sequence[Finding]:
    url = live.config.models_file
    try:
        found = await remote.fetch(url, live.environ)
    except FetchFailed as error:  # the configuration was loaded, so there is a copy
        text = f"{bare(url)} {error}; the last valid list stays in use"
        return [warning("modelsFile", text)]
    way = through(Proxies(live.environ), url)
    return [ok("modelsFile", f"{bare(url)} answers{way}, {len(found)} bytes")]


async def _jwks(live: Live, url: str) -> Sequence[Finding]:
    way = through(Proxies(live.environ), url)
    try:
        keyset.parse(await jwks.fetch(url, live.environ))
    except FetchFailed as error:
        return [failed("auth.jwt.jwksUrl", f"{bare(url)}{way} {error}; no token can be verified")]
    return [ok("auth.jwt.jwksUrl", f"{bare(url)}{way} has keys that verify tokens")]


async def _reached(live: Live, name: str, url: str) -> Sequence[Finding]:
    """Whether a connection can be made. Nothing is sent: it would be recorded there."""
    origin = _origin(url)
    way = through(Proxies(live.environ), origin)
    try:
        await reach(Dialer(live.environ), origin, Tls())
    except GatewayError as error:
        # The messages are about providers.
        why = reason(error).replace("The provider's", "Its").replace("the provider", "it").replace("The provider", "It")
        return [warning(name, f"{origin}{way}: {why}; nothing is reported there until it answers")]
    return [ok(name, f"{origin}{way} accepts connections")]


def _origin(url: str) -> str:
    """Scheme, host and port: a DSN has its key before the host."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
