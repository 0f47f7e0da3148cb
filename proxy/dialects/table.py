"""The table of dialects."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from proxy.dialects.anthropic.answer_decoder import MessagesAnswerDecoder
from proxy.dialects.anthropic.answer_encoder import encode_message
from proxy.dialects.anthropic.call import COUNTS
from proxy.dialects.anthropic.call import REQUESTS as MESSAGES_REQUESTS
from proxy.dialects.anthropic.reader import MessagesReader
from proxy.dialects.anthropic.request_decoder import MessagesRequestDecoder
from proxy.dialects.anthropic.request_encoder import MessagesRequestEncoder
from proxy.dialects.anthropic.stream_encoder import MessagesStreamEncoder
from proxy.dialects.anthropic.writer import AnthropicWriter
from proxy.dialects.base import Reader, RequestReader, Writer
from proxy.dialects.gemini.answer_decoder import GeminiAnswerDecoder
from proxy.dialects.gemini.answer_encoder import encode_generation
from proxy.dialects.gemini.call import GEMINI_OTHER_REQUESTS, GEMINI_REQUESTS
from proxy.dialects.gemini.member_names import GEMINI_NAMES
from proxy.dialects.gemini.reader import GeminiReader
from proxy.dialects.gemini.request_decoder import GeminiRequestDecoder
from proxy.dialects.gemini.request_encoder import GeminiRequestEncoder
from proxy.dialects.gemini.stream_encoder import GeminiStreamEncoder
from proxy.dialects.gemini.writer import GeminiWriter
from proxy.dialects.openai.call import REQUESTS
from proxy.dialects.openai.chat.answer_decoder import ChatAnswerDecoder
from proxy.dialects.openai.chat.answer_encoder import encode_completion
from proxy.dialects.openai.chat.request_decoder import ChatRequestDecoder
from proxy.dialects.openai.chat.request_encoder import ChatRequestEncoder
from proxy.dialects.openai.chat.stream_encoder import ChatStreamEncoder
from proxy.dialects.openai.chat_reader import ChatReader
from proxy.dialects.openai.other_reader import OtherReader
from proxy.dialects.openai.responses.answer_decoder import ResponsesAnswerDecoder
from proxy.dialects.openai.responses.answer_encoder import encode_response
from proxy.dialects.openai.responses.request_decoder import ResponsesRequestDecoder
from proxy.dialects.openai.responses.request_encoder import ResponsesRequestEncoder
from proxy.dialects.openai.responses.stream_encoder import ResponsesStreamEncoder
from proxy.dialects.openai.responses_reader import ResponsesReader
from proxy.dialects.openai.writer import OpenAIWriter, ResponsesWriter
from proxy.dialects.translation.base import ClientSide, ProviderSide


class Dialect(Struct, frozen=True, eq=False):
    """A wire schema.

    ``generates``: its answers are tokens of a model. ``usage_option``: a stream reports its usage only where the
    request asks for it in ``stream_options``. ``client`` and ``provider``: its part in translations, ``None`` for none.
    """

    name: str
    reader: type[Reader]
    writer: Writer
    requests: RequestReader
    generates: bool = False
    usage_option: bool = False
    client: ClientSide | None = None
    provider: ProviderSide | None = None

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
COUNT_TOKENS: Final = Dialect("anthropic.other", MessagesReader, _ANTHROPIC, COUNTS)
GEMINI: Final = Dialect(
    "gemini.generate",
    GeminiReader,
    _GEMINI,
    GEMINI_REQUESTS,
    generates=True,
    client=ClientSide(GeminiRequestDecoder(), GeminiStreamEncoder, encode_generation, names=GEMINI_NAMES),
    provider=ProviderSide(GeminiRequestEncoder(), GeminiAnswerDecoder, letter_first=True),
)
GEMINI_OTHER: Final = Dialect("gemini.other", GeminiReader, _GEMINI, GEMINI_OTHER_REQUESTS)
OPAQUE: Final = Dialect("opaque", OtherReader, _OPENAI, REQUESTS)  # relayed without being read

DIALECTS: Final = {
    each.name: each
    for each in (CHAT, COMPLETIONS, RESPONSES, OTHER, MESSAGES, COUNT_TOKENS, GEMINI, GEMINI_OTHER, OPAQUE)
}
