"""Router metadata of a response, without a socket."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy import router_metadata
from proxy.breakers.breaker import Permit
from proxy.exchange import Attempt, Exchange
from proxy.providers.keys import KeyRing
from proxy.routing.deployment import Deployment
from proxy.routing.endpoints import ENDPOINTS
from tests.support.answers import answered_by, compact
from tests.support.catalogs import build

KEY = "sk-very-secret"
MEMBER = b'"_router":' + compact(answered_by())


def deployment(name: str = "m", provider: str = "up") -> Deployment:
    providers = {provider: {"baseUrl": "http://10.1.2.3:81/v1", "apiKey": KEY}}
    [found] = build([{"name": name, "provider": provider, "model": "up-model"}], providers).deployments
    return found


def exchange(*attempts: tuple[Deployment, str, str], **facts: Any) -> Exchange:
    """``attempts``: the deployment, the failure kind and the reason of each."""
    made = Exchange(ENDPOINTS[0], None, "req-1", began=0.0)  # type: ignore[arg-type]
    [key] = KeyRing([KEY])._keys
    made.attempts = [Attempt(each, Permit.NORMAL, key, 0.0, failure=kind, reason=why) for each, kind, why in attempts]
    for name, value in facts.items():
        setattr(made, name, value)
    return made


# -- the member of a JSON answer ----------------------------------------------------------------------


def test_the_metadata_of_a_first_attempt_is_encoded_once_per_deployment() -> None:
    good = deployment()
    assert router_metadata.member(exchange((good, "", "")), good) == MEMBER
    assert router_metadata.member(exchange((good, "", "")), good) is good.router_member


def test_failed_attempts_are_listed_and_not_cached() -> None:
    good, bad = deployment(), deployment("bad", "down")
    failed = exchange((bad, "server_error", "status 500"), (bad, "timeout", "Too late."), (good, "", ""))
    expected = answered_by(
        attempts=3,
        errors=[
            {"provider": "down", "model_name": "bad", "error": "server_error", "message": "status 500"},
            {"provider": "down", "model_name": "bad", "error": "timeout", "message": "Too late."},
        ],
    )
    assert json.loads(b"{%b}" % router_metadata.member(failed, good)) == {"_router": expected}
    assert good.router_member == b""


def test_a_fallback_on_the_first_attempt_is_reported() -> None:
    good = deployment()
    metadata = json.loads(b"{%b}" % router_metadata.member(exchange((good, "", ""), fallback_used=True), good))
    assert metadata == {"_router": answered_by(fallback_used=True)}
    assert good.router_member == b""


# -- the comment of a stream ----------------------------------------------------------------------------


@given(st.text(st.characters(codec="utf-8")))
def test_a_comment_is_always_one_event(reason: str) -> None:
    good = deployment()
    comment = router_metadata.comment(exchange((good, "other", reason), (good, "", "")), good)
    assert comment.startswith(b": _router {")
    assert comment.endswith(b"}\n\n")
    assert comment.count(b"\n") == 2
    assert b"\r" not in comment
    assert json.loads(comment.removeprefix(b": _router "))["errors"][0]["message"] == reason


# -- the header lines -----------------------------------------------------------------------------------


def test_a_plain_success_has_three_lines() -> None:
    good = deployment()
    expected = b"x-router-provider: up\r\nx-router-model: m\r\nx-router-attempts: 1\r\n"
    assert router_metadata.header_lines(exchange((good, "", "")), good) == expected
    assert router_metadata.header_lines(exchange((good, "", "")), good) == expected


def test_before_any_attempt_only_the_attempt_count_is_reported() -> None:
    assert router_metadata.header_lines(exchange(), None) == b"x-router-attempts: 0\r\n"


def test_failures_and_the_fallback_are_reported_if_any() -> None:
    good, bad = deployment(), deployment("bad", "down")
    failed = exchange((bad, "rate_limited", "status 429"), (good, "", ""), fallback_used=True)
    assert router_metadata.header_lines(failed, good).split(b"\r\n")[2:] == [
        b"x-router-attempts: 2", b"x-router-fallback-used: true", b"x-router-errors: down/bad=rate_limited", b"",
    ]  # fmt: skip


def test_names_of_any_kind_and_any_number_of_failures_stay_within_two_kilobytes_of_ascii() -> None:
    odd = deployment()
    odd.name = "ü\r\nx-evil: 1" + "é" * 500
    lines = router_metadata.header_lines(exchange(*[(odd, "server_error", "status 500")] * 50, fallback_used=True), odd)
    assert len(lines) <= 2048
    assert lines.isascii()
    assert lines.count(b"\n") == lines.count(b"\r\n") == 5
    assert b"\nx-evil" not in lines


def test_metadata_has_no_address_and_no_key() -> None:
    good = deployment()
    failed = exchange((good, "unreachable", "No connection."), (good, "", ""))
    for text in (
        router_metadata.member(failed, good),
        router_metadata.comment(failed, good),
        router_metadata.header_lines(failed, good),
    ):
        for secret in (KEY.encode(), b"10.1.2.3", b"up-model"):
            assert secret not in text


def test_a_decision_is_always_one_line_of_ascii() -> None:
    line = router_metadata.decision({"chosen": "up/ü\r\n", "candidates": ["x" * 100] * 100})
    assert line.startswith(b"x-router-decision: {")
    assert line.endswith(b"\r\n")
    assert line.isascii()
    assert line.count(b"\r") == line.count(b"\n") == 1
    assert len(line) < 1400
