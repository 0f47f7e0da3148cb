"""Client certificates as credentials: the client with a name that TLS has verified (``server.tls.clientCa``)."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.auth.apikey import PASSTHROUGH
from proxy.caches import Memo
from proxy.config.labels import sorted_labels
from proxy.config.schema import Auth, ConfiguredCertificate
from proxy.identity import Client
from proxy.routing.access import access, matches


class CertificateClients(Memo[str, Client | None]):
    """The client with each name; ``None``: its certificate is not listed, so it needs another credential."""

    def __init__(self, entries: Sequence[ConfiguredCertificate] | None) -> None:
        """``entries``: of ``auth.certificates``, the first that matches applies. ``None``: there is no authentication,
        so a certificate only names the client.
        """
        super().__init__(4096)
        self._entries = entries

    def compute(self, key: str) -> Client | None:
        if self._entries is None:
            return Client(_id(key), key, owner=key)
        entry = next((each for each in self._entries if matches((each.name,), key)), None)
        if entry is None:
            return None
        return Client(
            id=_id(key),
            name=key,
            access=access(entry.models, entry.providers),
            limits=entry.limits,
            passthrough=PASSTHROUGH in entry.scopes,
            scopes=frozenset(entry.scopes),
            owner=entry.owner or key,
            team=entry.team,
            project=entry.project,
            labels=sorted_labels(entry.labels),
        )


def clients_of(auth: Auth) -> CertificateClients:
    return CertificateClients(None if auth.mode == "none" else auth.certificates)


def _id(name: str) -> str:
    return f"cert:{name}"
