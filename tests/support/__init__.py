"""Fixtures of the socket tests: real sockets between a scripted upstream and a raw client.

upstream   a scripted provider: records requests and writes responses byte by byte
steps      the steps of those scripts
answers    realistic OpenAI answers as bytes
client     a client that reads only on demand
gateway    the real gateway, in this process or in a separate one (imported by its own name, so that the
           rest works without the gateway)
blackhole  an address that never answers a connection attempt
recorded   the recorded provider traffic
ports      free ports (imported by its own name)
clock      a clock controlled by the test
recorded_ledger  a ledger in memory (imported by its own name)
recorder   waits for the recorder of a gateway process (imported by its own name)
lives      live state of deployments, and a check for leaks (imported by its own name)
pump       an event relay without sockets, for every split of a stream (imported by its own name, like gateway)
tls        certificates for one test run
secure     the raw client over TLS (imported by its own name)
front      the listener with a trivial handler (imported by its own name)
browser    a real browser (imported by its own name)
model_fleet  model servers behind a service (imported by its own name)
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
