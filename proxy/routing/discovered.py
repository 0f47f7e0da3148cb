"""Models that the addresses of services list. They come and go with their addresses, and ``auto`` may choose them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from proxy.providers.provider import Provider
from proxy.routing.building import DeploymentBuilder
from proxy.routing.deployment import Deployment
from proxy.routing.lists import ModelLists

MOST_DISCOVERED: Final = 2000  # deployments of one provider; names beyond it are found in the lists at each request

# Lists of models do not say what a model is for. A server of one of these answers no chat.
_is_for_other_tasks = re.compile(
    r"embed|rerank|whisper|(^|[^a-z])(bge|gte|e5|minilm|tts|clip|colbert)([^a-z]|$)", re.IGNORECASE
).search


def discovered(providers: Iterable[Provider], lists: ModelLists, builder: DeploymentBuilder) -> Iterator[Deployment]:
    """A deployment for each model at each address that lists it, of providers that accept any model of a service."""
    for provider in providers:
        if provider.any_model and provider.settings.services:
            pairs = ((site, name) for site in provider.sites for name in lists.names_at(site))
            for site, name in islice(pairs, MOST_DISCOVERED):
                if provider.kind.accepts_name(name):
                    yield builder.discovered(site, name)


def suits_auto(deployment: Deployment) -> bool:
    """Whether the name of a discovered model may be that of a model for text."""
    return _is_for_other_tasks(deployment.name) is None
