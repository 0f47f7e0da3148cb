"""What the socket tests stand on: real sockets with a script on one end and a raw client on the other.

upstream   a scripted provider: what arrives is recorded whole, what it answers is written byte by byte
steps      the vocabulary of those scripts
answers    realistic OpenAI answers as bytes
client     a client that reads only what it is asked to read
gateway    the real gateway, in this process or as a process of its own (imported by its own name, so that the
           rest works while the gateway does not)
blackhole  an address that never answers a connection attempt
recorded   the recorded provider traffic
clock      time in the test's own hands
lives      what a gateway knows of its deployments, and whether it holds on to anything (imported by its own name)
pump       an event relay without sockets, for every split of a stream (imported by its own name, like gateway)
tls        certificates for one test run
secure     the raw client over TLS (imported by its own name)
front      the listener with the simplest handler that there is (imported by its own name)
browser    a real browser (imported by its own name)
collector  a collector of OpenTelemetry traces (imported by its own name)
"""

from tests.support.answers import (
    answered_by,
    chat_chunks,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse,
    sse_answer,
    unspliced,
)
from tests.support.blackhole import Blackhole
from tests.support.client import Answer, Head, RawClient
from tests.support.patience import until, within
from tests.support.steps import (
    Chunk,
    Close,
    HalfClose,
    Headers,
    LastChunk,
    PauseReading,
    Reset,
    ResumeReading,
    Send,
    Signal,
    Stall,
    Tunnel,
    Wait,
)
from tests.support.tls import Authority
from tests.support.upstream import Connection, Request, Upstream

__all__ = [
    "Answer",
    "Authority",
    "Blackhole",
    "Chunk",
    "Close",
    "Connection",
    "HalfClose",
    "Head",
    "Headers",
    "LastChunk",
    "PauseReading",
    "RawClient",
    "Request",
    "Reset",
    "ResumeReading",
    "Send",
    "Signal",
    "Stall",
    "Tunnel",
    "Upstream",
    "Wait",
    "answered_by",
    "chat_chunks",
    "chat_events",
    "completion",
    "error_json",
    "json_answer",
    "sse",
    "sse_answer",
    "unspliced",
    "until",
    "within",
]
