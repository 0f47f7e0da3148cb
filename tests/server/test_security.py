"""What browsers are told for everybody's safety."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from hashlib import sha256

from proxy.server.reply import Reply
from proxy.server.security import HSTS, SecureReply, page_lines


class Wire(asyncio.Transport):
    written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)


def lines(made: bytes) -> dict[str, str]:
    assert made.endswith(b"\r\n")
    pairs = [line.split(": ", 1) for line in made.decode().split("\r\n")[:-1]]
    found = dict(pairs)
    assert len(found) == len(pairs)
    return found


def test_a_page_runs_what_is_ours_and_nothing_else() -> None:
    found = lines(page_lines())
    assert found["Content-Type"] == "text/html; charset=utf-8"
    assert found["X-Content-Type-Options"] == "nosniff"
    assert found["X-Frame-Options"] == "DENY"
    assert found["Referrer-Policy"] == "no-referrer"
    policy = dict(part.split(" ", 1) for part in found["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in found["Content-Security-Policy"]


def test_an_inline_script_is_allowed_by_its_hash() -> None:
    script = b"document.title = 'Sluice'"
    policy = lines(page_lines(scripts=[script], styles=[b"p{}", b"a{}"]))["Content-Security-Policy"]
    assert f"script-src 'self' 'sha256-{b64encode(sha256(script).digest()).decode()}';" in policy
    assert policy.count("'sha256-") == 3


def test_only_an_answer_over_tls_asks_for_tls_from_now_on() -> None:
    for kind, count in ((SecureReply, 1), (Reply, 0)):
        for write in (lambda reply: reply.send(404, b"X: y\r\n", b"no"), lambda reply: reply.begin(200, b"", b"yes")):
            wire = Wire()
            write(kind(wire, http10=False, head_only=False, keep_alive=True))
            assert wire.written.split(b"\r\n\r\n")[0].count(HSTS.strip()) == count
