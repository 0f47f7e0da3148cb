"""The table of dialects."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from proxy.dialects.anthropic.call import COUNTS as MESSAGES_COUNTS
from proxy.dialects.anthropic.call import REQUESTS as MESSAGES_REQUESTS
from proxy.dialects.anthropic.client.answer_encoder import encode_message
from proxy.dialects.anthropic.client.request_decoder import MessagesRequestDecoder
from proxy.dialects.anthropic.client.stream_encoder import MessagesStreamEncoder
from proxy.dialects.anthropic.counting import MESSAGES_COUNTED, encode_count
from proxy.dialects.anthropic.provider.answer_decoder import MessagesAnswerDecoder
from proxy.dialects.anthropic.provider.request_encoder import MessagesRequestEncoder
from proxy.dialects.anthropic.reader import MessagesReader
from proxy.dialects.anthropic.writer import AnthropicWriter
from proxy.dialects.base import Reader, RequestReader, Writer
from proxy.dialects.gemini.call import GEMINI_OTHER_REQUESTS, GEMINI_REQUESTS
from proxy.dialects.gemini.client.answer_encoder import encode_generation
from proxy.dialects.gemini.client.request_decoder import GeminiRequestDecoder
from proxy.dialects.gemini.client.stream_encoder import GeminiStreamEncoder
from proxy.dialects.gemini.counting import (
    GeminiCountDecoder,
    GeminiCountRequestDecoder,
    GeminiCountRequestEncoder,
    encode_total,
)
from proxy.dialects.gemini.embeddings.answer_decoder import decode_vectors
from proxy.dialects.gemini.embeddings.answer_encoder import encode_vector, encode_vectors
from proxy.dialects.gemini.embeddings.predict_decoder import PredictReader, decode_predictions
from proxy.dialects.gemini.embeddings.predict_encoder import encode_instances
from proxy.dialects.gemini.embeddings.request_decoder import decode_content, decode_contents
from proxy.dialects.gemini.embeddings.request_encoder import encode_contents
from proxy.dialects.gemini.embeddings.vertex_encoder import encode_batch, encode_only
from proxy.dialects.gemini.member_names import GEMINI_NAMES
from proxy.dialects.gemini.provider.answer_decoder import GeminiAnswerDecoder
from proxy.dialects.gemini.provider.request_encoder import GeminiRequestEncoder
from proxy.dialects.gemini.reader import GeminiReader
from proxy.dialects.gemini.writer import GeminiWriter
from proxy.dialects.openai.call import COUNTS, REQUESTS
from proxy.dialects.openai.chat.client.answer_encoder import encode_completion
from proxy.dialects.openai.chat.client.request_decoder import ChatRequestDecoder
from proxy.dialects.openai.chat.client.stream_encoder import ChatStreamEncoder
from proxy.dialects.openai.chat.provider.answer_decoder import ChatAnswerDecoder
from proxy.dialects.openai.chat.provider.request_encoder import ChatRequestEncoder
from proxy.dialects.openai.chat_reader import ChatReader
from proxy.dialects.openai.embeddings.answer_decoder import decode_embeddings
from proxy.dialects.openai.embeddings.answer_encoder import encode_embeddings
from proxy.dialects.openai.embeddings.request_decoder import decode_texts
from proxy.dialects.openai.embeddings.request_encoder import encode_texts
from proxy.dialects.openai.other_reader import OtherReader
from proxy.dialects.openai.responses.client.answer_encoder import encode_response
from proxy.dialects.openai.responses.client.request_decoder import ResponsesRequestDecoder
from proxy.dialects.openai.responses.client.stream_encoder import ResponsesStreamEncoder
from proxy.dialects.openai.responses.counting import RESPONSES_COUNTED, encode_input_tokens
from proxy.dialects.openai.responses.provider.answer_decoder import ResponsesAnswerDecoder
from proxy.dialects.openai.responses.provider.request_encoder import ResponsesRequestEncoder
from proxy.dialects.openai.responses_reader import ResponsesReader
from proxy.dialects.openai.writer import OpenAIWriter, ResponsesWriter
from proxy.dialects.translation.base import ClientSide, ProviderSide
from proxy.dialects.translation.counting import CountDecoder
from proxy.dialects.translation.embeddings import EmbeddingClient, EmbeddingProvider

# What a translation keeps: an answer of a model, or a count of the tokens of its input, which is never a stream.
Task = Literal["answer", "count"]


class Dialect(Struct, frozen=True, eq=False):
    """A wire schema.

    ``generates``: its answers are tokens of a model. ``usage_option``: a stream reports its usage only where the
    request asks for it in ``stream_options``. ``client`` and ``provider``: its part in translations between dialects
    of the same ``task``, ``None`` for none; ``embedding_client`` and ``embedding_provider``: the same for embeddings.
    """

    name: str
    reader: type[Reader]
    writer: Writer
    requests: RequestReader
    generates: bool = False
    usage_option: bool = False
    client: ClientSide | None = None
    provider: ProviderSide | None = None
    embedding_client: EmbeddingClient | None = None
    embedding_provider: EmbeddingProvider | None = None
    task: Task = "answer"

    def __repr__(self) -> str:
        return f"<Dialect {self.name}>"


# The version that takes every setting of older models. Newer models refuse the same settings under any version.
_VERSION: Final = b"anthropic-version: 2023-06-01\r\n"

_OPENAI: Final = OpenAIWriter()
_ANTHROPIC: Final = AnthropicWriter()
_GEMINI: Final = GeminiWriter()

CHAT: Final = Dialect(
    "openai.chat",
    ChatReader,
    _OPENAI,
    REQUESTS,
    generates=True,
    usage_option=True,
    client=ClientSide(ChatRequestDecoder(), ChatStreamEncoder, encode_completion),
    provider=ProviderSide(ChatRequestEncoder(), ChatAnswerDecoder),
)
COMPLETIONS: Final = Dialect("openai.completions", ChatReader, _OPENAI, REQUESTS, generates=True, usage_option=True)
RESPONSES: Final = Dialect(
    "openai.responses",
    ResponsesReader,
    ResponsesWriter(),
    REQUESTS,
    generates=True,
    client=ClientSide(ResponsesRequestDecoder(), ResponsesStreamEncoder, encode_response),
    provider=ProviderSide(ResponsesRequestEncoder(), ResponsesAnswerDecoder),
)
RESPONSES_COUNT: Final = Dialect(
    "openai.count",
    OtherReader,
    _OPENAI,
    COUNTS,
    client=ClientSide(ResponsesRequestDecoder(), ResponsesStreamEncoder, encode_input_tokens),
    provider=ProviderSide(RESPONSES_COUNTED, CountDecoder),
    task="count",
)
EMBEDDINGS: Final = Dialect(
    "openai.embeddings",
    OtherReader,
    _OPENAI,
    REQUESTS,
    embedding_client=EmbeddingClient(decode_texts, encode_embeddings, needs_usage=True),
    embedding_provider=EmbeddingProvider(encode_texts, decode_embeddings),
)
OTHER: Final = Dialect("openai.other", OtherReader, _OPENAI, REQUESTS)
MESSAGES: Final = Dialect(
    "anthropic.messages",
    MessagesReader,
    _ANTHROPIC,
    MESSAGES_REQUESTS,
    generates=True,
    client=ClientSide(MessagesRequestDecoder(), MessagesStreamEncoder, encode_message, starts_with_usage=True),
    provider=ProviderSide(MessagesRequestEncoder(), MessagesAnswerDecoder, name_limit=128, header_lines=_VERSION),
)
MESSAGES_COUNT: Final = Dialect(
    "anthropic.count",
    MessagesReader,
    _ANTHROPIC,
    MESSAGES_COUNTS,
    client=ClientSide(MessagesRequestDecoder(), MessagesStreamEncoder, encode_count),
    provider=ProviderSide(MESSAGES_COUNTED, CountDecoder, name_limit=128, header_lines=_VERSION),
    task="count",
)
ANTHROPIC_OTHER: Final = Dialect("anthropic.other", MessagesReader, _ANTHROPIC, MESSAGES_COUNTS)
GEMINI: Final = Dialect(
    "gemini.generate",
    GeminiReader,
    _GEMINI,
    GEMINI_REQUESTS,
    generates=True,
    client=ClientSide(GeminiRequestDecoder(), GeminiStreamEncoder, encode_generation, names=GEMINI_NAMES),
    provider=ProviderSide(GeminiRequestEncoder(), GeminiAnswerDecoder, letter_first=True),
)
GEMINI_COUNT: Final = Dialect(
    "gemini.count",
    GeminiReader,
    _GEMINI,
    GEMINI_OTHER_REQUESTS,
    client=ClientSide(GeminiCountRequestDecoder(), GeminiStreamEncoder, encode_total, names=GEMINI_NAMES),
    provider=ProviderSide(GeminiCountRequestEncoder(), GeminiCountDecoder, letter_first=True),
    task="count",
)
GEMINI_EMBED: Final = Dialect(
    "gemini.embed",
    GeminiReader,
    _GEMINI,
    GEMINI_OTHER_REQUESTS,
    embedding_client=EmbeddingClient(decode_content, encode_vector, texts="content"),
)
GEMINI_BATCH_EMBED: Final = Dialect(
    "gemini.batch_embed",
    GeminiReader,
    _GEMINI,
    GEMINI_OTHER_REQUESTS,
    embedding_client=EmbeddingClient(decode_contents, encode_vectors, texts="requests"),
    embedding_provider=EmbeddingProvider(encode_contents, decode_vectors),
)
GEMINI_OTHER: Final = Dialect("gemini.other", GeminiReader, _GEMINI, GEMINI_OTHER_REQUESTS)
# How providers embed texts on Vertex AI, for clients of other dialects only.
VERTEX_EMBED: Final = Dialect(
    "vertex.embed",
    GeminiReader,
    _GEMINI,
    GEMINI_OTHER_REQUESTS,
    embedding_provider=EmbeddingProvider(encode_only, decode_vectors),
)
VERTEX_BATCH_EMBED: Final = Dialect(
    "vertex.batch_embed",
    GeminiReader,
    _GEMINI,
    GEMINI_OTHER_REQUESTS,
    embedding_provider=EmbeddingProvider(encode_batch, decode_vectors),
)
VERTEX_PREDICT: Final = Dialect(
    "vertex.predict",
    PredictReader,
    _GEMINI,
    GEMINI_OTHER_REQUESTS,
    embedding_provider=EmbeddingProvider(encode_instances, decode_predictions),
)
OPAQUE: Final = Dialect("opaque", OtherReader, _OPENAI, REQUESTS)  # relayed without being read

DIALECTS: Final = {
    each.name: each
    for each in (
        *(CHAT, COMPLETIONS, RESPONSES, RESPONSES_COUNT, EMBEDDINGS, OTHER),
        *(MESSAGES, MESSAGES_COUNT, ANTHROPIC_OTHER),
        *(GEMINI, GEMINI_COUNT, GEMINI_EMBED, GEMINI_BATCH_EMBED, GEMINI_OTHER),
        OPAQUE,
    )
}
