"""Calls for embeddings whose provider does not speak the client's dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from msgspec import Struct

from proxy.dialects.translation.embeddings import EmbeddingRequest
from proxy.dialects.translation.loss import Losses
from proxy.dispatch.translated_call import MOST_DROPPED, TranslatedCall
from proxy.errors import BrokenAnswer, Untranslatable
from proxy.routing.endpoints import embedding
from proxy.wire import document

if TYPE_CHECKING:
    from proxy.dialects.call import Call
    from proxy.dialects.translation.embeddings import EmbeddingClient, EmbeddingProvider
    from proxy.dispatch.attempt import AttemptRun
    from proxy.routing.endpoints import Endpoint

USAGE: Final = "usage"  # named as lost where it is 0 because the provider reported none


class VectorAnswer(Struct, eq=False):
    """Implements ``AnswerTranslation``. ``model``: the provider's name, for an answer that has none."""

    client: EmbeddingClient
    provider: EmbeddingProvider
    request: EmbeddingRequest
    model: str
    dropped: dict[str, None] = {}

    def whole(self, body: bytes) -> bytes:
        answer = self.provider.decode_answer(body)
        answer.check(len(self.request.texts))
        answer.model = answer.model or self.model
        if self.client.needs_usage and (answer.usage is None or answer.usage.total_input is None):
            self.dropped = {USAGE: None}
        return self.client.encode_answer(self.request, answer)

    def stream(self) -> NoReturn:
        raise BrokenAnswer("The provider sent an event stream instead of vectors.")


def translate_embeddings(run: AttemptRun, call: Call, client: EmbeddingClient, endpoint: Endpoint) -> TranslatedCall:
    """Translate a call for the provider's ``endpoint``. Raises ClientFault."""
    exchange, deployment = run.responder.exchange, run.attempt.deployment
    request = call.neutral
    if not isinstance(request, EmbeddingRequest):
        call.neutral = request = client.decode_request(call.body)
    endpoint = embedding(endpoint, len(request.texts))
    provider = endpoint.dialect.embedding_provider
    assert provider is not None
    losses = Losses(exchange.catalog.config.translate.on_loss == "refuse")
    losses.drop(*request.dropped)
    model = deployment.upstream_model or exchange.model
    try:
        members = provider.encode_request(request, model)
    except Untranslatable as fault:
        raise fault.renamed({"input": client.texts}) from None
    return TranslatedCall(
        endpoint,
        document.encode_for_parsers(members),
        VectorAnswer(client, provider, request, model),
        losses.names[:MOST_DROPPED],
    )
