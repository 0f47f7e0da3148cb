"""Client errors for requests that no deployment can serve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proxy.config.known_providers import NONE_USABLE
from proxy.errors import ClientFault, GatewayError
from proxy.routing.deployment import Deployment
from proxy.routing.endpoints import PATHS

# Endpoints that count tokens, and the endpoint beside each that answers what they count.
COUNTED: Final = {
    "messages/count_tokens": "messages",
    "countTokens": "generateContent",
    "responses/input_tokens": "responses",
}


def not_served(name: str, deployments: Sequence[Deployment], endpoint: str) -> ClientFault:
    """The 400 for a named model that does not serve the endpoint, or whose provider does not speak its dialect."""
    counted = COUNTED.get(endpoint)
    if counted is not None and any(deployment.serves(counted) for deployment in deployments):
        return _cannot_count(name)
    served = [path for path in PATHS if any(deployment.serves(path) for deployment in deployments)]
    which = f"{', '.join(served[:-1])} and {served[-1]}" if len(served) > 1 else "".join(served) or "no endpoint"
    return ClientFault(
        f"The model {name[:200]!r} does not serve {endpoint}. It serves {which}.",
        param="model",
        code="unsupported_endpoint",
    )


def _cannot_count(name: str) -> ClientFault:
    """The 501 for a model that answers, and whose provider cannot count: clients estimate the tokens then."""
    fault = ClientFault(
        f"The provider of the model {name[:200]!r} cannot count tokens. Estimate them.",
        status=501,
        param="model",
        code="not_supported",
    )
    fault.should_retry = False
    return fault


def auto_not_served(endpoint: str) -> ClientFault:
    """The 404 if none of the models that ``auto`` can choose serves the endpoint."""
    return ClientFault(
        f"No model that 'auto' can choose serves {endpoint}. Name a model; GET models lists them.",
        status=404,
        param="model",
        code="no_model_matches",
    )


def auto_unlisted() -> ClientFault:
    """The 400 for ``auto`` if the configuration lists no models."""
    return ClientFault(
        "The gateway cannot choose a model: 'auto' needs models in models.yaml, which lists none. "
        "Name a model; GET models lists those of the providers.",
        param="model",
        code="model_required",
    )


def no_provider() -> GatewayError:
    """The 503 if no provider is usable."""
    return GatewayError(NONE_USABLE, status=503, code="no_provider")


def no_model() -> ClientFault:
    """The 404 if there are no models and no provider accepts any model name."""
    return ClientFault("No model is available.", status=404, param="model", code="model_not_found")
