"""The loop over candidates: each row of the rules table, from a provider's result to the client's answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from proxy.dialects import provider_error
from proxy.errors import (
    BrokenAnswer,
    ClientGone,
    ClockExpired,
    ConnectFailed,
    ConnectionBroken,
    StreamTruncated,
    UpstreamFault,
)
from proxy.routing.catalog import Catalog
from proxy.routing.live import LiveState
from proxy.routing.rules import RULES, FailureKind, Next
from tests.dispatch.rig import WHOLE, Result, Rig, answer
from tests.support import Answer, error_json
from tests.support.catalogs import build

KEYS = {"first": "key-of-first", "second": "key-of-second"}
SETTINGS = ("alone", "fallback", "list", "equal")
OTHERS = ("fallback", "list", "equal")
# Attempts at the first provider, by setting.
ONCE, TWICE, THRICE, TOO_MANY = (1, 1, 1, 1), (2, 2, 1, 1), (3, 3, 3, 3), (3, 3, 3, 1)


def refused(status: int, message: str = "Broken on purpose", code: str | None = None, **headers: str) -> Result:
    lines = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return answer(error_json(message, code=code), status, lines)


def broke(
    fault: type[UpstreamFault], message: str = "It broke.", *, response_begun: bool = False, **details: Any
) -> Result:
    def result() -> UpstreamFault:
        found = fault(message, **details)
        found.response_begun = response_begun
        return found

    return result


def expired(clock: str) -> Result:
    return lambda: ClockExpired(clock, 1.0)


def in_stream(message: str, code: str | None = None, kind: str = "server_error") -> Result:
    """An error with a 200."""

    def result() -> UpstreamFault:
        return provider_error.fault_of(provider_error.find(error_json(message, kind=kind, code=code)))

    return result


@dataclass(frozen=True)
class Row:
    """``tries`` are the attempts at the first provider in each of ``SETTINGS``, ``rescued`` the settings in which the
    second one answers. ``status`` and ``code`` are what the client gets in the others; ``relayed``: that is the
    provider's own error. ``breaker`` is its state at the end, ``failures`` how many it counts.
    """

    kind: FailureKind
    result: Result
    tries: tuple[int, int, int, int]
    status: int
    code: str | None
    rescued: tuple[str, ...] = OTHERS
    relayed: bool = False
    breaker: str = "closed"
    failures: int = 1


SECRET = "Incorrect API key provided: key-of-first, see https://inner.example/keys"
OWN_WORDS = "Blocked for project proj_JMo3Q9spNIEWhSxusokLegJY and key-of-first"
AFFORD = "This request requires more credits, or fewer max_tokens. You requested up to 65536, but can only afford 1200."
NO_ACCESS = "Project `proj_JMo3Q9spNIEWhSxusokLegJY` does not have access to model `up-m`"
NO_ITEM = "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false."
CONTEXT = refused(400, "This model's maximum context length is 1000 tokens.", "context_length_exceeded")
TOO_LARGE = (
    "Request too large for model `m` in organization `org_01hx9y2z` on tokens per minute (TPM): Limit 6000, "
    "Requested 9014, please reduce your message size and try again."
)


def missing(status: int, message: str, code: str | None = None) -> Row:
    result = refused(status, message, code)
    return Row(FailureKind.MODEL_MISSING, result, ONCE, 404, "model_not_found", breaker="unavailable", failures=0)


def relayed(
    kind: FailureKind, status: int, code: str, rescued: tuple[str, ...], message: str = "No.", **headers: str
) -> Row:
    return Row(kind, refused(status, message, code, **headers), ONCE, status, code, rescued, True, failures=0)


ROWS = {
    "429": Row(FailureKind.RATE_LIMITED, refused(429), TOO_MANY, 429, "rate_limit_exceeded"),
    "429 with a time": Row(
        FailureKind.RATE_LIMITED, refused(429, Retry_After="7"), TOO_MANY, 429, "rate_limit_exceeded"
    ),
    "reset": Row(FailureKind.RESET, broke(ConnectionBroken), THRICE, 502, "upstream_disconnected"),
    "network unreachable": Row(
        FailureKind.RESET, broke(ConnectFailed, again=True), THRICE, 502, "upstream_unreachable"
    ),
    "refused": Row(FailureKind.UNREACHABLE, broke(ConnectFailed), ONCE, 502, "upstream_unreachable"),
    **{
        f"{clock} clock": Row(FailureKind.TIMEOUT, expired(clock), ONCE, 504, f"timeout_{clock}")
        for clock in ("connect", "headers", "firstContent", "idle", "total")
    },
    "deadline": Row(FailureKind.DEADLINE, expired("deadline"), ONCE, 504, "timeout_deadline", ()),
    **{
        str(status): Row(FailureKind.SERVER_ERROR, refused(status), TWICE, 502, "upstream_server_error")
        for status in (500, 503, 529, 408, 425)
    },
    "error with a 200": Row(FailureKind.SERVER_ERROR, in_stream("Overloaded", "busy"), TWICE, 502, "busy"),
    "empty answer": Row(
        FailureKind.BROKEN_ANSWER,
        broke(BrokenAnswer, code="upstream_empty_answer"),
        TWICE,
        502,
        "upstream_empty_answer",
    ),
    "cut answer": Row(
        FailureKind.BROKEN_ANSWER, broke(ConnectionBroken, response_begun=True), TWICE, 502, "upstream_disconnected"
    ),
    "cut stream": Row(FailureKind.BROKEN_ANSWER, broke(StreamTruncated), TWICE, 502, "upstream_stream_truncated"),
    "model missing": missing(404, "The model `up-m` does not exist or you do not have access to it."),
    "model missing, 410": missing(410, "The model 'up-m' has reached its end of life and is no longer available."),
    "model missing, 400": missing(400, "Model Not Exist", "invalid_request_error"),
    "model missing, 403": missing(403, NO_ACCESS, "model_not_found"),
    "404": relayed(FailureKind.NOT_FOUND, 404, "gone", OTHERS),
    "410": relayed(FailureKind.NOT_FOUND, 410, "gone", OTHERS),
    "item missing": relayed(FailureKind.ITEM_MISSING, 404, "no_item", (), NO_ITEM),
    "too long": Row(
        FailureKind.CONTEXT_LENGTH,
        CONTEXT,
        ONCE,
        400,
        "context_length_exceeded",
        ("fallback", "list"),
        True,
        failures=0,
    ),
    "filtered": relayed(FailureKind.CONTENT_FILTER, 400, "content_filter", ()),
    "loop": relayed(FailureKind.LOOP, 508, "gateway_loop", ()),
    **{str(status): relayed(FailureKind.OTHER, status, "wrong", ()) for status in (400, 409, 422)},
    "402 for max_tokens": relayed(FailureKind.OTHER, 402, "broke", (), AFFORD),
    "402": relayed(FailureKind.PAYMENT_REQUIRED, 402, "broke", OTHERS, OWN_WORDS),
    "403": relayed(FailureKind.FORBIDDEN, 403, "blocked", OTHERS, OWN_WORDS),
    "413": relayed(FailureKind.TOO_LARGE, 413, "wrong", OTHERS),
    "413 of a minute": relayed(FailureKind.TOO_LARGE, 413, "rate_limit_exceeded", OTHERS, TOO_LARGE, Retry_After="60"),
    "429 of one request": relayed(
        FailureKind.TOO_LARGE, 429, "rate_limit_exceeded", OTHERS, TOO_LARGE, Retry_After="60"
    ),
    "out of quota": Row(
        FailureKind.OUT_OF_QUOTA,
        refused(429, "You exceeded your current quota.", "insufficient_quota"),
        ONCE,
        429,
        "insufficient_quota",
        relayed=True,
    ),
    "401": Row(FailureKind.AUTH, refused(401, SECRET, "bad_key"), ONCE, 502, "upstream_auth_failed"),
    "400 about the key": Row(
        FailureKind.AUTH,
        answer([error_json("API key not valid. Please pass a valid API key.")], 400),
        ONCE,
        502,
        "upstream_auth_failed",
    ),
    "busy": Row(FailureKind.BUSY, broke(ConnectFailed, code="upstream_busy"), ONCE, 503, "upstream_busy", failures=0),
    "refused with a 200": Row(
        FailureKind.REFUSED_IN_ANSWER,
        in_stream("No.", "wrong", "invalid_request_error"),
        TWICE,
        400,
        "wrong",
        failures=0,
    ),
}
# What no result of a provider comes to: ``OPTIONS`` needs a stream (test_outcome.py), the others end the exchange.
ENDED_FROM_OUTSIDE = {FailureKind.SLOW, FailureKind.CLIENT_GONE, FailureKind.OUTRUN, FailureKind.OURS}


def two_providers(setting: str, **routing: Any) -> Catalog:
    """``m`` at ``first``; at ``second`` the same, or ``b``, which is larger."""
    name = "m" if setting == "equal" else "b"
    if setting == "fallback":
        routing = {"fallback": {"provider": "second", "model": name}} | routing
    models = [{"name": "m", "provider": "first", "model": "up-m", "contextSize": 1000}]
    if setting != "alone":
        size = 1000 if setting == "equal" else 2000
        models.append({"name": name, "provider": "second", "model": f"up-{name}", "contextSize": size})
    providers = {name: {"baseUrl": f"http://{name}.example/v1", "apiKey": key} for name, key in KEYS.items()}
    return build(models, providers, **routing)


def live(rig: Rig, label: str) -> LiveState:
    return rig.deployment(label).live


def assert_no_secrets(answer: Answer) -> None:
    """No address, no key, nothing of what a provider says about the gateway's credential."""
    for secret in ("example", "Incorrect", "key-of", "JMo3Q", "01hx9y"):
        assert secret not in f"{answer.head.headers}{answer.body!r}"


