"""Claims of verified tokens, and refusals of invalid ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.auth.claims import client_of, good_until
from proxy.config.limit_schema import Limits
from proxy.config.schema import Jwt, JwtClaims
from proxy.errors import Unauthorized
from proxy.identity import Client
from proxy.routing.access import ALL, Access
from tests.auth.tokens import GOOD, NOW

OURS = Jwt(issuer="https://id.example.org", audience=["sluice", "other"], leeway_secs=30.0)
ANY = Jwt(leeway_secs=30.0)

json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


def judged(claims: dict[str, Any], settings: Jwt = ANY, now: float = NOW) -> Client:
    good_until(claims, settings, now)
    return client_of(claims, settings)


def refusal(claims: dict[str, Any], settings: Jwt = ANY, now: float = NOW) -> str:
    """The detail for the log."""
    with pytest.raises(Unauthorized) as caught:
        judged(claims, settings, now)
    assert caught.value.message == Unauthorized.text
    return caught.value.detail


# -- for us and for now ---------------------------------------------------------------------------------


def test_a_token_is_valid_until_exp_plus_leeway() -> None:
    claims = {"exp": NOW}
    assert good_until(claims, ANY, NOW + 29.9) == NOW + 30
    assert refusal(claims, now=NOW + 30) == "the token has expired"


def test_a_token_is_valid_from_nbf_minus_leeway() -> None:
    claims = {**GOOD, "nbf": NOW + 30}
    assert good_until(claims, ANY, NOW)
    assert refusal(claims, now=NOW - 0.1) == "the token is not valid yet"


def test_a_token_without_exp_is_rejected() -> None:
    assert refusal({"sub": "alice"}) == "the token has no exp"


@pytest.mark.parametrize("name", ["exp", "nbf"])
@pytest.mark.parametrize(
    "value", [None, True, "1800000000", [], {}, -1, float("nan"), float("inf"), 10**400, NOW * 1000]
)
def test_a_timestamp_is_a_number_of_seconds(name: str, value: object) -> None:
    assert refusal({**GOOD, name: value}) == f"{name} is not a time in Unix seconds"


@pytest.mark.parametrize("issuer", ["https://id.example.org/", "", None, ["https://id.example.org"]])
def test_another_issuer_is_rejected(issuer: object) -> None:
    assert "iss" in refusal({**GOOD, "aud": "sluice", "iss": issuer}, OURS)
    assert "iss" in refusal({**GOOD, "aud": "sluice"}, OURS)


@pytest.mark.parametrize("audience", ["sluice", "other", ["sluice"], ["a", "other"]])
def test_an_audience_is_a_string_or_a_list(audience: object) -> None:
    assert good_until({**GOOD, "iss": OURS.issuer, "aud": audience}, OURS, NOW)


@pytest.mark.parametrize(
    "audience", ["", "Sluice", "sluice other", [], ["a"], None, 1, {}, {"sluice": 1}, ["sluice", 1]]
)
def test_another_audience_is_rejected(audience: object) -> None:
    assert "aud" in refusal({**GOOD, "iss": OURS.issuer, "aud": audience}, OURS)
    assert "aud" in refusal({**GOOD, "iss": OURS.issuer}, OURS)


def test_a_token_with_an_audience_needs_a_configured_audience() -> None:
    assert "aud" in refusal({**GOOD, "aud": "sluice"}, ANY)
    assert good_until({**GOOD, "aud": []}, ANY, NOW)


# -- client and access -----------------------------------------------------------------------------------


def test_a_subject_alone_allows_all_models_and_no_passthrough() -> None:
    client = client_of(GOOD, Jwt(issuer="x"))
    assert (client.id, client.name, client.limits, client.passthrough) == ("jwt:alice", "alice", None, False)
    assert client.access is ALL


def test_subjects_of_different_issuers_are_different_clients() -> None:
    names = {client_of({"sub": sub, **more}, ANY).id for sub, more in [("a", {}), ("a", {"iss": "x"}), ("a", {"iss": "y"}), ("x|a", {})]}  # fmt: skip
    assert len(names) == 4
    assert "jwt:x|a" in names
    assert refusal({**GOOD, "iss": "x|y"}) == "iss is not a URI"


@pytest.mark.parametrize("subject", [None, "", 7, ["alice"], "a\nb", "a\x00", "a" * 201, "\u202e"])
def test_a_client_id_is_short_printable_text(subject: object) -> None:
    assert refusal({**GOOD, "sub": subject}).startswith("the claim sub is missing")


def test_a_missing_subject_is_rejected() -> None:
    assert refusal({"exp": NOW}).startswith("the claim sub is missing")


@pytest.mark.parametrize("said", [["gpt-*", "a/b"], "gpt-* a/b", "  gpt-*\ta/b "])
def test_models_and_providers_are_a_list_or_space_separated(said: object) -> None:
    client = client_of({**GOOD, "models": said, "providers": said}, ANY)
    assert client.access == Access(("gpt-*", "a/b"), ("gpt-*", "a/b"))


@pytest.mark.parametrize("said", [[], "", "  "])
def test_an_empty_list_allows_no_model(said: object) -> None:
    assert client_of({**GOOD, "models": said}, ANY).access == Access(models=("",))


@pytest.mark.parametrize("name", ["models", "providers", "scope"])
@pytest.mark.parametrize("said", [None, 1, True, {}, {"a": 1}, [1], ["a", None], [""], [["a"]]])
def test_a_malformed_list_rejects_the_token(name: str, said: object) -> None:
    assert refusal({**GOOD, name: said}) == f"the claim {name} is neither text nor a list of texts"


@pytest.mark.parametrize(
    ("scope", "passthrough"),
    [
        ("passthrough", True),
        ("openid passthrough", True),
        (["passthrough"], True),
        ("passthroughs", False),
        ("", False),
        ([], False),
    ],
)
def test_passthrough_is_a_scope(scope: object, passthrough: bool) -> None:
    assert client_of({**GOOD, "scope": scope}, ANY).passthrough is passthrough


def test_limits_are_written_as_in_the_configuration() -> None:
    client = client_of({**GOOD, "limits": {"requestsPerMinute": 5, "tokensPerMinute": 1000}}, ANY)
    assert client.limits == Limits(requests_per_minute=5, tokens_per_minute=1000)


@pytest.mark.parametrize(
    "said",
    [None, 5, "5", [], {"requestsPerMinutes": 5}, {"requests_per_minute": 5}, {"requestsPerMinute": 0}, {"requestsPerMinute": -1}, {"requestsPerMinute": "5"}, {"requestsPerMinute": None}, {"requestsPerMinute": 10**400}, {"concurrent": True}],
)  # fmt: skip
def test_malformed_limits_reject_the_token(said: object) -> None:
    assert refusal({**GOOD, "limits": said}) == "the claim limits does not have the form of limits in the configuration"


def test_claims_are_found_at_configured_paths() -> None:
    paths = JwtClaims(client="user.id", models="https://example.org/models", limits="a.b.c", scope="scp")
    claims = {
        "user": {"id": "bob"},
        "https://example.org/models": ["m"],
        "a": {"b": {"c": {"concurrent": 2}}},
        "scp": ["passthrough"],
    }
    client = client_of(claims, Jwt(issuer="x", claims=paths))
    assert (client.id, client.limits, client.passthrough) == ("jwt:bob", Limits(concurrent=2), True)
    assert client.access == Access(models=("m",))


SAID = Jwt(claims=JwtClaims(team="team", project="org.project", labels="labels"))


def test_claims_say_to_whom_calls_are_accounted() -> None:
    claims = {**GOOD, "team": "web", "org": {"project": "shop"}, "labels": {"b": "2", "a": "x, y"}}
    client = client_of(claims, SAID)
    assert (client.key, client.owner, client.team, client.project) == ("", GOOD["sub"], "web", "shop")
    assert client.labels == (("a", "x, y"), ("b", "2"))
    client = client_of(claims, ANY)
    assert (client.owner, client.team, client.project, client.labels) == (GOOD["sub"], "", "", ())


def test_equal_subjects_of_different_issuers_are_different_owners() -> None:
    alice = {**GOOD, "sub": "alice"}
    first, second = ({**alice, "iss": f"https://{name}.example"} for name in ("a", "b"))
    assert client_of(first, ANY).owner == "https://a.example|alice"
    assert client_of(second, ANY).owner == "https://b.example|alice"
    without = {name: value for name, value in alice.items() if name != "iss"}
    assert client_of(without, ANY).owner == "alice"
    assert client_of({**without, "sub": "https://a.example|alice"}, ANY).owner == "|https://a.example|alice"
    assert client_of(first, Jwt(issuer="https://a.example")).owner == "alice"
    assert client_of({**first, "org": "shop"}, Jwt(claims=JwtClaims(owner="org"))).owner == "shop"


def test_claims_of_accounting_may_be_absent() -> None:
    client = client_of({"user": "ann"}, Jwt(claims=JwtClaims(client="user", team="team", labels="labels")))
    assert (client.owner, client.team, client.labels) == ("", "", ())


@pytest.mark.parametrize("said", [None, "", 7, ["web"], "a\nb", "a" * 201])
def test_a_malformed_team_rejects_the_token(said: object) -> None:
    assert refusal({**GOOD, "team": said}, SAID).startswith("the claim team is ")


@pytest.mark.parametrize(
    "said",
    [
        *(None, "a=1", [], ["a"], {"a": 1}, {"a": ""}, {"": "1"}, {"a b": "1"}, {"a": "b\n"}, {"a": "1" * 129}),
        {f"a{number}": "1" for number in range(17)},
    ],
)
def test_malformed_labels_reject_the_token(said: object) -> None:
    assert refusal({**GOOD, "labels": said}, SAID).startswith("the claim labels")


def test_a_claim_path_through_a_non_object_is_rejected() -> None:
    settings = Jwt(claims=JwtClaims(models="a.b.c"))
    assert client_of({**GOOD, "a": {"b": {}}}, settings).access is ALL
    assert client_of({**GOOD, "a": {}}, settings).access is ALL
    for astray in ("text", ["b"], None, {"b": 1}):
        assert "not an object" in refusal({**GOOD, "a": astray}, settings)


@given(
    st.dictionaries(
        st.sampled_from(
            ["sub", "iss", "aud", "exp", "nbf", "models", "providers", "limits", "scope", "team", "org", "labels"]
        ),
        json_values,
    )
)
def test_any_claims_are_rejected_or_accepted_without_an_exception(claims: dict[str, Any]) -> None:
    claims = {**GOOD, **claims}
    try:
        end = good_until(claims, SAID, NOW)
        client = client_of(claims, SAID)
    except Unauthorized:
        return
    assert end > NOW
    assert client.id.startswith("jwt:")
    # What was said is never wider than it was meant.
    assert bool(client.access.models) == ("models" in claims)
    assert bool(client.access.providers) == ("providers" in claims)
    assert (client.limits is not None) == ("limits" in claims)
