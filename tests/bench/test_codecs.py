"""The benchmark's streams survive their translation, and the command measures every pair."""

from __future__ import annotations

from zlib import crc32

import pytest

from proxy.wire.sse import Framer
from tests.bench.codecs import SIZES, flowing, microseconds, pairs, requesting, translation
from tests.bench.conversation import conversation
from tests.bench.traffic import Events, Traffic
from tests.bench.verify import Samples, Stream

PAIRS = {f"{client.name}-{provider.name}": (client, provider) for client, provider in pairs()}
# Where the arguments of calls are streamed on both sides, they are the second kind.
STREAMS = {f"{name} text": (pair[0].text, pair[1].text, *pair) for name, pair in PAIRS.items()} | {
    f"{name} calls": (pair[0].calls, pair[1].calls, *pair)
    for name, pair in PAIRS.items()
    if pair[0].calls is not None and pair[1].calls is not None
}
each_pair = pytest.mark.parametrize(("client", "provider"), PAIRS.values(), ids=list(PAIRS))
each_stream = pytest.mark.parametrize(("expected", "sent", "client", "provider"), STREAMS.values(), ids=list(STREAMS))


def stream(events: Events, count: int) -> bytes:
    """A stream as the mock upstream sends it, without the times."""
    crc, made = 0, events.before
    for number in range(1, count + 1):
        token = b"@%06d %016x %08x " % (number, 0, 0)
        crc = crc32(token, crc)
        made += events.prefix + token + b"%08x;" % crc + events.suffix
    return made + events.after


@each_stream
def test_a_translated_stream_passes_its_verification(
    expected: Events, sent: Events, client: Traffic, provider: Traffic
) -> None:
    translated = translation(client, provider)
    body = b"".join(map(translated.translate, Framer().feed(stream(sent, 20)))) + translated.finish()
    samples = Samples()
    verified = Stream(expected, 20, samples, sent)
    verified.feed(body, 0)
    verified.end()
    assert samples.tokens == 20


@each_stream
def test_an_event_of_each_kind_is_plain(expected: Events, sent: Events, client: Traffic, provider: Traffic) -> None:
    found = flowing(client, provider, sent)()
    assert isinstance(found, bytes)
    assert found.endswith(b"\n\n")


@each_pair
@pytest.mark.parametrize("size", SIZES)
def test_a_translated_request_has_about_the_same_size(client: Traffic, provider: Traffic, size: int) -> None:
    body = client.body("bench", conversation("Please count.", size), stream=False)
    found = requesting(client, provider, body)()
    assert isinstance(found, bytes)
    assert 0.7 < len(found) / size < 1.1


def test_a_time_is_positive() -> None:
    assert microseconds(lambda: sum(range(1000))) > 0