def test_each_kind_has_a_row_here() -> None:
    not_sent = {FailureKind.UNTRANSLATABLE}  # test_translate.py
    assert {row.kind for row in ROWS.values()} == set(RULES) - ENDED_FROM_OUTSIDE - {FailureKind.OPTIONS} - not_sent
    assert all(RULES[kind].next is Next.STOP for kind in ENDED_FROM_OUTSIDE)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", ROWS)
async def test_each_row_of_the_table(name: str, setting: str) -> None:
    row, tries = ROWS[name], ROWS[name].tries[SETTINGS.index(setting)]
    other = "m" if setting == "equal" else "b"
    rig = Rig(two_providers(setting), {"first/m": row.result, f"second/{other}": WHOLE})
    answer = await rig.ask(*(("m", "b") if setting == "list" else ("m",)))
    assert_no_secrets(answer)
    assert rig.tried == ["first/m"] * tries + [f"second/{other}"] * (setting in row.rescued)
    if setting in row.rescued:
        assert answer.status == 200
        rescued(answer, row, tries, setting, other)
    else:
        assert (answer.status, answer.json["error"]["code"]) == (row.status, row.code)
        assert answer.header("x-router-attempts") == str(tries)
    assert live(rig, "first/m").breaker.state_at("chat/completions", rig.clock.now()) == row.breaker
    assert live(rig, "first/m").breaker.failures == row.failures


