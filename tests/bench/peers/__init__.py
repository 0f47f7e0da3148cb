"""The proxies to compare, one file each: what it needs, how it is configured, how it is started."""

from __future__ import annotations

from tests.bench.peers.base import Missing, Peer, Provider
from tests.bench.peers.envoy import Envoy
from tests.bench.peers.litellm import LiteLlm
from tests.bench.peers.nginx import Nginx
from tests.bench.peers.session import Session
from tests.bench.peers.sluice import Sluice
from tests.bench.peers.tensorzero import TensorZero
from tests.bench.peers.translated import LiteLlmTranslated, PassedMessages, TranslatedMessages

QUICK: tuple[type[Peer], ...] = (Sluice, Nginx, Envoy)
FULL: tuple[type[Peer], ...] = (*QUICK, Session, TensorZero, LiteLlm)
OVER_TLS: tuple[type[Peer], ...] = (Sluice, Nginx, Envoy, Session)
TRANSLATED_QUICK: tuple[type[Peer], ...] = (PassedMessages, TranslatedMessages)
TRANSLATED: tuple[type[Peer], ...] = (*TRANSLATED_QUICK, LiteLlmTranslated)

__all__ = ["FULL", "OVER_TLS", "QUICK", "TRANSLATED", "TRANSLATED_QUICK", "Missing", "Peer", "Provider"]
