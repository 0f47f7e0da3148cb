"""What a failed attempt means for the log, the client, later attempts and later requests."""

from __future__ import annotations

import pytest

from proxy.dispatch import outcome
from proxy.dispatch.attempt import AttemptRun
from proxy.errors import BrokenAnswer, ErrorInStream, ShuttingDown, Untranslatable
from proxy.relay.body import CollectedAnswer
from proxy.routing.rules import FailureKind
from tests.dispatch.rig import Rig
from tests.dispatch.test_dispatch import SECRET, refused, two_providers


@pytest.fixture
async def rig() -> Rig:
    return Rig(two_providers("alone"), {})


def begun(rig: Rig) -> AttemptRun:
    return rig.begin(rig.dispatch("m"), "first/m")


def error_response(status: int, message: str = "No.", code: str | None = None, **headers: str) -> CollectedAnswer:
    answer = refused(status, message, code, **headers)()
    assert isinstance(answer, CollectedAnswer)
    return answer


def test_credentials_are_removed_from_the_providers_message(rig: Rig) -> None:
    run = begun(rig)
    failure = outcome.refused(run, error_response(403, "Blocked for key-of-first"))
    assert failure.error is not None
    assert "key-of-first" not in failure.error.message
    assert "key-of-first" not in run.dispatch.exchange.error_detail
    fault = ErrorInStream("Blocked for key-of-first")
    assert outcome.failed(begun(rig), fault).error is not None
    assert "key-of-first" not in fault.message


def test_an_error_about_the_credential_is_for_the_log_only(rig: Rig) -> None:
    run = begun(rig)
    failure = outcome.refused(run, error_response(401, SECRET))
    assert (failure.kind, failure.error) == (FailureKind.AUTH, None)
    assert run.dispatch.exchange.error_detail.startswith("Incorrect API key")
    assert (run.attempt.reason, run.attempt.status) == ("status 401", 401)


def test_a_404_names_the_address_in_the_log(rig: Rig) -> None:
    run = begun(rig)
    failure = outcome.refused(run, error_response(404, "Not Found"))
    detail = run.dispatch.exchange.error_detail
    assert detail == "Not Found (requested at http://first.example/v1/chat/completions: check providers.first)"
    assert failure.error is not None
    assert failure.error.message == "Not Found"


def test_the_client_gets_the_reason_of_an_error_in_a_stream_without_its_words(rig: Rig) -> None:
    run = begun(rig)
    outcome.failed(run, ErrorInStream("Out of luck"))
    assert run.attempt.reason == "the provider sent an error instead of an answer"
    run = begun(rig)
    outcome.failed(run, BrokenAnswer("The provider's answer is empty."))
    assert run.attempt.reason == "The provider's answer is empty."


@pytest.mark.parametrize(("asked", "next_time"), [(True, False), (False, True)], ids=["ours", "the client's"])
def test_stream_options_of_the_gateway_that_are_refused_are_left_out_from_then_on(
    rig: Rig, asked: bool, next_time: bool
) -> None:
    run = begun(rig)
    run.attempt.asks_usage = asked
    failure = outcome.refused(run, error_response(400, "Unknown parameter: stream_options"))
    assert failure.kind is (FailureKind.OPTIONS if asked else FailureKind.OTHER)
    assert rig.deployment("first/m").provider.learnt.asks_usage is next_time
    assert not run.attempt.permit
    assert rig.deployment("first/m").live.breaker.failures == 0


def test_stream_options_in_an_error_of_an_upload_mean_nothing(rig: Rig) -> None:
    run = begun(rig)
    run.responder.call = None
    run.attempt.asks_usage = True
    assert outcome.refused(run, error_response(400, "Unknown parameter: stream_options")).kind is FailureKind.OTHER


def test_a_context_error_is_a_requirement_for_what_follows(rig: Rig) -> None:
    run = begun(rig)
    outcome.refused(run, error_response(400, "too long", "context_length_exceeded"))
    assert not run.dispatch.plan.may_retry(rig.deployment("first/m"), rig.clock.now())


def test_a_429_starts_a_cooldown_and_is_logged_once_if_it_is_long(rig: Rig) -> None:
    for _ in range(2):
        outcome.refused(begun(rig), error_response(429, Retry_After="30"))
        assert rig.deployment("first/m").live.quota.cooldown_until == pytest.approx(rig.clock.now() + 30)
    assert rig.warnings == [{"deployment": "first/m", "seconds": 30.0, "probe": 30.0}]


# -- streams ------------------------------------------------------------------------------------------


def test_a_whole_stream_is_a_success(rig: Rig) -> None:
    run = begun(rig)
    outcome.streamed(run)
    assert run.attempt.failure == ""
    assert rig.deployment("first/m").live.statistics.counts(rig.clock.now()) == (1, 0)


def test_a_broken_stream_is_a_failure_with_the_code_of_the_exchange_as_reason(rig: Rig) -> None:
    run = begun(rig)
    exchange = run.dispatch.exchange
    exchange.fault, exchange.error = BrokenAnswer("It broke."), "upstream_broken_answer"
    outcome.streamed(run)
    assert (run.attempt.failure, run.attempt.reason) == ("broken_answer", "It broke.")
    breaker = rig.deployment("first/m").live.breaker
    assert (breaker.failures, breaker.reason) == (1, "upstream_broken_answer")


def test_a_stream_that_the_gateway_ended_has_no_verdict(rig: Rig) -> None:
    run = begun(rig)
    run.dispatch.exchange.fault = ShuttingDown("stopping")
    outcome.streamed(run)
    assert (run.attempt.failure, run.attempt.permit) == ("ours", 0)
    live = rig.deployment("first/m").live
    assert (live.breaker.failures, live.statistics.counts(rig.clock.now())) == (0, (0, 0))


def test_an_attempt_whose_request_cannot_be_made_ends_at_once(rig: Rig) -> None:
    run = begun(rig)
    failure = outcome.untranslatable(run, Untranslatable("input[0]", "It is a sound."))
    assert (failure.kind, run.attempt.failure) == (FailureKind.UNTRANSLATABLE, FailureKind.UNTRANSLATABLE)
    assert run.attempt.ended == run.dispatch.dispatcher.now()  # else its span would last until the exchange ends
