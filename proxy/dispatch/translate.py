"""Calls to providers that do not speak the client's dialect: the request in the provider's, the answer in the client's.

The neutral terms between the two are in ``dialects/translation``. A call is decoded once, and encoded for each
deployment that is tried.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct, structs

from proxy.dialects.translation.absent import ContentAbsent, fill
from proxy.dialects.translation.answer_losses import lost_of
from proxy.dialects.translation.base import (
    AnswerContext,
    AnswerDecoder,
    ClientSide,
    EncodingTarget,
    EventEncoder,
    OneChoiceDecoder,
    OneChoiceEncoder,
    ProviderSide,
)
from proxy.dialects.translation.calls import CallFilter, CallParts
from proxy.dialects.translation.client_names import member_names
from proxy.dialects.translation.conversation import Conversation
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.multi_choice_calls import MultiChoiceCalls
from proxy.dialects.translation.multi_choice_decoder import MultiChoiceDecoder
from proxy.dialects.translation.multi_choice_encoder import MultiChoiceEncoder
from proxy.dialects.translation.parts import AnswerFailed, AnswerPart, CallStart
from proxy.dialects.translation.repairs import repair
from proxy.dialects.translation.stream import StreamTranslation
from proxy.dialects.translation.tool_names import ToolNames
from proxy.dispatch.translate_embeddings import translate_embeddings
from proxy.dispatch.translated_call import MOST_DROPPED, TranslatedCall
from proxy.errors import BrokenAnswer, ClientFault, ErrorInStream, Untranslatable
from proxy.routing.endpoints import streamed
from proxy.wire import document

if TYPE_CHECKING:
    from proxy.dialects.call import Call
    from proxy.dispatch.attempt import AttemptRun

_other: Final = re.compile(r"[^A-Za-z0-9_-]").sub


class ConversationAnswer(Struct, eq=False):
    """Implements ``AnswerTranslation`` for an answer of a conversation. ``names``: of the tools of the request."""

    client: ClientSide
    provider: ProviderSide
    context: AnswerContext
    names: ToolNames
    dropped: dict[str, None] = {}

    def stream(self) -> StreamTranslation:
        encoder = self._encoder()
        translation = StreamTranslation(self._decoder(), encoder, self._calls(sequential=encoder.sequential))
        self.dropped = translation.dropped
        return translation

    def whole(self, body: bytes) -> bytes:
        parts = self._decoder().whole(body)
        if not parts:
            raise BrokenAnswer("The provider's answer is empty.", code="upstream_empty_answer")
        self.dropped = dict.fromkeys(lost_of(parts, self.client.encode_stream.cites))
        kinds = set(map(type, parts))
        if AnswerFailed in kinds:
            raise ErrorInStream(next(part.message for part in parts if isinstance(part, AnswerFailed)))
        passed = self._with_calls(parts) if CallStart in kinds else parts
        if not self.context.request.stream:
            return self.client.encode_answer(self.context, passed)
        encoder = self.client.encode_stream(self.context)
        return b"".join((*map(encoder.encode, passed), encoder.finish()))

    def _with_calls(self, parts: Sequence[AnswerPart]) -> list[AnswerPart]:
        calls = self._calls(sequential=True)
        passed = [each for part in parts for each in calls.pass_on(part)]
        return [*passed, *calls.end()]

    def _decoder(self) -> AnswerDecoder:
        make, request = self.provider.decode_answer, self.context.request
        if request.choices == 1:
            return make()
        assert issubclass(make, OneChoiceDecoder)  # the encoder of the request refused it otherwise
        return MultiChoiceDecoder(make, request.choices, member_names(request.source).choices)

    def _encoder(self) -> EventEncoder:
        make = self.client.encode_stream
        if self.context.request.choices == 1:
            return make(self.context)
        assert issubclass(make, OneChoiceEncoder)  # no other client can request several
        return MultiChoiceEncoder(make, self.context)

    def _calls(self, *, sequential: bool) -> CallFilter:
        prefix, choices = f"call_{self.context.id}_", self.context.request.choices
        if choices == 1:
            return CallParts(self.names, prefix, sequential=sequential)
        each = [CallParts(self.names, f"{prefix}{at}_", sequential=sequential) for at in range(choices)]
        return MultiChoiceCalls(each)


def translate(run: AttemptRun) -> TranslatedCall:
    """Translate the call of an attempt. Raises ClientFault for what is wrong in it, or cannot be translated.

    Raises ContentAbsent if it can be translated once ``contents.py`` has fetched content.
    """
    try:
        return _translate(run)
    except RecursionError:  # it was decoded, but from fewer frames
        raise ClientFault("The request body is nested too deeply to be translated.") from None


def _translate(run: AttemptRun) -> TranslatedCall:
    responder, deployment = run.responder, run.attempt.deployment
    call, exchange = responder.call, responder.exchange
    assert call is not None
    own, endpoint = exchange.endpoint.dialect, deployment.translated[exchange.endpoint.path]
    if own.embedding_client is not None:
        return translate_embeddings(run, call, own.embedding_client, endpoint)
    if exchange.stream:
        endpoint = streamed(endpoint)
    client, provider = own.client, endpoint.dialect.provider
    assert client is not None
    assert provider is not None
    conversation = _conversation(run, call, client)
    strict = exchange.catalog.config.translate.on_loss == "refuse"
    known, losses = Losses(strict), Losses(strict, {**client.names, **conversation.own_names})
    known.drop(*conversation.dropped)
    known.tell(*conversation.repaired)
    names = ToolNames(provider.name_limit, letter_first=provider.letter_first)
    model = deployment.upstream_model or exchange.model
    issuer = deployment.issuer(endpoint.path)
    target = EncodingTarget(model, deployment.facts(endpoint.path), issuer)
    try:
        members = provider.encode_request.encode(conversation, target, losses, names)
    except ContentAbsent:
        raise
    except Untranslatable as fault:
        raise fault.renamed(client.names) from None
    if conversation.stream and endpoint.dialect.usage_option:
        if deployment.provider.learnt.asks_usage:
            run.attempt.asks_usage = True
        else:
            members.pop("stream_options", None)
    return TranslatedCall(
        endpoint,
        document.encode_for_parsers(members),
        ConversationAnswer(client, provider, _context(run, call, conversation, issuer), names),
        tuple(dict.fromkeys((*known.names, *losses.names)))[:MOST_DROPPED],
        provider.header_lines,
        choices=conversation.choices,
    )


def _conversation(run: AttemptRun, call: Call, client: ClientSide) -> Conversation:
    """The call in neutral terms. A wrapper of the attempt may have changed the client's members."""
    if run.changes:
        changed = _decode(run, client, b"".join(call.segments(run.changes)))
        if call.contents is not None:
            fill(changed, call.contents)
        return changed
    found = call.neutral
    if not isinstance(found, Conversation):
        call.neutral = found = _decode(run, client, call.body)
    return found


