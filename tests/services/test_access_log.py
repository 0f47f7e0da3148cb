from __future__ import annotations

import io
import json
from typing import Any

from proxy.identity import Client
from proxy.observe.log import Log
from proxy.services.access_log import AccessLog
from proxy.services.exchange import ServiceAttempt, ServiceExchange, ServiceOutcome


def exchange(status: int = 200, outcome: ServiceOutcome = "ok", *failures: str, **more: Any) -> ServiceExchange:
    attempts = [ServiceAttempt("http://a", 1.0, failure=failure, headed_at=1.1) for failure in failures]
    return ServiceExchange(
        "id", "GET", "/x", 1.0, "r", "s", attempts=attempts, status=status, outcome=outcome, ended=1.25, **more
    )


def written(*ended: ServiceExchange, readable: bool = False, level: Any = "info") -> list[str]:
    stream = io.BytesIO()
    log = Log(stream, level, readable=readable, now=lambda: 0.0)
    log.hide({"a-secret-of-ours"})
    AccessLog(log)(ended)
    log.flush()
    return stream.getvalue().decode().splitlines()


def test_a_request_is_one_line() -> None:
    (line,) = written(exchange(200, "ok", "", bytes_in=1, bytes_out=2, client="192.0.2.1"))
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:00.000Z",
        "level": "info",
        "event": "service",
        "request_id": "id",
        "service": "s",
        "route": "r",
        "method": "GET",
        "path": "/x",
        "address": "http://a",
        "status": 200,
        "outcome": "ok",
        "error": "",
        "detail": "",
        "attempts": 1,
        "head_ms": 100.0,
        "duration_ms": 250.0,
        "bytes_in": 1,
        "bytes_out": 2,
        "client": "192.0.2.1",
    }


def test_failed_attempts_are_listed() -> None:
    (line,) = written(exchange(200, "ok", "upstream_disconnected", ""))
    assert json.loads(line)["failures"] == ["upstream_disconnected"]


def test_a_request_without_an_attempt_has_no_address() -> None:
    (line,) = written(exchange(503, "error", error="no_address"))
    found = json.loads(line)
    assert (found["address"], found["attempts"], found["head_ms"], found["error"]) == ("", 0, None, "no_address")


def test_failures_of_the_gateway_and_of_services_are_warnings() -> None:
    lines = written(exchange(502, "error"), exchange(200, "broken"), exchange(404, "error"), exchange(0, "client_gone"))
    assert [json.loads(line)["level"] for line in lines] == ["warning", "warning", "info", "info"]
    assert len(written(exchange(502, "error"), exchange(), level="warning")) == 1


def test_secrets_are_masked_and_long_paths_cut() -> None:
    found = exchange(502, "error", error_detail="with a-secret-of-ours")
    found.path = "/" + "x" * 10_000
    (line,) = written(found)
    assert "a-secret-of-ours" not in line
    assert len(json.loads(line)["path"]) < 1000


def test_the_caller_is_named_unless_it_is_an_address() -> None:
    known = Client("key:k", owner="o")
    lines = written(exchange(caller=known), exchange(caller=Client("address:192.0.2.1")))
    first, second = map(json.loads, lines)
    assert (first["caller"], first["owner"]) == ("key:k", "o")
    assert "caller" not in second


def test_a_terminal_gets_text() -> None:
    (line,) = written(exchange(200, "ok", "upstream_502", ""), readable=True)
    assert line.endswith("200 ok GET /x -> s http://a  2 attempts  250 ms  id")
    assert "\x1b" not in written(exchange(error="x\x1b[0m"), readable=True)[0]