def rescued(answer: Answer, row: Row, tries: int, setting: str, name: str) -> None:
    """The metadata of an answer that another deployment gave."""
    assert (answer.header("x-router-provider"), answer.header("x-router-model")) == ("second", name)
    assert answer.header("x-router-attempts") == str(tries + 1)
    assert answer.header("x-router-fallback-used") == ("true" if setting == "fallback" else None)
    assert answer.header("x-router-errors") == ", ".join([f"first/m={row.kind}"] * tries)
    member = answer.json["_router"]
    assert [(each["provider"], each["model_name"], each["error"]) for each in member["errors"]] == [
        ("first", "m", row.kind)
    ] * tries
    assert (member["attempts"], member["fallback_used"]) == (tries + 1, setting == "fallback")


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.relayed])
async def test_a_relayed_error_is_the_providers_own_without_credentials(name: str) -> None:
    row = ROWS[name]
    rig = Rig(two_providers("alone"), {"first/m": row.result})
    answer = await rig.ask("m")
    assert set(answer.json) == {"error"}
    assert answer.json["error"]["type"] == "server_error"  # as ``error_json`` has it


# -- one failure per exchange -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["429", "reset", "500", "empty answer"])
async def test_an_exchange_counts_as_one_failure_however_often_it_retries(name: str) -> None:
    rig = Rig(two_providers("alone"), {"first/m": ROWS[name].result})
    breaker = live(rig, "first/m").breaker
    for number in (1, 2, 3):
        rig.clock.advance(20)
        assert (breaker.state, breaker.failures) == ("closed", number - 1)
        assert (await rig.ask("m")).status in (429, 502)
    assert (breaker.state, live(rig, "first/m").statistics.counts(rig.clock.now())) == ("open", (3, 3))
    tried = len(rig.tried)
    answer = await rig.ask("m")
    if name == "429":  # a probe sees whether it is still rate limited
        assert (answer.status, answer.header("x-should-retry")) == (429, None)
        assert len(rig.tried) > tried
    else:
        assert len(rig.tried) == tried
        assert "(first/m: circuit breaker open for another " in answer.json["error"]["message"]
        assert (answer.status, answer.header("retry-after")) == (503, None)
        assert answer.header("x-should-retry") == "false"


