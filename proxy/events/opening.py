"""The webhooks of the configuration, with what they need of the gateway."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from random import Random

from proxy.config.schema import Config
from proxy.events.delivery import DeliveryTools
from proxy.events.sender import WebhookSender
from proxy.events.webhooks import Webhooks
from proxy.observe.log import Log
from proxy.observe.metrics import Metrics


def open_webhooks(
    config: Config, environ: Mapping[str, str], tls: Callable[[], ssl.SSLContext], metrics: Metrics, log: Log
) -> Webhooks:
    """``tls`` makes the context of connections, ``environ`` names forward proxies."""
    tools = DeliveryTools(
        send=WebhookSender(environ, tls, time.time),
        wall=time.time,
        count=metrics.webhook,
        warn=log.warning,
        log=log.info,
        chance=Random(),
    )
    return Webhooks(config.events.webhooks, tools)
