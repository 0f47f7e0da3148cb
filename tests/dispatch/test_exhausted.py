"""The error when no candidate answered: its status, code, sentence, and whether an SDK should retry."""

from __future__ import annotations

import pytest

from proxy.breakers.breaker import Permit
from proxy.dispatch.exhausted import LONGEST_WAIT, MESSAGE, exhausted
from proxy.dispatch.failure import AttemptFailure
from proxy.errors import BrokenAnswer, UpstreamFault
from proxy.exchange import Attempt
from proxy.routing.rules import FailureKind
from tests.dispatch.rig import Result, Rig, answer
from tests.dispatch.test_dispatch import ROWS, broke, refused, two_providers
from tests.support import Answer, error_json
from tests.support.catalogs import build


async def sees(result: Result, **routing: object) -> Answer:
    """The client's answer where the only provider always fails so, without a retry."""
    rig = Rig(two_providers("alone", maxRetries=0, **routing), {"first/m": result})
    return await rig.ask("m")


async def test_a_single_failure_has_a_sentence_of_its_own() -> None:
    sentence = (await sees(broke(BrokenAnswer, "The answer is empty."))).json["error"]["message"]
    assert sentence == "The answer is empty."
    sentence = (await sees(refused(500, "Out of luck."))).json["error"]["message"]
    assert sentence == "The provider failed: status 500. It said: Out of luck."


async def test_several_failures_are_listed_and_equal_ones_are_counted() -> None:
    rig = Rig(two_providers("list"), {"first/m": refused(500), "second/b": broke(BrokenAnswer, "The answer is empty.")})
    sentence = (await rig.ask("m", "b")).json["error"]["message"]
    assert sentence == "No model could answer (first/m: status 500; second/b: The answer is empty (2 times))."


async def test_a_deployment_that_was_passed_over_is_listed_with_the_reason() -> None:
    rig = Rig(two_providers("list", maxRetries=0), {"first/m": refused(500)})
    rig.deployment("second/b").live.quota.cool_down(rig.clock.now() + 89.5, rig.clock.now() + 89.5)
    sentence = (await rig.ask("b", "m")).json["error"]["message"]
    assert sentence.startswith("No model could answer (")
    assert "first/m: status 500" in sentence
    assert "second/b: rate limited for another 90 s" in sentence


@pytest.mark.parametrize("code", ["busy", "a.b-c", 'no"code', "x" * 65])
async def test_the_providers_code_is_kept_if_it_is_one(code: str) -> None:
    found = (await sees(refused(500, "No.", code))).json["error"]["code"]
    assert found == (code if code in ("busy", "a.b-c") else "upstream_server_error")


async def test_long_reasons_are_cut() -> None:
    models = [{"name": f"model-{number}", "provider": "up"} for number in range(100)]
    names = [str(model["name"]) for model in models]
    catalog = build(models, {"up": {"baseUrl": "http://up.example/v1"}}, maxRetries=100)
    rig = Rig(catalog, {f"up/{name}": refused(404, "The model does not exist.") for name in names})
    error = (await rig.ask(*names)).json["error"]
    assert len(error["message"]) <= MESSAGE + 100 + len("The model does not exist.")


# -- should the client retry --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["401", "out of quota"])
async def test_what_only_an_operator_can_fix_should_not_be_retried(name: str) -> None:
    answer = await sees(ROWS[name].result)
    assert (answer.header("x-should-retry"), answer.header("retry-after")) == ("false", None)


async def test_a_rate_limit_says_when_it_ends() -> None:
    answer = await sees(refused(429, Retry_After="40"), rateLimitRetries=0)
    assert (answer.status, answer.header("retry-after")) == (429, "40")


@pytest.mark.parametrize(("seconds", "expected"), [("3", "3"), (str(int(LONGEST_WAIT) + 1), None)])
async def test_a_server_error_says_when_to_retry_if_that_is_soon(seconds: str, expected: str | None) -> None:
    assert (await sees(refused(503, Retry_After=seconds))).header("retry-after") == expected


async def test_no_attempt_at_all_should_not_be_retried_soon() -> None:
    rig = Rig(two_providers("alone"), {"first/m": refused(500)})
    rig.deployment("first/m").live.breaker.trip(rig.clock.now(), "upstream_server_error")
    answer = await rig.ask("m")
    assert (answer.status, answer.json["error"]["code"]) == (503, "no_candidate")
    assert (answer.header("x-should-retry"), rig.tried) == ("false", [])


async def test_a_refused_key_that_another_one_replaces_may_be_retried() -> None:
    """An upload could not be sent again; the next one uses the other key."""
    rig = Rig(two_providers("alone"), {})
    deployment = rig.deployment("first/m")
    dispatch = rig.dispatch("m")
    attempt = Attempt(deployment, Permit.NORMAL, deployment.provider.keys.take(0.0), 0.0)  # type: ignore[arg-type]
    attempt.failure = FailureKind.AUTH
    dispatch.exchange.attempts.append(attempt)
    last = AttemptFailure(attempt, FailureKind.AUTH)

    def error() -> UpstreamFault:
        return exhausted(dispatch.exchange, dispatch.plan, last, rig.clock.now())

    assert error().should_retry is False
    attempt.key.cooldown_until = rig.clock.now() + 60
    assert error().should_retry is None


async def test_an_error_is_one_in_openais_shape() -> None:
    document = (await sees(answer(error_json("No."), 500))).json
    assert set(document["error"]) == {"message", "type", "param", "code"}
    assert document["error"]["type"] == "upstream_error"
