"""Who gets events, as text, for ``sluice check``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from proxy.config.broker_checks import BrokerUrl
from proxy.config.schema import Config


def overview(config: Config) -> Iterator[str]:
    """Lines about the broker, the webhooks and a ledger that goes to the broker; none without receivers."""
    events = config.events
    if events.url or events.webhooks:
        yield "events:"
    if events.url:
        yield f"  {BrokerUrl(events.url).shown}  exchange {events.exchange}, {_types(events.types)}"
    for webhook in events.webhooks:
        where = urlsplit(str(webhook.url))  # all but the host may be secret
        signed = "signed" if webhook.secret else "not signed"
        yield f"  {where.scheme}://{where.netloc}  {signed}, {_types(webhook.types)}"
    if config.ledger.enabled and config.ledger.mode == "events":
        yield "ledger: to the broker; sluice ledger consume writes it into a database"


def _types(types: Sequence[str]) -> str:
    return f"only {', '.join(types)}" if types else "all types"