# -- requests that may not run twice ------------------------------------------------------------------

MAY_HAVE_RUN = ("500", "reset", "cut answer", "total clock", "error with a 200")
NOT_SENT = ("refused", "connect clock", "busy", "network unreachable")


@pytest.mark.parametrize("repeatable", [True, False])
@pytest.mark.parametrize("name", [*MAY_HAVE_RUN, *NOT_SENT, "401", "429", "out of quota"])
async def test_a_request_that_may_have_run_is_sent_again_only_if_that_does_no_harm(name: str, repeatable: bool) -> None:
    rig = Rig(two_providers("equal"), {"first/m": [ROWS[name].result, WHOLE], "second/m": WHOLE})
    answer = await rig.run(rig.dispatch("m", repeatable=repeatable))
    if name in MAY_HAVE_RUN and not repeatable:
        assert (answer.status in (502, 504), rig.tried) == (True, ["first/m"])
        assert live(rig, "first/m").breaker.failures == 1
    else:
        assert (answer.status, len(rig.tried)) == (200, 2)


@pytest.mark.parametrize(
    ("path", "repeatable"),
    [
        ("chat/completions", True),
        ("embeddings", True),
        ("moderations", True),
        ("completions", True),
        ("responses", False),
        ("images/generations", False),
        ("audio/speech", False),
    ],
)
async def test_the_endpoint_says_whether_a_second_run_does_harm(path: str, repeatable: bool) -> None:
    rig = Rig(two_providers("equal"), {"first/m": ROWS["500"].result, "second/m": WHOLE})
    assert (await rig.ask("m", path=path)).status == (200 if repeatable else 502)


# -- budget, fallback and deadline --------------------------------------------------------------------


@pytest.mark.parametrize("retries", [0, 1, 2, 3])
async def test_max_retries_bounds_the_deployments_that_are_tried_before_the_fallback(retries: int) -> None:
    """3 is three, the first included; 0 is one attempt, and nothing is repeated."""
    names = ("a", "b", "c", "d", "last")
    catalog = build(
        [{"name": name, "provider": "up"} for name in names],
        {"up": {"baseUrl": "http://up.example/v1"}},
        maxRetries=retries,
        fallback={"provider": "up", "model": "last"},
    )
    rig = Rig(catalog, {f"up/{name}": refused(500) for name in names})
    answer = await rig.ask("a", "b", "c", "d")
    again = 1 if retries else 0  # the same once more, where no other is left before the fallback
    tried = ["up/a", "up/b", "up/c", "up/d"][: max(1, retries)]
    assert rig.tried == [*tried, *tried[-1:] * again, "up/last", *["up/last"] * again]
    assert (answer.status, answer.header("x-router-fallback-used")) == (502, "true")
    assert all(f"{label}: status 500" in answer.json["error"]["message"] for label in rig.tried)


