"""The proxies to compare, one file each: what it needs, how it is configured, how it is started."""

from __future__ import annotations

from tests.bench.peers.base import Missing, Peer, Provider
from tests.bench.peers.envoy import Envoy
from tests.bench.peers.litellm import LiteLlm
from tests.bench.peers.nginx import Nginx
from tests.bench.peers.session import Session
from tests.bench.peers.sluice import Sluice
from tests.bench.peers.tensorzero import TensorZero

QUICK: tuple[type[Peer], ...] = (Sluice, Nginx, Envoy)
FULL: tuple[type[Peer], ...] = (*QUICK, Session, TensorZero, LiteLlm)
OVER_TLS: tuple[type[Peer], ...] = (Sluice, Nginx, Envoy, Session)

__all__ = ["FULL", "OVER_TLS", "QUICK", "Missing", "Peer", "Provider"]
