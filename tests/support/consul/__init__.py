"""A Consul agent of the tests, as no package carries the program. Its semantics are those of Consul 1.22.

Sources: https://developer.hashicorp.com/consul/api-docs, and of hashicorp/consul ``agent/consul/state/`` (indexes, locks)
and ``agent/kvs_endpoint.go`` (answers).
"""

from tests.support.consul.agent import FakeConsul

__all__ = ["FakeConsul"]
