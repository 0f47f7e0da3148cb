"""Estimates of the tokens of a call, for what its provider does not report."""

from __future__ import annotations

from typing import Final

from proxy.config.schema import TokenEstimate
from proxy.dialects.anthropic.provider.settings_encoder import DEFAULT_OUTPUT_TOKENS
from proxy.dialects.call import Call
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.routing.deployment import Deployment
from proxy.routing.endpoints import Endpoint

# Of one answer. Most large models write 30 to 150, the "Output Speed" of
# https://artificialanalysis.ai/leaderboards/providers. The figure is low, so that a client rarely pays for too much.
TOKENS_PER_SECOND: Final = 50


def rough_input(endpoint: Endpoint, call: Call | None, estimate: TokenEstimate) -> int:
    """Tokens of the input, by bytes. ``call`` is ``None`` for a body that is not read."""
    if call is None:
        return unread_input(endpoint, estimate)
    return endpoint.dialect.requests.rough_tokens(call, estimate.per_image, estimate.per_audio)


def unread_input(endpoint: Endpoint, estimate: TokenEstimate) -> int:
    """Tokens of a form, which is not read."""
    if endpoint.path.startswith("audio/"):
        return estimate.per_audio
    return estimate.per_image if endpoint.path.startswith("images/") else 0


def unseen_output(
    endpoint: Endpoint, call: Call | None, deployment: Deployment, estimate: TokenEstimate, seconds: float
) -> int:
    """Tokens that a model wrote of an answer that nothing waits for anymore, ``seconds`` after it was sent the call.

    A plain answer comes as a whole, so nothing shows how far it came. At most what the call may have. 0 for a stream,
    whose content would have come, and for answers that are no text.
    """
    if call is None or call.stream or not endpoint.dialect.generates:
        return 0
    facts, default = output_facts(deployment, endpoint.path, estimate.output)
    most = endpoint.dialect.requests.output_tokens(call, facts.output_tokens, default)
    return max(0, min(int(seconds * TOKENS_PER_SECOND) * call.choices, most))


def output_facts(deployment: Deployment, path: str, usual: int) -> tuple[ModelFacts, int]:
    """What is known of the model that answers calls to this endpoint, the configured ``maxOutputTokens`` first.

    And its output where neither that nor the call limits it: ``usual``, unless a translation sends a limit.
    """
    target = deployment.translated.get(path)
    if target is None:
        return deployment.facts(path), usual
    return deployment.facts(target.path), DEFAULT_OUTPUT_TOKENS if target.wire == "messages" else usual
