"""Each provider: a connection to each address, its list of models with each key, and configured models it lacks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from proxy import __version__
from proxy.addresses.book import AddressBook
from proxy.client.dial import Dialer
from proxy.client.get_models import MOST_NAMES, ListRefused, ModelsRequest
from proxy.commands.live.finding import Finding, Live, failed, ok, warning
from proxy.commands.live.reach import reach, reason, through
from proxy.config.loader import bare
from proxy.config.proxies import Proxies
from proxy.config.remote import FetchFailed
from proxy.config.schema import Config
from proxy.errors import GatewayError, UpstreamAuthFailed
from proxy.providers.keys import Key
from proxy.providers.model_list import NotAList
from proxy.providers.provider import Provider, Site
from proxy.providers.state import state_of
from proxy.routing.addresses import present_addresses

if TYPE_CHECKING:
    from proxy.commands.live.run import Check

ANSWER_SECS: Final = 8.0  # of the list; less than the limit of a check, so that the finding names the address
SHOWN: Final = 5  # models in a finding

_REFUSED: Final = {
    "auth": "The provider refused the gateway's credential",
    "out_of_quota": "The provider's account has no credit left",
    "payment_required": "The provider's account has no credit left",
    "forbidden": "The provider does not allow this key, account or address",
}


def checks(live: Live) -> Iterator[Check]:
    dialer = Dialer(live.environ)
    request = ModelsRequest(dialer.context, live.environ)
    book = AddressBook()
    for name, service in live.config.services.items():
        book.put(name, service, service.addresses, 0.0)
    for name, settings in live.config.providers.items():
        provider = Provider(name, settings, state_of(settings), version=__version__, any_model=False)
        provider.place(present_addresses(provider, book.group))
        for site, key in _pairs(provider):
            label = _label(site, key)
            if not site.address.present:
                yield label, partial(_absent, label, site)
                continue
            yield label, partial(_site, live, dialer, request, label, site, key)


def _pairs(provider: Provider) -> Iterator[tuple[Site, Key]]:
    """Each address with the first key, then the other keys at the first address."""
    keys = [key for _ in range(len(provider.keys)) if (key := provider.keys.take(0.0)) is not None]
    yield from ((site, keys[0]) for site in provider.sites)
    yield from ((provider.sites[0], key) for key in keys[1:])


def _label(site: Site, key: Key) -> str:
    provider = site.provider
    label = f"providers.{provider.name}"
    if len(provider.sites) > 1:
        label += f" {bare(site.base_url)}"
    return f"{label} key {key.number + 1}" if len(provider.keys) > 1 else label


async def _absent(label: str, site: Site) -> Sequence[Finding]:
    return [warning(label, f"{site.base_url} has no configured address; what is found at run time is not tried here")]


async def _site(
    live: Live, dialer: Dialer, request: ModelsRequest, label: str, site: Site, key: Key
) -> Sequence[Finding]:
    tls, there = site.provider.settings.tls, site.listing.base_url
    where = f"{bare(there)}{through(Proxies(live.environ), there)}"
    try:
        await reach(dialer, there, tls)
    except GatewayError as error:
        return [failed(label, f"{where}: {reason(error)}; check baseUrl, network and proxy")]
    except OSError as error:  # of the files of `tls`
        return [failed(label, f"its tls settings cannot be used: {error.strerror or error}")]
    began = time.perf_counter()
    names, why = await _names(request, site, key)
    text = f"{where} answers in {(time.perf_counter() - began) * 1000:.0f} ms"
    match why:
        case None:
            return [_listed(live.config, label, text, site, names)]
        case ListRefused():
            return [_refused(label, where, site, why)]
        case UpstreamAuthFailed():
            return [failed(label, f"{where}: no credential was issued: {why.detail}")]
        case NotAList():
            return [warning(label, f"{text}, but GET /models {why}; is the path in baseUrl right?")]
    return [failed(label, f"{where}: GET /models {why}; check the provider")]


async def _names(
    request: ModelsRequest, site: Site, key: Key
) -> tuple[Sequence[str], FetchFailed | NotAList | UpstreamAuthFailed | None]:
    """The list of models, and why there is none."""
    from aiohttp import ClientError

    try:
        async with asyncio.timeout(ANSWER_SECS), request.session(ANSWER_SECS) as session:
            return await request.names(session, site, key), None
    except TimeoutError:
        return (), FetchFailed(f"got no answer within {ANSWER_SECS:g} s")
    except (FetchFailed, NotAList, UpstreamAuthFailed) as error:
        return (), error
    except (ClientError, OSError, ValueError) as error:  # its text may contain the address with its query
        return (), FetchFailed(f"failed: {type(error).__name__}")


def _refused(label: str, where: str, site: Site, refused: ListRefused) -> Finding:
    """What an error status means, as requests of clients would be judged."""
    status = refused.status
    if 300 <= status < 400:
        return failed(label, f"{where} redirects (status {status}), which is not followed; correct baseUrl")
    kind = site.listing.kind.read_refusal(status, refused.headers, refused.body, time.time()).kind
    if kind in _REFUSED:
        return failed(label, f"{where}: {_REFUSED[kind]} (status {status}); check the key and the account")
    if kind == "server_error" or status >= 500:
        return failed(label, f"{where}: the provider fails (status {status}); try again later")
    if kind == "rate_limited":
        return warning(label, f"{where}: the provider limits the rate of this key (status {status})")
    # A provider need not have such a list. Other paths may still work.
    return warning(label, f"{where} has no list of models (status {status}); is the path in baseUrl right?")


def _listed(config: Config, label: str, text: str, site: Site, names: Sequence[str]) -> Finding:
    text += f", {len(names)} model{'' if len(names) == 1 else 's'}"
    # A list at the bound may be cut.
    complete = site.listing.kind.model_list.complete and len(names) < MOST_NAMES
    missing = absent(config, site.provider.name, names) if complete else []
    if not missing:
        return ok(label, text)
    shown = ", ".join(missing[:SHOWN]) + (f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else "")
    return warning(label, f"{text}, but not these of the configuration: {shown}; correct their names in models")


def absent(config: Config, provider: str, names: Collection[str]) -> list[str]:
    """Upstream names of the provider's configured models that its list does not have."""
    # Gemini lists "models/gemini-2.5-flash" and accepts both; Ollama adds ":latest".
    known = {name.removeprefix("models/").removesuffix(":latest") for name in names}
    wanted = dict.fromkeys(m.upstream_model for m in config.models if m.provider == provider and m.available)
    return [name for name in wanted if name.removeprefix("models/").removesuffix(":latest") not in known]
