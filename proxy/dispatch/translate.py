"""Calls to providers that do not speak the client's dialect: the request in the provider's, the answer in the client's.

The neutral terms between the two are in ``dialects/translation``. A call is decoded once, and encoded for each
deployment that is tried.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct, structs

from proxy.dialects.translation.base import AnswerContext, ClientSide, EncodingTarget, ProviderSide
from proxy.dialects.translation.calls import CallParts
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.parts import AnswerFailed, AnswerPart, Dropped
from proxy.dialects.translation.repairs import repair
from proxy.dialects.translation.stream import StreamTranslation
from proxy.dialects.translation.tool_names import ToolNames
from proxy.errors import BrokenAnswer, ClientFault, ErrorInStream, Untranslatable
from proxy.routing.endpoints import streamed
from proxy.wire import document

if TYPE_CHECKING:
    from proxy.dialects.call import Call
    from proxy.dialects.translation.conversation import Conversation
    from proxy.dispatch.attempt import AttemptRun
    from proxy.routing.endpoints import Endpoint

MOST_DROPPED: Final = 64  # names of lost members that are kept
_other: Final = re.compile(r"[^A-Za-z0-9_-]").sub


class TranslatedCall(Struct, eq=False):
    """The call of one attempt in its provider's dialect, and what its answer needs to be translated back.

    ``endpoint`` is the provider's. ``dropped``: what was lost of the request, ``of_answer``: of the answer.
    ``changes``: members that the kind of provider needs changed.
    """

    endpoint: Endpoint
    body: bytes
    client: ClientSide
    provider: ProviderSide
    context: AnswerContext
    names: ToolNames
    dropped: tuple[str, ...]
    changes: Mapping[str, bytes | None] | None = None
    of_answer: dict[str, None] = {}

    @property
    def all_dropped(self) -> tuple[str, ...]:
        """What was lost so far of the request and the answer."""
        return tuple(dict.fromkeys((*self.dropped, *self.of_answer)))[:MOST_DROPPED]

    @property
    def call(self) -> Call:
        """The call as if a client had made it."""
        return self.endpoint.dialect.requests.read(self.body, checked=True)

    def stream(self) -> StreamTranslation:
        """The translation of an event stream."""
        encoder = self.client.encode_stream(self.context)
        calls = CallParts(self.names, f"call_{self.context.id}_", sequential=encoder.sequential)
        translation = StreamTranslation(self.provider.decode_answer(), encoder, calls)
        self.of_answer = translation.dropped
        return translation

    def answer(self, body: bytes) -> bytes:
        """A whole answer for the client. Notes what was lost of it."""
        parts = self.provider.decode_answer().whole(body)
        if not parts:
            raise BrokenAnswer("The provider's answer is empty.", code="upstream_empty_answer")
        calls = CallParts(self.names, f"call_{self.context.id}_", sequential=True)
        self.of_answer = {part.name: None for part in parts if isinstance(part, Dropped)}
        passed: list[AnswerPart] = []
        for part in parts:
            if isinstance(part, AnswerFailed):
                raise ErrorInStream(part.message)
            passed += calls.pass_on(part)
        passed += calls.end()
        return self.client.encode_answer(self.context, passed)


def translate(run: AttemptRun) -> TranslatedCall:
    """Translate the call of an attempt. Raises ClientFault for what is wrong in it, or cannot be translated."""
    try:
        return _translate(run)
    except RecursionError:  # it was decoded, but from fewer frames
        raise ClientFault("The request body is nested too deeply to be translated.") from None


def _translate(run: AttemptRun) -> TranslatedCall:
    responder, deployment = run.responder, run.attempt.deployment
    call, exchange = responder.call, responder.exchange
    assert call is not None
    own, endpoint = exchange.endpoint.dialect, deployment.translated[exchange.endpoint.path]
    if exchange.stream:
        endpoint = streamed(endpoint)
    client, provider = own.client, endpoint.dialect.provider
    assert client is not None
    assert provider is not None
    conversation = _conversation(run, call, client)
    strict = exchange.catalog.config.translate.on_loss == "refuse"
    known, losses = Losses(strict), Losses(strict, client.names)
    known.drop(*conversation.dropped)
    known.tell(*conversation.repaired)
    names = ToolNames(provider.name_limit, letter_first=provider.letter_first)
    model = deployment.upstream_model or exchange.model
    issuer = deployment.issuer(endpoint.path)
    target = EncodingTarget(model, deployment.facts(endpoint.path), issuer)
    try:
        members = provider.encode_request.encode(conversation, target, losses, names)
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
        client,
        provider,
        _context(run, call, conversation, issuer),
        names,
        tuple(dict.fromkeys((*known.names, *losses.names)))[:MOST_DROPPED],
    )


def _conversation(run: AttemptRun, call: Call, client: ClientSide) -> Conversation:
    """The call in neutral terms. A wrapper of the attempt may have changed the client's members."""
    if run.changes:
        return _decode(run, client, b"".join(call.segments(run.changes)))
    found = call.conversation
    if found is None:
        call.conversation = found = _decode(run, client, call.body)
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
