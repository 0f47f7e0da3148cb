"""What applies to a request."""

from __future__ import annotations

from multidict import CIMultiDict

from proxy.cache.rules import CachePolicy, CacheRules, scope_of
from proxy.config.cache_schema import CacheRule, CacheSettings
from proxy.identity import Client

ANN = Client("key:1", "ann", key="k1", owner="team")
NAMELESS = Client("address:10.0.0.1")


def found(
    rules: list[CacheRule], model: str = "m", client: Client | None = ANN, **headers: str
) -> tuple[object, ...] | None:
    compiled = CacheRules(CacheSettings(ttl_secs=100.0, rules=rules))
    policies = {id(compiled.find(model, client, CIMultiDict(headers))) for _ in range(2)}
    assert len(policies) == 1
    policy = compiled.find(model, client, CIMultiDict(headers))
    return None if policy is None else (policy.ttl, policy.scope)


def test_without_rules_the_section_applies() -> None:
    assert found([]) == (100.0, "owner")
    assert isinstance(CacheRules(CacheSettings()).find("m", None, CIMultiDict()), CachePolicy)


def test_the_first_rule_that_matches_applies() -> None:
    rules = [
        CacheRule(models=["gpt-*", "o1"], ttl_secs=5.0),
        CacheRule(models=["gpt-4"], scope="shared"),
        CacheRule(enabled=False),
    ]
    assert found(rules, "gpt-4") == (5.0, "owner")
    assert found(rules, "o1") == (5.0, "owner")
    assert found(rules, "o11") is None


def test_a_rule_for_a_model_applies_where_it_is_one_of_several() -> None:
    rules = [CacheRule(models=["o1"], enabled=False), CacheRule(models=["gpt-*"], ttl_secs=5.0)]
    assert found(rules, "gpt-4,o1") is None
    assert found(rules, "m,gpt-4") == (5.0, "owner")
    assert found(rules, "m,auto") == (100.0, "owner")


def test_a_rule_for_clients_matches_names_and_ids() -> None:
    for pattern in ("ann", "key:*", "k1"):
        assert found([CacheRule(clients=[pattern], enabled=False)]) is None
    assert found([CacheRule(clients=["bob"], enabled=False)]) == (100.0, "owner")
    assert found([CacheRule(clients=["ann"], enabled=False)], client=None) == (100.0, "owner")


def test_a_rule_for_headers_needs_all_of_them() -> None:
    rule = CacheRule(headers={"x-team": "web-*", "x-env": "*"}, scope="shared")
    assert found([rule], **{"X-Team": "web-1", "x-env": "test"}) == (100.0, "shared")
    assert found([rule], **{"X-Team": "web-1"}) == (100.0, "owner")
    assert found([rule], **{"X-Team": "app-1", "x-env": "test"}) == (100.0, "owner")


def test_who_shares_answers() -> None:
    assert scope_of("shared", ANN) == scope_of("shared", NAMELESS) == ""
    assert scope_of("owner", ANN) == "owner team"
    assert scope_of("key", ANN) == "key k1"
    assert scope_of("owner", NAMELESS) == "owner address:10.0.0.1"
    assert scope_of("owner", Client("key:2", key="k2")) == "owner key:2"
