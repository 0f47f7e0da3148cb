from __future__ import annotations

import pytest

from proxy.client.head import Head, read_head
from proxy.errors import BrokenAnswer
from proxy.relay.choice import Treatment, treatment
from proxy.routing.endpoints import ENDPOINTS, OPAQUE, Endpoint

BY_PATH = {endpoint.path: endpoint for endpoint in reversed(ENDPOINTS)}
CHAT, SPEECH = BY_PATH["chat/completions"], BY_PATH["audio/speech"]


def head(status: int = 200, kind: str = "application/json", *, length: int | None = 10, coding: str = "") -> Head:
    headers = [(b"Content-Type", kind.encode())]
    if length is not None:
        headers.append((b"Content-Length", b"%d" % length))
    if coding:
        headers.append((b"Content-Encoding", coding.encode()))
    return read_head(status, headers)


@pytest.mark.parametrize(
    ("endpoint", "streams", "answer", "expected"),
    [
        (CHAT, False, head(), Treatment.COLLECT),
        (CHAT, False, head(kind="text/html"), Treatment.COLLECT),
        (CHAT, True, head(kind="text/event-stream; charset=utf-8"), Treatment.EVENTS),
        (CHAT, True, head(kind="text/plain"), Treatment.SNIFF),
        (CHAT, True, head(), Treatment.SNIFF),
        (CHAT, True, head(kind="audio/mpeg"), Treatment.COLLECT),
        (CHAT, False, head(429), Treatment.ERROR),
        (CHAT, True, head(500, "text/event-stream"), Treatment.ERROR),
        (SPEECH, False, head(kind="audio/mpeg"), Treatment.PIPE),
        (SPEECH, False, head(kind="application/problem+json"), Treatment.COLLECT),
        (SPEECH, False, head(kind="text/event-stream"), Treatment.EVENTS),
        (OPAQUE, False, head(), Treatment.PIPE),
        (OPAQUE, False, head(304), Treatment.PIPE),
        (OPAQUE, False, head(404), Treatment.ERROR_PIPE),
        (OPAQUE, False, head(404, coding="gzip"), Treatment.PIPE),
    ],
)
def test_status_media_type_and_endpoint_choose_the_treatment(
    endpoint: Endpoint, streams: bool, answer: Head, expected: Treatment
) -> None:
    assert treatment(answer, endpoint, streams) is expected


@pytest.mark.parametrize(
    ("answer", "code"),
    [(head(302), "upstream_redirect"), (head(kind="text/event-stream"), "upstream_broken_answer")],
)
def test_redirects_and_unrequested_streams_are_faults(answer: Head, code: str) -> None:
    with pytest.raises(BrokenAnswer) as caught:
        treatment(answer, CHAT, False)
    assert caught.value.code == code
