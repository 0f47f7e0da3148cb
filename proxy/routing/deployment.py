"""One provider's model at one address under one name: what a plan proposes."""

from __future__ import annotations

import msgspec

from proxy.config.schema import Model
from proxy.config.timeouts import Clocks
from proxy.providers.keys import Key
from proxy.providers.provider import Site
from proxy.routing.endpoints import TEXT, served
from proxy.routing.live import Live

_encode = msgspec.json.Encoder().encode


class Deployment:
    """``upstream_model`` is ``None`` where the body's own name goes on; ``model`` where nothing is configured for it.

    ``label`` names it for people, without an address; ``key`` finds its ``live``. ``endpoints`` are the paths that the
    configuration says it serves, ``None`` where it does not say.
    """

    __slots__ = (
        "_heads",
        "clocks",
        "clocks_of_media",
        "context_size",
        "endpoints",
        "key",
        "label",
        "live",
        "max_concurrent",
        "model",
        "model_json",
        "name",
        "provider",
        "router_lines",
        "router_member",
        "site",
        "stream_clocks",
        "stream_clocks_of_media",
        "upstream_model",
        "weight",
    )

    def __init__(
        self,
        site: Site,
        live: Live,
        clocks: tuple[Clocks, Clocks, Clocks, Clocks],
        *,
        name: str,
        upstream_model: str | None,
        model: Model | None,
        label: str,
    ) -> None:
        self.name = name
        self.site = site
        self.provider = site.provider
        self.live = live
        self.key = live.key
        self.label = label
        self.upstream_model = upstream_model
        self.model_json = _encode(upstream_model) if upstream_model is not None else b""
        self.model = model
        self.weight = 1.0 if model is None else model.weight
        self.context_size = 0 if model is None else model.context_size  # tokens; 0: unknown
        self.max_concurrent = 0 if model is None else model.max_concurrent  # 0: no bound
        self.endpoints = served(model)
        self.clocks, self.stream_clocks, self.clocks_of_media, self.stream_clocks_of_media = clocks
        self._heads: dict[tuple[str, int], bytes] = {}
        # What the client is told of this deployment, made when first needed: header lines, a member of the body.
        self.router_lines = b""
        self.router_member = b""

    def serves(self, endpoint: str) -> bool:
        """Whether a request that names it may use it for this path."""
        return self.endpoints is None or endpoint in self.endpoints

    def serves_auto(self, endpoint: str) -> bool:
        """Whether it may be chosen for this path where no model is named."""
        return endpoint in (TEXT if self.endpoints is None else self.endpoints)

    def call_head(self, path: str, key: Key, query: str = "") -> bytes:
        """The head of a JSON call to the endpoint ``path`` up to the client's header lines.

        Without a query it is made once per endpoint and key.
        """
        if query:
            return self.site.call_head(path, key, query, self.upstream_model)
        head = self._heads.get((path, key.number))
        if head is None:
            head = self._heads[path, key.number] = self.site.call_head(path, key, model=self.upstream_model)
        return head

    @property
    def prefills(self) -> bool:
        """Whether its model goes on with the text of a last message of the assistant's."""
        return self.model is not None and self.model.prefill

    def __repr__(self) -> str:
        return f"<Deployment {self.label}>"
