"""The identity of a client, determined once per request from its head."""

from __future__ import annotations

from msgspec import Struct

from proxy.config.labels import Labels
from proxy.config.limit_schema import Limits
from proxy.routing.access import ALL, Access


class Client(Struct, frozen=True, cache_hash=True):
    """A client. ``id`` is unique across kinds: ``key:…``, ``jwt:…``, ``cert:…``, ``client:…@address`` (from a header),
    ``address:…``.

    Members of ``limits`` replace the configured level ``perClient``. ``passthrough``: the client may use paths that are
    relayed unchanged, including those that keep objects at a provider. ``scopes``: all that its credential has, as
    routes to services may require them. The hash is cached, as each request looks up its
    limits by the client.

    The rest says who uses and pays: ``key``: ID of the API key, of the database or ``config:NAME``; ``owner``,
    ``team``, ``project`` and ``labels`` as the credential says. ``""``: not known.
    """

    id: str
    name: str = ""  # display name
    address: str = ""  # without authentication: the key of the client's address in limits
    access: Access = ALL
    limits: Limits | None = None
    passthrough: bool = True
    scopes: frozenset[str] = frozenset()
    key: str = ""
    owner: str = ""
    team: str = ""
    project: str = ""
    labels: Labels = ()

    @property
    def payer(self) -> str:
        """Whose account and budgets its calls count for: its owner, else itself; ``""`` without authentication."""
        if self.owner:
            return self.owner
        return self.id if self.id.startswith(("key:", "jwt:", "cert:")) else ""

    def run_key(self, run: str) -> str:
        """The name of a run among those of all who pay: two of them may use the same name."""
        return f"{run_prefix(self.payer)}{run}"


def run_prefix(payer: str) -> str:
    """What the names of a payer's runs begin with: no name of another payer's run does."""
    if "/" in payer or "%" in payer:
        payer = payer.replace("%", "%25").replace("/", "%2F")
    return f"{payer}/"