def _decode(run: AttemptRun, client: ClientSide, body: bytes) -> Conversation:
    conversation = client.decode_request.decode(body)
    conversation.stream = run.responder.exchange.stream
    return repair(conversation, refuse=run.responder.exchange.catalog.config.translate.orphans == "refuse")


def kept(conversation: Conversation) -> Conversation:
    """What an answer needs of its request. A stream of an hour must not hold an agent's tools and instructions."""
    tools = [tool for tool in conversation.tools if tool.call_type]
    return structs.replace(conversation, messages=[], tools=tools)


def _context(run: AttemptRun, call: Call, conversation: Conversation, issuer: str) -> AnswerContext:
    exchange = run.responder.exchange
    client = exchange.endpoint.dialect.client
    return AnswerContext(
        kept(conversation),
        _other("_", exchange.request_id),
        int(run.dispatch.dispatcher.wall()),
        (call.model or "") if call.aliased else "",
        _input_tokens(run, call) if client is not None and client.starts_with_usage else 0,
        issuer,
    )


def _input_tokens(run: AttemptRun, call: Call) -> int:
    """An estimate, for a stream that begins with it."""
    exchange = run.responder.exchange
    if not exchange.stream:
        return 0
    estimate = exchange.catalog.config.rate_limiting.token_estimate
    return exchange.endpoint.dialect.requests.prompt_tokens(call, estimate.per_image, estimate.per_audio)