async def test_the_last_failure_decides_between_502_and_504() -> None:
    rig = Rig(two_providers("list"), {"first/m": expired("total"), "second/b": refused(500)})
    assert ((await rig.ask("m", "b")).status, rig.tried) == (502, ["first/m", "second/b", "second/b"])
    rig = Rig(two_providers("list"), {"first/m": refused(500), "second/b": expired("total")})
    assert ((await rig.ask("m", "b")).status, rig.tried) == (504, ["first/m", "second/b"])


async def test_429_only_if_every_candidate_was_rate_limited() -> None:
    results = {"first/m": refused(429, Retry_After="9"), "second/b": [refused(429, Retry_After="4"), refused(500)]}
    rig = Rig(two_providers("list", rateLimitRetries=0), results)
    answer = await rig.ask("m", "b")
    assert (answer.status, answer.header("retry-after")) == (429, "4")
    rig.clock.advance(5)
    answer = await rig.ask("m", "b")
    assert (answer.status, rig.tried) == (502, ["first/m", "second/b", "second/b", "second/b"])


async def test_after_the_deadline_nothing_else_is_tried() -> None:
    rig = Rig(two_providers("equal", deadlineSecs=5), {"first/m": refused(500), "second/m": WHOLE})
    dispatch = rig.dispatch("m")
    rig.clock.advance(5)
    assert ((await rig.run(dispatch)).status, rig.tried) == (502, ["first/m"])


async def test_a_client_that_leaves_ends_the_loop() -> None:
    def left() -> UpstreamFault:
        raise ClientGone

    rig = Rig(two_providers("equal"), {"first/m": left, "second/m": WHOLE})
    with pytest.raises(ClientGone):
        await rig.ask("m")
    assert rig.tried == ["first/m"]


# -- context lengths ----------------------------------------------------------------------------------


def sized(**sizes: int) -> Catalog:
    models = [{"name": name, "provider": "up", "contextSize": size} for name, size in sizes.items()]
    return build(models, {"up": {"baseUrl": "http://up.example/v1"}})


async def test_after_a_context_error_only_larger_and_unknown_contexts_are_tried() -> None:
    sizes = {"small": 1000, "smaller": 500, "same": 1000, "unknown": 0, "larger": 2000, "largest": 9000}
    results: dict[str, Result | list[Result]] = {"up/small": CONTEXT, "up/unknown": CONTEXT, "up/larger": WHOLE}
    rig = Rig(sized(**sizes), results)
    assert (await rig.ask(*sizes)).json["_router"]["model_name"] == "larger"
    assert rig.tried == ["up/small", "up/unknown", "up/larger"]


async def test_a_fallback_of_unknown_context_is_tried_after_a_context_error() -> None:
    catalog = build(
        [{"name": "m", "provider": "up", "contextSize": 1000}],
        {"up": {"baseUrl": "http://up.example/v1"}},
        fallback={"provider": "up", "model": "last"},
    )
    rig = Rig(catalog, {"up/m": CONTEXT, "up/last": WHOLE})
    answer = await rig.ask("m")
    assert (answer.status, answer.header("x-router-fallback-used"), rig.tried) == (200, "true", ["up/m", "up/last"])


async def test_a_context_error_of_a_deployment_of_unknown_context_excludes_none() -> None:
    rig = Rig(sized(unknown=0, small=500), {"up/unknown": CONTEXT, "up/small": WHOLE})
    assert (await rig.ask("unknown", "small")).json["_router"]["model_name"] == "small"


async def test_a_context_that_is_too_long_for_all_gets_the_providers_error() -> None:
    rig = Rig(two_providers("list"), {"first/m": CONTEXT, "second/b": CONTEXT})
    answer = await rig.ask("m", "b")
    assert (answer.status, rig.tried) == (400, ["first/m", "second/b"])
    assert answer.json == error_json(
        "This model's maximum context length is 1000 tokens.", code="context_length_exceeded"
    )
