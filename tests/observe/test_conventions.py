from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.usage import Usage, UsageDetails
from proxy.identity import Client
from proxy.observe.conventions import OPERATIONS, blamed, is_failure, of_attempt, of_exchange, operation_of, text_of
from proxy.routing.endpoints import ENDPOINTS, OPAQUE
from proxy.routing.routes import MODELS
from tests.observe.exchanges import attempt_of, refused, settled

MODEL = "deepseek/deepseek-r1:free"


def test_attributes_of_a_successful_stream() -> None:
    exchange = settled(response_model="deepseek-r1-0528", attempts=[attempt_of(100.0, 103.0)])
    assert of_exchange(exchange, operation_of(exchange)) == {
        "sluice.request_id": "req-1",
        "sluice.outcome": "ok",
        "sluice.attempts": 1,
        "http.route": "chat/completions",
        "http.response.status_code": 200,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openrouter",
        "gen_ai.system": "openrouter",
        "gen_ai.request.model": "deepseek-r1",
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "deepseek-r1-0528",
        "gen_ai.server.time_to_first_token": 0.25,
        "gen_ai.usage.input_tokens": 30,
        "gen_ai.usage.output_tokens": 30,
        "gen_ai.usage.cache_read.input_tokens": 20,
    }


def test_attributes_of_a_successful_attempt() -> None:
    attempt = attempt_of(100.0, 103.0)
    attempt.first_content = 100.125
    assert of_attempt(settled(), attempt, "chat", MODEL) == {
        "server.address": "127.0.0.1",
        "server.port": 1,
        "http.response.status_code": 200,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openrouter",
        "gen_ai.system": "openrouter",
        "gen_ai.request.model": MODEL,
        "gen_ai.request.stream": True,
        "gen_ai.response.time_to_first_chunk": 0.125,
    }


def test_the_exchange_says_who_used_it_and_at_what_cost() -> None:
    caller = Client("key:k", key="k", owner="ann", team="web", project="shop", labels=(("cost", "42"),))
    exchange = settled(caller=caller, run="night-1", added_labels=(("ticket", "7"),), cost=1_250_000)
    attributes = of_exchange(exchange, "chat")
    expected = {
        "session.id": "night-1",
        "gen_ai.conversation.id": "night-1",
        "user.id": "ann",
        "sluice.key": "k",
        "sluice.team": "web",
        "sluice.project": "shop",
        "sluice.label.cost": "42",
        "sluice.label.ticket": "7",
        "gen_ai.usage.cost": 0.00125,
    }
    assert attributes == of_exchange(settled(), "chat") | expected
    nobody = of_exchange(settled(caller=Client("address:127.0.0.1")), "chat")
    assert nobody == of_exchange(settled(), "chat")


def test_an_unknown_cost_is_no_attribute_and_a_free_answer_costs_nothing() -> None:
    assert "gen_ai.usage.cost" not in of_exchange(settled(cost=None), "chat")
    assert of_exchange(settled(cost=0), "chat")["gen_ai.usage.cost"] == 0.0


def test_cache_writes_are_part_of_the_input() -> None:
    details = UsageDetails(cache_write=5, cache_write_1h=2)
    attributes = of_exchange(settled(usage=Usage(1, 2, 3, None, details)), "chat")
    assert attributes["gen_ai.usage.input_tokens"] == 10
    assert attributes["gen_ai.usage.cache_creation.input_tokens"] == 7


def test_a_failed_attempt_has_its_own_status_and_kind() -> None:
    attempt = attempt_of(100.0, 101.0, "server_error")
    attempt.status = 503
    attributes = of_attempt(settled(response_model="another"), attempt, "chat", MODEL)
    assert (attributes["http.response.status_code"], attributes["error.type"]) == (503, "server_error")
    assert "gen_ai.response.model" not in attributes
    assert blamed(attempt)


@pytest.mark.parametrize("kind", ["outrun", "client_gone"])
def test_a_canceled_attempt_is_not_an_error(kind: str) -> None:
    attempt = attempt_of(100.0, 101.0, kind)
    attributes = of_attempt(settled(), attempt, "chat", MODEL)
    assert attributes["sluice.cut_short"] == kind
    assert "error.type" not in attributes
    assert "http.response.status_code" not in attributes
    assert not blamed(attempt)


@pytest.mark.parametrize(
    ("facts", "error", "failure"),
    [
        ({"outcome": "ok"}, None, False),
        ({"outcome": "error", "status": 503, "error": "no_candidate"}, "no_candidate", True),
        ({"outcome": "error", "status": 502}, "502", True),
        ({"outcome": "error", "status": 404, "error": "model_not_found"}, "model_not_found", False),
        ({"outcome": "broken", "error": "timeout_idle"}, "timeout_idle", True),
        ({"outcome": "cancelled"}, "cancelled", True),
        ({"outcome": "client_gone"}, None, False),
        ({"outcome": "client_gone", "error": "timeout_clientStall"}, "timeout_clientStall", False),
    ],
)
def test_outcomes_map_to_errors_of_client_provider_or_gateway(
    facts: dict[str, Any], error: str | None, failure: bool
) -> None:
    exchange = settled(**facts)
    assert of_exchange(exchange, "chat").get("error.type") == error
    assert is_failure(exchange) == failure


def test_unknown_attributes_are_omitted() -> None:
    attributes = of_exchange(settled(usage=None, first_content=None, status=0, stream=False), "chat")
    assert [name for name in attributes if "usage" in name or "time" in name or "status" in name] == []
    partial = of_exchange(settled(usage=Usage(input=3, reasoning=5)), "chat")
    assert partial["gen_ai.usage.input_tokens"] == 3
    assert "gen_ai.usage.output_tokens" not in partial


def test_reasoning_is_part_of_the_output() -> None:
    attributes = of_exchange(settled(usage=Usage(input=1, output=2, reasoning=3)), "chat")
    assert attributes["gen_ai.usage.output_tokens"] == 5
    assert attributes["gen_ai.usage.reasoning.output_tokens"] == 3


def test_a_request_rejected_before_parsing_is_not_a_generation() -> None:
    exchange = refused("invalid_api_key", 401)
    exchange.endpoint = type(ENDPOINTS[0])("-", "opaque", False, False, "opaque", "any")
    attributes = of_exchange(exchange, operation_of(exchange))
    assert operation_of(exchange) == ""
    assert attributes == {
        "sluice.request_id": "req-1",
        "sluice.outcome": "error",
        "sluice.attempts": 0,
        "http.response.status_code": 401,
        "error.type": "invalid_api_key",
    }


def test_every_endpoint_has_an_operation() -> None:
    assert {endpoint.path for endpoint in (*ENDPOINTS, OPAQUE, MODELS)} == set(OPERATIONS)


@given(st.text(st.characters()))
def test_any_model_name_is_encodable_and_bounded(text: str) -> None:
    kept = text_of(text)
    kept.encode()
    assert len(kept) <= 257


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    assert text_of("m\ud800") == "m?"


def test_what_the_cache_did_is_there_while_it_is_on() -> None:
    assert of_exchange(settled(cache="stale"), "chat")["sluice.cache"] == "stale"
    assert "sluice.cache" not in of_exchange(settled(), "chat")
