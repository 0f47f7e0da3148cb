"""Clients of ``auth.certificates``."""

from __future__ import annotations

import pytest

from proxy.auth.certificates import CertificateClients, clients_of
from proxy.config.limit_schema import Limits
from proxy.config.schema import Auth, ConfiguredCertificate
from proxy.identity import Client
from proxy.routing.access import ALL

LIMITS = Limits(requests_per_minute=1)


@pytest.mark.parametrize("mode", ["keys", "jwt", "any", "certificates"])
def test_the_first_entry_that_matches_the_whole_name_applies(mode: str) -> None:
    entries = [
        ConfiguredCertificate("spiffe://a/search", models=["m"], providers=["p"], scopes=["passthrough"]),
        ConfiguredCertificate("spiffe://a/*", limits=LIMITS),
        ConfiguredCertificate("b.example"),
    ]
    clients = clients_of(Auth(mode=mode, certificates=entries))  # type: ignore[arg-type]
    first = clients["spiffe://a/search"]
    assert first is not None
    assert (first.id, first.name, first.passthrough) == ("cert:spiffe://a/search", "spiffe://a/search", True)
    assert (first.access.models, first.access.providers, first.limits) == (("m",), ("p",), None)
    other = clients["spiffe://a/other"]
    name = "spiffe://a/other"
    assert other == Client(f"cert:{name}", name, limits=LIMITS, passthrough=False, owner=name)
    assert clients["spiffe://a/other"] is other
    for name in ("spiffe://b/search", "x.b.example", "b.example.org", "b-example", "B.example", ""):
        assert clients[name] is None


def test_an_entry_says_to_whom_calls_are_accounted() -> None:
    entry = ConfiguredCertificate("*", owner="ann", team="web", project="shop", labels={"b": "2", "a": "1"})
    found = clients_of(Auth(mode="keys", certificates=[entry]))["x"]
    assert found is not None
    assert (found.key, found.owner, found.team, found.project) == ("", "ann", "web", "shop")
    assert found.labels == (("a", "1"), ("b", "2"))


def test_without_an_entry_no_certificate_is_a_client() -> None:
    assert clients_of(Auth(mode="keys"))["a"] is None


def test_without_authentication_every_certificate_names_its_client() -> None:
    found = clients_of(Auth(certificates=[ConfiguredCertificate("a", models=["m"])]))["a"]
    assert found == Client("cert:a", "a", owner="a")
    assert found.access is ALL


def test_names_are_remembered_and_bounded() -> None:
    clients = CertificateClients(None)
    for number in range(clients.most + 1):
        clients[str(number)]
    assert len(clients) == 1
