"""Microseconds of decoding and encoding alone, for each pair of dialects: ``python -m tests.bench.codecs``.

No sockets and no gateway: an event of the benchmark's streams to the client's event, and a request of the client's to
the provider's. Beside them is what Python's ``json`` needs to load the same JSON and to dump it. The smallest of several
samples counts, as other processes only ever add to them.
"""

from __future__ import annotations

import json
import timeit
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from proxy.dialects.table import DIALECTS as SPOKEN
from proxy.dialects.table import Dialect
from proxy.dialects.translation.base import AnswerContext, EncodingTarget
from proxy.dialects.translation.calls import CallParts
from proxy.dialects.translation.conversation import Conversation
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.dialects.translation.repairs import repair
from proxy.dialects.translation.stream import StreamTranslation
from proxy.dialects.translation.tool_names import ToolNames
from proxy.wire.sse import Framer
from tests.bench.conversation import conversation
from tests.bench.dialects import DIALECTS
from tests.bench.table import aligned
from tests.bench.traffic import TOKEN_SIZE, Events, Traffic, data_of

NAMES: Final = {
    "chat": "openai.chat",
    "messages": "anthropic.messages",
    "responses": "openai.responses",
    "gemini": "gemini.generate",
}
TOKEN: Final = (b"@000001 0123456789abcdef 00000000 01234567;" + b" " * TOKEN_SIZE)[:TOKEN_SIZE]
SIZES: Final = (4_000, 400_000)
LIMIT: Final = 2.0  # us, for a text event
SAMPLES: Final = 15
SAMPLE_SECS: Final = 0.01

_encode: Final = msgspec.json.Encoder().encode


def pairs() -> Iterator[tuple[Traffic, Traffic]]:
    """The clients' and the providers' dialects that can be translated to each other."""
    for client in DIALECTS.values():
        for provider in DIALECTS.values():
            if client is not provider and spoken(client).client and spoken(provider).provider:
                yield client, provider


def spoken(traffic: Traffic) -> Dialect:
    return SPOKEN[NAMES[traffic.name]]


def translation(client: Traffic, provider: Traffic) -> StreamTranslation:
    """The translation of one stream."""
    ours, theirs = spoken(client).client, spoken(provider).provider
    assert ours is not None
    assert theirs is not None
    request = Conversation(spoken(client).name, [], stream=True, wants_usage=True)
    encoder = ours.encode_stream(AnswerContext(request, "0123456789abcdef", 1750000000, "bench", 25, "bench"))
    calls = CallParts(ToolNames(theirs.name_limit), "call_", sequential=encoder.sequential)
    return StreamTranslation(theirs.decode_answer(), encoder, calls)


def event(events: Events) -> bytes:
    """One event with a token."""
    return events.prefix + TOKEN + events.suffix


def flowing(client: Traffic, provider: Traffic, events: Events) -> Callable[[], object]:
    """The translation of one event in the middle of a stream."""
    stream, block = translation(client, provider), event(events)
    for first in (*Framer().feed(events.before), block):
        stream.translate(first)
    if not stream.plain(block):
        raise SystemExit(f"{client.name} over {provider.name}: {block!r} is not plain")
    return lambda: stream.plain(block)


def requesting(client: Traffic, provider: Traffic, body: bytes) -> Callable[[], object]:
    """The translation of a request."""
    ours, theirs = spoken(client).client, spoken(provider).provider
    assert ours is not None
    assert theirs is not None
    decode, encode = ours.decode_request.decode, theirs.encode_request.encode
    target, limit = EncodingTarget("bench", ModelFacts()), theirs.name_limit
    return lambda: _encode(encode(repair(decode(body)), target, Losses(), ToolNames(limit)))


def reloading(*documents: bytes) -> Callable[[], object]:
    """Python's ``json`` for the first document in, and the last one out."""
    first, found = documents[0], json.loads(documents[-1])
    return lambda: (json.loads(first), json.dumps(found).encode())


def microseconds(call: Callable[[], object]) -> float:
    """The time of one call."""
    call()
    once = min(timeit.repeat(call, number=1, repeat=5))
    number = max(1, int(SAMPLE_SECS / once))
    return min(timeit.repeat(call, number=number, repeat=SAMPLES)) / number * 1e6


def rows() -> Iterator[list[str]]:
    for client, provider in pairs():
        name = f"{client.name} over {provider.name}"
        text = microseconds(flowing(client, provider, provider.text))
        loaded = microseconds(reloading(*(data_of(event(each.text)) for each in (provider, client))))
        yield [name, "text event", f"{text:.2f}", f"{loaded:.2f}", "reached" if text <= LIMIT else "**not reached**"]
        if client.calls and provider.calls:
            taken = microseconds(flowing(client, provider, provider.calls))
            loaded = microseconds(reloading(*(data_of(event(each)) for each in (provider.calls, client.calls))))
            yield [name, "event of a call's arguments", f"{taken:.2f}", f"{loaded:.2f}", ""]
        for size in SIZES:
            body = client.body("bench", conversation("Please count.", size), stream=False)
            taken, loaded = microseconds(requesting(client, provider, body)), microseconds(reloading(body))
            yield [name, f"request of {size // 1000} KB", f"{taken:.1f}", f"{loaded:.1f}", ""]


def main() -> None:
    header = ["client over provider", "what", "us", "json, us", f"at most {LIMIT:g} us a text event"]
    print(aligned([header, *rows()]))


if __name__ == "__main__":
    main()
